"""Packets to fMP4 that foreign decoders play: every picture, every sound, in sync."""

import itertools
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import camera, mp4, muxing
from support.camera import Camera
from support.examples import examples
from umbel.media.hls.boxes import Sound
from umbel.media.hls.muxer import Muxer
from umbel.media.rtp import rtcp

NTP = (2_208_988_800 + 1_700_000_000) << 32
VIDEO, AUDIO = 1, 2


def report(ssrc: int, timestamp: int, at_s: float = 0.0) -> tuple[float, bytes]:
    one = rtcp.SenderReport(
        ssrc=ssrc, ntp=NTP + round(at_s * 2**32), timestamp=timestamp & 0xFFFFFFFF
    )
    return at_s, rtcp.build([one])


def shown_and_heard(seconds: float, **told: Any) -> Camera:
    made = Camera().video(camera.pictures(seconds, **told))
    return made.audio(camera.sounds(seconds))


@pytest.mark.parametrize(
    ("rate", "size", "profile", "slices"),
    [
        (Fraction(30), (320, 180), "baseline", 1),
        (Fraction(25), (426, 240), "high", 1),
        (Fraction(30000, 1001), (320, 180), "main", 4),
        (Fraction(60), (160, 90), "baseline", 1),
    ],
)
def test_every_frame_arrives_in_sync(
    rate: Fraction, size: tuple[int, int], profile: str, slices: int
) -> None:
    gop = round(2 * rate)
    shown = camera.pictures(5.0, rate=rate, size=size, profile=profile, gop=gop, slices=slices)
    segments = muxing.mux(Camera().video(shown).audio(camera.sounds(5.0)).timed())
    assert [round(segment.duration_s, 2) for segment in segments[:2]] == [2, 2]
    assert not any(segment.opening.discontinuity for segment in segments)
    got = mp4.decode(muxing.runs_of_one_kind(segments)[0])
    assert len(got.shown_s) == len(shown)
    assert got.sizes == {size}
    for at_s, picture in zip(got.shown_s, shown, strict=True):
        assert at_s == pytest.approx(float(picture.at_s), abs=2e-5)
    # Sound comes 20 ms after the picture of its time here, and no report told better.
    assert got.samples >= 249 * 960
    assert 0 <= got.heard_s[0] <= 0.05
    assert all(b - a == pytest.approx(0.02) for a, b in itertools.pairwise(got.heard_s))


def test_reports_bring_the_media_together() -> None:
    made = Camera().video(camera.pictures(4.0))
    made.audio(camera.sounds(4.0), late_s=0.1)
    made.sent += [report(made.ssrc, made.timestamp), report(made.audio_ssrc, made.audio_timestamp)]
    got = mp4.decode(muxing.runs_of_one_kind(muxing.mux(made.timed()))[0])
    assert abs(got.heard_s[0] - got.shown_s[0]) < 0.025
    assert len(got.shown_s) == 120


def test_parts_can_be_played_one_by_one_and_their_times_fit() -> None:
    segments = muxing.mux(shown_and_heard(5.0).timed())
    video_end = audio_end = 0
    for part in (part for segment in segments for part in segment.parts):
        assert 0.2 < part.duration_s <= 0.334
        found = {run.track: run for run in mp4.runs(part.body)}
        assert found[VIDEO].at == video_end
        video_end = found[VIDEO].end
        if audio_end:
            assert found[AUDIO].at == audio_end
        audio_end = found[AUDIO].end
        assert part.independent == any(found[VIDEO].keyframes)
        assert part.frames == len(found[VIDEO].durations)
    assert video_end == 5 * 90_000


def test_video_alone() -> None:
    segments = muxing.mux(Camera().video(camera.pictures(5.0)).timed())
    assert {segment.opening.tracks.audio for segment in segments} == {None}
    got = mp4.decode(muxing.runs_of_one_kind(segments)[0])
    assert (len(got.shown_s), got.samples) == (150, 0)


