"""RTCP: values survive the wire, and no bytes but RTCP are taken for it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.rtp import rtcp
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.rtp.rtcp import (
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLoss,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
)

words = st.integers(0, 2**32 - 1)
blocks = st.builds(
    ReportBlock,
    ssrc=words,
    fraction_lost=st.integers(0, 255),
    packets_lost=st.integers(-0x800000, 0x7FFFFF),
    highest_sequence=words,
    jitter=words,
    last_sr=words,
    delay_since_sr=words,
)
many = st.lists(blocks, max_size=3).map(tuple)
names = st.lists(st.tuples(words, st.text(max_size=20)), max_size=4).map(tuple)
packets = st.one_of(
    st.builds(
        SenderReport,
        ssrc=words,
        ntp=st.integers(0, 2**64 - 1),
        timestamp=words,
        packets=words,
        octets=words,
        blocks=many,
    ),
    st.builds(ReceiverReport, ssrc=words, blocks=many),
    st.builds(SourceDescription, cnames=names),
    st.builds(Goodbye, ssrcs=st.lists(words, max_size=4).map(tuple)),
    st.builds(PictureLoss, sender_ssrc=words, media_ssrc=words),
    st.builds(
        FullIntraRequest,
        sender_ssrc=words,
        requests=st.lists(st.tuples(words, st.integers(0, 255)), max_size=3).map(tuple),
    ),
)


@given(st.lists(packets, max_size=4))
def test_what_is_built_is_parsed(compound: list[rtcp.Rtcp]) -> None:
    assert rtcp.parse(rtcp.build(compound)) == tuple(compound)


@given(st.sets(st.integers(0, 0xFFFF), min_size=1, max_size=40))
def test_nack_names_each_missing_packet(missing: set[int]) -> None:
    nack = Nack(sender_ssrc=1, media_ssrc=2, sequences=tuple(sorted(missing)))
    (parsed,) = rtcp.parse(rtcp.build([nack]))
    assert isinstance(parsed, Nack)
    assert sorted(parsed.sequences) == sorted(missing)


def test_nack_around_the_wrap_is_one_pair() -> None:
    nack = Nack(sender_ssrc=1, media_ssrc=2, sequences=(65534, 65535, 0, 14))
    data = rtcp.build([nack])
    assert len(data) == 16
    assert rtcp.parse(data) == (nack,)


def test_unknown_kinds_are_skipped() -> None:
    remb = bytes.fromhex("8fce0004") + bytes(8) + b"REMB" + bytes(4)
    extended = bytes.fromhex("80cf0001") + bytes(4)
    pli = PictureLoss(sender_ssrc=1, media_ssrc=2)
    assert rtcp.parse(remb + extended + rtcp.build([pli])) == (pli,)


def test_padding_is_left_out() -> None:
    bye = rtcp.build([Goodbye(ssrcs=(5,))])
    padded = bytes((bye[0] | 0x20, bye[1], 0, 2)) + bye[4:] + bytes((0, 0, 0, 4))
    assert rtcp.parse(padded) == (Goodbye(ssrcs=(5,)),)


@pytest.mark.parametrize("data", [b"\x80", b"\x80\xc8\x00\x01", b"\x00\xc8\x00\x00" * 2])
def test_broken_packets_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        rtcp.parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    with suppress(MalformedPacket):
        found = rtcp.parse(data)
        assert rtcp.parse(rtcp.build(found)) == found


@given(packets, st.integers(0, 200), st.integers(0, 255), st.integers(0, 200))
def test_damaged_packets_parse_or_are_malformed(
    one: rtcp.Rtcp, at: int, value: int, cut: int
) -> None:
    data = bytearray(rtcp.build([one]))
    data[at % len(data)] = value
    with suppress(MalformedPacket):
        found = rtcp.parse(bytes(data[: len(data) - cut % len(data)]))
        assert rtcp.parse(rtcp.build(found)) == found
