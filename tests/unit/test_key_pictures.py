"""How often key pictures come, by the stream's own timestamps."""

from collections.abc import Iterable

import pytest

from umbel.media.ingest.key_pictures import KeyPictureMeter
from umbel.media.rtp import packet as rtp

HZ = 90_000
IDR, SLICE, SPS = 5, 1, 7


def packets(
    timestamp: int, unit: int, *, payload_type: int = 96, extension: bool = False
) -> list[bytes]:
    """A picture in two packets (FU-A): its first and its last."""
    first, last = bytes([0x7C, 0x80 | unit]), bytes([0x7C, 0x40 | unit])
    made = [
        rtp.build_header(payload_type, 1, timestamp & 0xFFFFFFFF, 7) + head + b"slice"
        for head in (first, last)
    ]
    if not extension:
        return made
    # One word of a header extension (RFC 8285), as WebRTC publishers send it.
    word = b"\xbe\xde\x00\x01\x10\x05\x00\x00"
    return [bytes([one[0] | 0x10]) + one[1:12] + word + one[12:] for one in made]


def measured(
    key_frames: Iterable[int],
    frames: int,
    fps: int = 30,
    *,
    start: int = 0,
    extension: bool = False,
) -> float:
    meter, keys = KeyPictureMeter(), set(key_frames)
    for frame in range(frames):
        unit = IDR if frame in keys else SLICE
        meter.packets(packets(start + frame * HZ // fps, unit, extension=extension))
    return meter.interval_s


def test_obs_in_simple_mode_sends_one_every_250_frames() -> None:
    assert measured({0, 250}, 300) == pytest.approx(250 / 30)


def test_a_change_of_scene_does_not_hide_the_interval() -> None:
    assert measured({0, 250, 260, 500}, 560) == pytest.approx(250 / 30)


def test_an_encoder_that_was_changed_is_believed_after_a_few_intervals() -> None:
    assert measured({0, 250, 310, 370, 430, 490}, 500) == pytest.approx(2.0)


def test_nothing_is_known_before_the_second_key_picture() -> None:
    assert measured({0}, 290) == 0.0
    assert measured((), 290) == 0.0


def test_a_key_picture_that_stays_alone_is_a_long_interval() -> None:
    assert measured({0}, 30 * 12 + 1) == pytest.approx(12.0)
    assert measured({0, 60}, 60 + 30 * 12 + 1) == pytest.approx(12.0)


def test_timestamps_wrap() -> None:
    assert measured({0, 60, 120}, 150, start=2**32 - HZ) == pytest.approx(2.0)


def test_header_extensions_and_other_packets_are_passed_over() -> None:
    assert measured({0, 60, 120}, 150, extension=True) == pytest.approx(2.0)
    meter = KeyPictureMeter()
    for at_s in (0, 2):
        meter.packets([b"", b"\x80\x60", *packets(at_s * HZ, IDR, payload_type=111)])
        meter.packets([b"\x9f\x60" + bytes(11)])  # contributing sources that are not there
    assert meter.interval_s == 0.0


def test_another_encoder_starts_again() -> None:
    meter = KeyPictureMeter()
    for at_s in (0, 8):
        meter.packets(packets(at_s * HZ, IDR))
    assert meter.interval_s == 8.0
    meter.reset()
    assert meter.interval_s == 0.0
    meter.packets(packets(500 * HZ, IDR))
    assert meter.interval_s == 0.0