def test_audio_alone() -> None:
    segments = muxing.mux(Camera().audio(camera.sounds(8.0)).timed())
    assert {segment.opening.tracks.video for segment in segments} == {None}
    got = mp4.decode(muxing.runs_of_one_kind(segments)[0])
    # The first second shows that no video is to be waited for; what came in it is played.
    assert got.samples >= 7.9 * 48_000
    assert all(part.independent for segment in segments for part in segment.parts)
    assert [round(s.duration_s, 1) for s in segments[:3]] == [1.9] * 3


def test_a_new_publisher_is_a_discontinuity_with_its_own_section() -> None:
    first = shown_and_heard(3.0).timed()
    other = Camera(ssrc=5, audio_ssrc=6, sequence=1, timestamp=99, audio_timestamp=7)
    other.video(camera.pictures(3.0, size=(160, 90)), 5.0).audio(camera.sounds(3.0), 5.0)
    segments = muxing.mux([*first, *other.timed()])
    breaks = [segment for segment in segments if segment.opening.discontinuity]
    assert len(breaks) == 1
    before, after = (mp4.decode(data) for data in muxing.runs_of_one_kind(segments))
    assert (len(before.shown_s), before.sizes) == (90, {(320, 180)})
    assert (len(after.shown_s), after.sizes) == (90, {(160, 90)})
    assert after.shown_s[0] == pytest.approx(5.0, abs=0.05)
    assert abs(after.heard_s[0] - after.shown_s[0]) < 0.05


def test_new_parameters_of_the_same_publisher() -> None:
    made = Camera().video(camera.pictures(2.0))
    made.video(camera.pictures(2.0, size=(160, 90)), 2.0)
    segments = muxing.mux(made.timed())
    before, after = (mp4.decode(data) for data in muxing.runs_of_one_kind(segments))
    assert (before.sizes, after.sizes) == ({(320, 180)}, {(160, 90)})
    assert len(before.shown_s) == len(after.shown_s) == 60


def test_sound_that_begins_later_comes_with_the_next_segment() -> None:
    made = Camera().video(camera.pictures(7.0)).audio(camera.sounds(5.0), 2.5)
    segments = muxing.mux(made.timed())
    assert [segment.opening.tracks.audio for segment in segments] == [
        None,
        None,
        Sound.OPUS,
        Sound.OPUS,
    ]
    assert [segment.opening.discontinuity for segment in segments] == [False, False, True, False]


def test_sound_that_ends_is_taken_out_of_the_tracks() -> None:
    made = Camera().video(camera.pictures(8.0)).audio(camera.sounds(2.9))
    segments = muxing.mux(made.timed())
    assert [segment.opening.tracks.audio for segment in segments] == [
        Sound.OPUS,
        Sound.OPUS,
        None,
        None,
    ]
    assert sum(len(mp4.decode(data).shown_s) for data in muxing.runs_of_one_kind(segments)) == 240


def test_a_picture_that_stops_leaves_the_sound() -> None:
    made = Camera().video(camera.pictures(2.0)).audio(camera.sounds(9.0))
    made.video(camera.pictures(2.0), 9.0).audio(camera.sounds(2.0), 9.0)
    segments = muxing.mux(made.timed())
    kinds = [segment.opening.tracks.video is not None for segment in segments]
    assert [kind for kind, _ in itertools.groupby(kinds)] == [True, False, True]
    heard = sum(mp4.decode(data).samples for data in muxing.runs_of_one_kind(segments))
    # What came while the picture was still hoped for is lost.
    assert heard >= (11 - 3.5) * 48_000


def test_late_sound_holds_a_part_back_only_a_moment() -> None:
    made = Camera().video(camera.pictures(6.0)).audio(camera.sounds(6.0), late_s=0.6)
    made.sent += [report(made.ssrc, made.timestamp), report(made.audio_ssrc, made.audio_timestamp)]
    muxer, events, when_s = Muxer(), [], []
    for at_s, data in made.timed():
        new = muxer.packets([data], muxing.START_S + at_s)
        events += new
        when_s += [at_s for _ in new]
    waits_s = [b - a for a, b in itertools.pairwise(when_s)]
    assert 0.3 < max(waits_s) < 0.52
    runs = [run for s in muxing.collect(events) for p in s.parts for run in mp4.runs(p.body)]
    heard = [run for run in runs if run.track == AUDIO]
    assert all(after.at == before.end for before, after in itertools.pairwise(heard))
    assert sum(len(run.data) for run in heard) > 180


