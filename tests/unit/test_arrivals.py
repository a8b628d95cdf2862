"""How many packets of an encoder are lost on the way."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.ingest.arrivals import DatagramCounter, TsCounter, srt_arrived
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.arrivals import Arrived, LossWindow, RtpCounter


def rtp_packet(sequence: int, ssrc: int = 7) -> bytes:
    return rtp.build_header(96, sequence, 0, ssrc) + b"payload"


def counted(sequences: Iterable[int]) -> Arrived:
    counter = RtpCounter()
    for sequence in sequences:
        counter.count(rtp_packet(sequence & 0xFFFF))
    return counter.arrived


@given(
    st.integers(0, 0xFFFF),
    st.sets(st.integers(1, 998), max_size=200),
    st.integers(0, 2**32),
)
def test_what_does_not_come_is_lost_in_any_order(first: int, lost: set[int], seed: int) -> None:
    """Also where the numbers wrap, and where packets overtake each other by a few places."""
    sent = [number for number in range(1000) if number not in lost]
    places = random.Random(seed)
    sent[1:-1] = sorted(sent[1:-1], key=lambda number: number + places.uniform(0, 8))
    assert counted(first + number for number in sent) == Arrived(expected=1000, lost=len(lost))


def test_another_stream_is_not_a_loss() -> None:
    assert counted([*range(100), *range(30_000, 30_100)]) == Arrived(expected=200, lost=0)


def test_many_sources_are_counted_and_few_are_kept() -> None:
    counter = RtpCounter()
    for ssrc in range(50):
        for sequence in (1, 2, 4):
            counter.count(rtp_packet(sequence, ssrc))
    assert counter.arrived == Arrived(expected=200, lost=50)


def srt_stats(*callers: tuple[int, int]) -> str:
    """As GStreamer writes structures within a structure."""
    each = ", ".join(
        "(structure)application/x-srt-statistics\\,"
        f"\\ packets-received\\=\\(gint64\\){came}\\,"
        f"\\ packets-received-lost\\=\\(int\\){lost}\\;"
        for came, lost in callers
    )
    return f"application/x-srt-statistics, callers=(GValueArray)< {each} >, bytes-received=(int)9;"


def test_what_srt_sends_again_is_not_expected_twice() -> None:
    """libsrt counts it among what came: of 300, a third was lost first, and came then."""
    assert srt_arrived(srt_stats((300, 100))) == Arrived(expected=300, lost=100)
    assert srt_arrived(srt_stats((300, 100), (50, 0))) == Arrived(expected=350, lost=100)
    assert srt_arrived(srt_stats((2, 9))) == Arrived(expected=9, lost=9), "they have yet to come"
    assert srt_arrived("application/x-srt-statistics;") == Arrived()


def ts(pid: int, counter: int, *, field: bytes = b"", payload: bool = True) -> bytes:
    control = (0x20 if field else 0) | (0x10 if payload else 0) | counter & 0x0F
    head = bytes([0x47, pid >> 8, pid & 0xFF, control]) + field
    return head.ljust(188, b"\xff")


def ts_counted(packets: list[bytes]) -> Arrived:
    counter = TsCounter()
    for at in range(0, len(packets), 7):
        counter.count(b"".join(packets[at : at + 7]))
    return counter.arrived


def test_continuity_counters_show_what_is_lost_of_each_pid() -> None:
    sent = [ts(pid, number) for number in range(100) for pid in (256, 257)]
    assert ts_counted(sent) == Arrived(expected=200, lost=0)
    kept = [one for number, one in enumerate(sent) if number not in (20, 22, 101)]
    assert ts_counted(kept) == Arrived(expected=200, lost=3)


def test_what_has_no_counter_of_its_own_is_no_loss() -> None:
    begins = bytes([1, 0x80])
    packets = [ts(256, 1), ts(256, 1), ts(256, 2, field=b"\x01\x00", payload=False)]
    packets += [ts(0x1FFF, 9), ts(0x1FFF, 3), ts(256, 2), ts(256, 9, field=begins)]
    assert ts_counted(packets).lost == 0


@given(st.lists(st.binary(max_size=600)))
def test_any_datagram_is_taken(datagrams: list[bytes]) -> None:
    counter = DatagramCounter()
    for datagram in datagrams:
        counter.count(datagram)
        counter.count(b"\x47" + datagram)
        counter.count(b"\x80" + datagram)
    assert 0 <= counter.arrived.lost <= counter.arrived.expected


def test_the_share_is_that_of_the_last_ten_seconds() -> None:
    window = LossWindow()
    assert window.share == 0.0
    for second in range(60):
        lost = 10 * min(second, 20)
        window.sample(Arrived(expected=100 * second, lost=lost), float(second))
        if second == 15:
            assert window.share == pytest.approx(0.1)
    assert window.share == 0.0
    window.sample(Arrived(expected=5, lost=5), 61.0)
    assert window.share == 0.0, "another encoder began"
