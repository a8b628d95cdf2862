"""How many pictures a second come in, and how many are left out."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.ingest.frame_rate import FrameRateMeter
from umbel.media.rtp import packet as rtp

HZ = 90_000


def measured(stamps: Iterable[int], payload_type: int = 96) -> FrameRateMeter:
    meter = FrameRateMeter()
    for stamp in stamps:
        head = rtp.build_header(payload_type, 1, stamp & 0xFFFFFFFF, 7)
        meter.packets([head + b"first", head + b"last"])
    return meter


@given(fps=st.sampled_from([10, 24, 25, 30, 50, 60]), start=st.integers(0, 2**32 - 1))
def test_an_even_row_has_its_rate_and_no_gap(fps: int, start: int) -> None:
    meter = measured(start + number * HZ // fps for number in range(fps * 12))
    assert meter.fps == pytest.approx(fps, rel=0.02)
    assert meter.missing == 0.0


def test_an_encoder_that_is_too_slow_leaves_pictures_out() -> None:
    kept = [number for number in range(600) if number % 10 not in (3, 4)]
    meter = measured(number * HZ // 30 for number in kept)
    assert meter.fps == pytest.approx(24, rel=0.02)
    assert meter.missing == pytest.approx(0.2, abs=0.02)


def test_times_in_whole_milliseconds_are_even_enough() -> None:
    meter = measured(90 * round(number * 1000 / 60) for number in range(600))
    assert meter.missing == 0.0
    assert meter.fps == pytest.approx(60, rel=0.02)


def test_an_uneven_row_says_nothing_of_gaps() -> None:
    meter = measured(number * 3000 + (number % 3) * 1300 for number in range(300))
    assert meter.missing == 0.0
    assert meter.fps == pytest.approx(30, rel=0.05)


def test_nothing_is_known_at_first_nor_of_sound() -> None:
    assert measured(range(0, 10 * 3000, 3000)).fps == 0.0
    assert measured(range(0, 600 * 3000, 3000), payload_type=111).fps == 0.0


def test_after_a_jump_it_begins_again() -> None:
    meter = measured([*range(0, 300 * 3000, 3000), *range(50_000_000, 50_000_000 + 9000, 3000)])
    assert (meter.fps, meter.missing) == (0.0, 0.0)


def test_of_another_encoder_nothing_is_known_at_first() -> None:
    meter = measured(number * 3000 for number in range(300) if number % 10 != 3)
    assert meter.fps > 0.0
    assert meter.missing > 0.0
    meter.reset()
    assert (meter.fps, meter.missing) == (0.0, 0.0)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=2000))
def test_any_times_are_taken(stamps: list[int]) -> None:
    meter = measured(stamps)
    assert 0 <= meter.missing < 1
    assert meter.fps >= 0