def test_lost_sound_is_bridged() -> None:
    made = Camera().video(camera.pictures(4.0)).audio(camera.sounds(4.0))
    heard = [entry for entry in made.timed() if entry[1][1] & 0x7F == 111]
    lost = {id(heard[n]) for n in (30, 31, 32, 90)}
    segments = muxing.mux(entry for entry in made.timed() if id(entry) not in lost)
    ends = [
        run for s in segments for p in s.parts for run in mp4.runs(p.body) if run.track == AUDIO
    ]
    assert all(after.at == before.end for before, after in itertools.pairwise(ends))
    assert not any(segment.opening.discontinuity for segment in segments)


@examples(25)
@given(st.data())
def test_any_loss_leaves_a_file_that_decodes(data: st.DataObject) -> None:
    timed = shown_and_heard(6.0, gop=30).timed()
    lost = data.draw(st.sets(st.integers(0, len(timed) - 1), max_size=8))
    segments = muxing.mux(entry for number, entry in enumerate(timed) if number not in lost)
    for made in muxing.runs_of_one_kind(segments):
        got = mp4.decode(made)
        assert got.shown_s == sorted(set(got.shown_s))
    for segment in segments:
        assert segment.is_whole
        assert max(part.duration_s for part in segment.parts) <= 0.3341


MOST_BOXES = 2_000
"""Bytes that a part may have around its samples."""


@examples(50)
@given(st.integers(0, 2**32))
def test_no_more_comes_out_of_garbage_than_went_in(seed: int) -> None:
    noise = random.Random(seed)
    timed = shown_and_heard(1.0).timed()
    muxer, events, taken = Muxer(), [], 0
    for at_s, good in timed:
        data, at = good, noise.randrange(len(good))
        if noise.random() < 0.2:
            data = good[:at] + noise.randbytes(noise.randrange(30)) + good[at + 4 :]
        packets = [data, noise.randbytes(noise.randrange(60))]
        events += muxer.packets(packets, muxing.START_S + at_s)
        taken += sum(map(len, packets))
    parts = [part for one in muxing.collect([*events, *muxer.end()]) for part in one.parts]
    assert sum(part.frames for part in parts) <= len(timed)
    assert sum(len(part.body) for part in parts) <= taken + MOST_BOXES * len(parts)


def test_a_clock_that_stands_still_does_not_fill_the_memory() -> None:
    still = camera.Picture(camera.pictures(0.1)[0].units, Fraction(0), True)
    segments = muxing.mux(Camera().video([still] * 4000).timed(), end=False)
    assert sum(part.frames for segment in segments for part in segment.parts) > 2000


def test_the_wall_clock_is_the_senders() -> None:
    made = Camera().video(camera.pictures(1.0))
    made.sent.insert(0, report(made.ssrc, made.timestamp))
    muxer = Muxer()
    for at_s, data in made.timed():
        muxer.packets([data], muxing.START_S + at_s)
    at_s = muxing.START_S + 0.5
    wall_s = muxer.wall_s(at_s, now_s=1_700_000_000.7, steady_s=at_s)
    assert wall_s == pytest.approx(1_700_000_000.5, abs=0.01)


def test_a_sender_whose_clock_is_far_off_is_not_believed() -> None:
    made = Camera().video(camera.pictures(1.0))
    made.sent.insert(0, report(made.ssrc, made.timestamp))
    muxer = Muxer()
    for at_s, data in made.timed():
        muxer.packets([data], muxing.START_S + at_s)
    at_s = muxing.START_S + 0.5
    wall_s = muxer.wall_s(at_s, now_s=1_800_000_000.0, steady_s=at_s + 0.25)
    assert wall_s == pytest.approx(1_799_999_999.75, abs=0.01)
