"""Boundaries obey the numeric rules for any frames, and TARGETDURATION stays true once told."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.hls.cuts import PART_TARGET_S, Cut, Cutter

START_S = 1000.0


def run(frames: list[tuple[float, bool]], told_after: int = 10**9) -> tuple[Cutter, list[Cut]]:
    """Feed frames (seconds after the start, keyframe); the cuts."""
    cutter, cuts, last_s = Cutter(), [], START_S
    cutter.start(START_S)
    for number, (after_s, keyframe) in enumerate(frames):
        cutter.published |= number >= told_after
        cuts += cutter.frame(START_S + after_s, last_s, keyframe=keyframe)
        last_s = START_S + after_s
    return cutter, cuts


def steady(rate: float, gop: int, seconds: float) -> list[tuple[float, bool]]:
    return [(n / rate, n % gop == 0) for n in range(1, round(seconds * rate))]


def lengths_s(cuts: list[Cut], *, segments: bool) -> list[float]:
    ends = [START_S, *(cut.at_s for cut in cuts if cut.ends_segment or not segments)]
    return [b - a for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize(
    ("rate", "gop", "segment_s", "target_s"),
    [
        (30, 60, 2.0, 2),
        (25, 50, 2.0, 2),
        (30, 30, 2.0, 2),
        (30, 15, 2.0, 2),
        (30000 / 1001, 60, 2.002, 2),
        (60, 120, 2.0, 2),
        (24, 48, 2.0, 2),
        (30, 45, 1.5, 2),
        (30, 120, 4.0, 4),
        (25, 250, 10.0, 10),
        (5, 10, 2.0, 2),
    ],
)
def test_segments_follow_the_keyframes(
    rate: float, gop: int, segment_s: float, target_s: int
) -> None:
    cutter, cuts = run(steady(rate, gop, 45), told_after=round(2 * gop))
    segments_s = lengths_s(cuts, segments=True)
    # The first ones may be shorter: how often keyframes come must be seen before.
    assert segments_s[2:] == pytest.approx([segment_s] * len(segments_s[2:]))
    assert segments_s[2:]
    assert cutter.target_s == target_s


def test_parts_hold_whole_frames() -> None:
    _, cuts = run(steady(30, 60, 10))
    assert lengths_s(cuts, segments=False) == pytest.approx([1 / 3] * len(cuts))
    _, cuts = run(steady(25, 50, 10))
    assert {round(length, 6) for length in lengths_s(cuts, segments=False)} == {0.32, 0.08}


def test_a_part_is_cut_when_its_last_frame_begins_not_one_later() -> None:
    cutter = Cutter()
    cutter.start(START_S)
    cuts = [
        (number, cutter.frame(START_S + number / 30, START_S + (number - 1) / 30, keyframe=False))
        for number in range(1, 11)
    ]
    assert [number for number, made in cuts if made] == [10]


def test_long_gops_after_a_player_was_told_are_cut_between_keyframes() -> None:
    frames = [*steady(30, 60, 6), *((6 + t, False) for t, _ in steady(30, 60, 20))]
    cutter, cuts = run(frames, told_after=100)
    assert cutter.target_s == 2
    assert max(lengths_s(cuts, segments=True)) < 2.5


def test_a_player_that_comes_during_a_long_segment_is_told_a_target_that_holds_it() -> None:
    frames = [(0.0625 * n, False) for n in range(1, 45)]
    cutter, cuts = run(frames, told_after=42)
    cuts.append(cutter.finish(START_S + 45 * 0.0625))
    assert cutter.target_s == 3
    assert max(lengths_s(cuts, segments=True)) < 3.5


gaps = st.one_of(st.floats(0.001, 0.1), st.floats(0.1, 2.9))


@given(st.lists(st.tuples(gaps, st.booleans()), min_size=1, max_size=120), st.integers(0, 120))
def test_any_frames(drawn: list[tuple[float, bool]], told_after: int) -> None:
    frames, at_s = [], 0.0
    for gap_s, keyframe in drawn:
        at_s += gap_s
        frames.append((at_s, keyframe))
    cutter, cuts, last_s, target_then = Cutter(), [], START_S, None
    cutter.start(START_S)
    for number, (after_s, keyframe) in enumerate(frames):
        if number == told_after:
            cutter.published, target_then = True, cutter.target_s
        new = cutter.frame(START_S + after_s, last_s, keyframe=keyframe)
        assert all(cut.at_s <= START_S + after_s + 1e-6 for cut in new)
        last_s = START_S + after_s
        cuts += new
    cuts.append(cutter.finish(last_s + 0.03))
    if target_then is not None:
        assert cutter.target_s == target_then
    ends = [cut.at_s for cut in cuts]
    assert ends == sorted(ends)
    parts_s = lengths_s(cuts, segments=False)
    assert max(parts_s) <= PART_TARGET_S + 1e-6
    for cut, length_s in zip(cuts, parts_s, strict=True):
        assert cut.ends_segment or length_s >= 0.85 * PART_TARGET_S - 1e-6
    for length_s in lengths_s(cuts, segments=True):
        assert math.floor(length_s + 0.5) <= cutter.target_s
