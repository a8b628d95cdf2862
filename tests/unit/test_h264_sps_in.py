"""An SPS is found where RTP carries it whole, and nowhere else."""

from hypothesis import given
from hypothesis import strategies as st

from umbel.media.rtp.h264 import sps_in

SPS = bytes.fromhex("6742c01fda014016e8")
PPS = bytes.fromhex("68ce3c80")


def stap(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def test_alone_and_in_an_aggregate() -> None:
    assert sps_in(SPS) == SPS
    assert sps_in(stap(SPS, PPS)) == SPS
    assert sps_in(stap(PPS, SPS)) == SPS


def test_not_in_a_picture_nor_cut_short() -> None:
    assert sps_in(b"\x65" + SPS) is None
    assert sps_in(stap(PPS)) is None
    assert sps_in(stap(SPS)[:-1]) is None


@given(st.binary(max_size=64))
def test_any_bytes_are_read_without_harm(payload: bytes) -> None:
    found = sps_in(payload)
    assert found is None or found in payload
