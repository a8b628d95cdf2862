"""SPS: what an encoder was told comes out again; garbage raises only MalformedVideo."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import camera
from umbel.media.rtp import h264
from umbel.media.rtp.bits import MalformedVideo
from umbel.media.rtp.sps import parse_sps

LARGEST = 16 * 1024  # macroblocks of 16 pixels; twice as high when interlaced


def sps_of(**told: Any) -> bytes:
    first = camera.pictures(0.1, **told)[0]
    return next(unit for unit in first.units if h264.nal_type(unit) == h264.SPS)


@pytest.mark.parametrize(
    ("size", "profile", "number"),
    [
        ((320, 180), "baseline", 66),
        ((1280, 720), "main", 77),
        ((1920, 1080), "high", 100),
        ((426, 240), "high", 100),
        ((64, 34), "baseline", 66),
    ],
)
def test_size_and_profile(size: tuple[int, int], profile: str, number: int) -> None:
    told = parse_sps(sps_of(size=size, profile=profile))
    assert (told.width, told.height, told.profile) == (*size, number)
    assert told.frames_per_s == 30
    assert told.codec.startswith(f"avc1.{number:02x}")
    assert (told.chroma, told.luma_depth, told.chroma_depth) == (1, 0, 0)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_frame_rate(rate: Fraction) -> None:
    assert parse_sps(sps_of(rate=rate)).frames_per_s == pytest.approx(float(rate))


def test_codec_is_written_as_in_rfc_6381() -> None:
    sps = bytes.fromhex("6742c01f") + sps_of()[4:]
    assert parse_sps(sps).codec == "avc1.42c01f"


@given(st.binary(max_size=80))
def test_garbage(data: bytes) -> None:
    try:
        told = parse_sps(b"\x67" + data)
    except MalformedVideo:
        return
    assert told.width > 0
    assert told.height > 0


@given(st.data())
def test_damaged(data: st.DataObject) -> None:
    good = sps_of(profile="high")
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + bytes((data.draw(st.integers(0, 255)),)) + good[at + 1 :]
    cut = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        found = parse_sps(cut)
    except MalformedVideo:
        return
    assert 0 < found.width <= LARGEST
    assert 0 < found.height <= 2 * LARGEST
    assert 8 <= found.bit_depth <= 14
    assert found.frames_per_s >= 0


def test_an_empty_unit_is_of_no_kind() -> None:
    assert h264.nal_type(b"") == 0
    with pytest.raises(MalformedVideo):
        parse_sps(b"")
