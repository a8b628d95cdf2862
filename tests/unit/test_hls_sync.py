"""The timeline: arrival first, then sender reports; wraps, restarts and nonsense."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.rtp import rtcp, sync
from umbel.media.rtp.clock import ClockMapping, ntp_of
from umbel.media.rtp.rtcp import SenderReport
from umbel.media.rtp.sync import Continuity, StreamTimeline

VIDEO, AUDIO = 96, 111
NOW_S = 5000.0
WALL_S = 1_700_000_000.0


def timeline() -> StreamTimeline:
    return StreamTimeline({VIDEO: 90_000, AUDIO: 48_000})


def report(ssrc: int, wall_s: float, timestamp: int) -> SenderReport:
    return SenderReport(ssrc=ssrc, ntp=ntp_of(wall_s), timestamp=timestamp & 0xFFFFFFFF)


def apart_s(line: StreamTimeline, video: int, audio: int, now_s: float) -> float:
    """How much later than the picture the sound is."""
    shown = line.place(VIDEO, 1, video & 0xFFFFFFFF, now_s).ticks / 90_000
    heard = line.place(AUDIO, 2, audio & 0xFFFFFFFF, now_s).ticks / 48_000
    return heard - shown


def test_before_reports_arrival_links_the_media() -> None:
    line = timeline()
    assert apart_s(line, 123, 456, NOW_S) == pytest.approx(0)
    assert line.wall_s(NOW_S) is None
    assert apart_s(line, 123 + 90_000, 456 + 48_000, NOW_S + 1) == pytest.approx(0)


def test_reports_link_the_media_exactly_and_the_picture_does_not_move() -> None:
    line = timeline()
    first = line.place(VIDEO, 1, 0, NOW_S)
    # The sound of the same moment came 80 ms later.
    line.place(AUDIO, 2, 0, NOW_S + 0.08)
    line.report(report(1, WALL_S, 0))
    line.report(report(2, WALL_S, 0))
    assert apart_s(line, 9000, 4800, NOW_S + 0.1) == pytest.approx(0, abs=1e-4)
    assert line.place(VIDEO, 1, 9000, NOW_S + 0.1).ticks == first.ticks + 9000
    assert line.wall_s(first.ticks / 90_000) == pytest.approx(WALL_S, abs=1e-3)


def test_the_order_of_reports_does_not_matter() -> None:
    line = timeline()
    line.place(VIDEO, 1, 0, NOW_S)
    line.place(AUDIO, 2, 0, NOW_S + 0.08)
    line.report(report(2, WALL_S, 0))
    line.report(report(1, WALL_S, 0))
    assert apart_s(line, 9000, 4800, NOW_S + 0.1) == pytest.approx(0, abs=1e-4)


def test_a_report_may_come_before_the_first_packet() -> None:
    line = timeline()
    line.report(report(1, WALL_S, 0))
    line.report(report(2, WALL_S + 0.5, 0))
    assert apart_s(line, 90_000, 48_000, NOW_S) == pytest.approx(0.5, abs=1e-4)


def test_small_differences_leave_durations_exact() -> None:
    line = timeline()
    line.report(report(1, WALL_S, 0))
    line.report(report(2, WALL_S, 0))
    places = []
    for second in range(20):
        places.append(line.place(AUDIO, 2, second * 48_000, NOW_S + second).ticks)
        line.place(VIDEO, 1, second * 90_000, NOW_S + second)
        line.report(report(2, WALL_S + second + 0.008 * (second % 2), second * 48_000))
    assert [b - a for a, b in itertools.pairwise(places)] == [48_000] * 19


@given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(1, 90_000 * 4), max_size=40))
def test_wraps_are_invisible(start: int, steps: list[int]) -> None:
    line, at = timeline(), start
    first = line.place(VIDEO, 1, start, NOW_S).ticks
    for step in steps:
        at += step
        now_s = NOW_S + (at - start) / 90_000
        moment = line.place(VIDEO, 1, at & 0xFFFFFFFF, now_s)
        assert moment.continuity is Continuity.STEADY
        assert moment.ticks - first == at - start


def test_a_report_across_the_wrap() -> None:
    line = timeline()
    line.place(VIDEO, 1, 0xFFFF_FFF0, NOW_S)
    line.place(AUDIO, 2, 100, NOW_S)
    line.report(report(1, WALL_S, 0xFFFF_FFF0 + 90_000))
    line.report(report(2, WALL_S, 100 + 48_000))
    assert apart_s(line, 0xFFFF_FFF0, 100, NOW_S) == pytest.approx(0, abs=1e-4)


def test_a_new_sender_goes_on_where_the_old_one_stopped() -> None:
    line = timeline()
    line.report(report(1, WALL_S, 0))
    before = line.place(VIDEO, 1, 0, NOW_S).ticks
    after = line.place(VIDEO, 7, 0xABCD_EF00, NOW_S + 3)
    assert after.continuity is Continuity.RESTARTED
    assert after.ticks - before == pytest.approx(3 * 90_000, abs=1)
    assert line.place(VIDEO, 7, 0xABCD_EF00 + 3000, NOW_S + 3.03).continuity is Continuity.STEADY


def test_a_jump_of_the_clock_is_a_restart() -> None:
    line = timeline()
    line.place(VIDEO, 1, 0, NOW_S)
    moment = line.place(VIDEO, 1, 90_000 * 600, NOW_S + 0.1)
    assert moment.continuity is Continuity.RESTARTED
    assert moment.ticks == round((NOW_S + 0.1) * 90_000)


def test_nonsense_reports_move_nothing() -> None:
    line = timeline()
    line.place(VIDEO, 1, 0, NOW_S)
    line.place(AUDIO, 2, 0, NOW_S)
    line.report(report(1, WALL_S, 0))
    line.report(report(2, WALL_S + 100, 0))
    assert apart_s(line, 0, 0, NOW_S) == pytest.approx(0, abs=1e-4)


def test_the_senders_wall_clock_may_be_set() -> None:
    line = timeline()
    line.report(report(1, WALL_S, 0))
    line.report(report(2, WALL_S, 0))
    assert apart_s(line, 0, 0, NOW_S) == pytest.approx(0, abs=1e-4)
    line.report(report(1, WALL_S + 2, 0))
    assert apart_s(line, 0, 0, NOW_S) == pytest.approx(0, abs=1e-4)
    line.report(report(2, WALL_S + 2.02, 0))
    assert apart_s(line, 0, 0, NOW_S) == pytest.approx(0.02, abs=1e-4)


def test_reads_what_the_platform_writes() -> None:
    ntp = (2_208_988_800 + 1_700_000_000) << 32 | 1 << 31
    data = rtcp.build([rtcp.SenderReport(ssrc=5, ntp=ntp, timestamp=77)])
    (found,) = sync.sender_reports(data)
    assert (found.ssrc, found.timestamp) == (5, 77)
    mapping = ClockMapping(found.ntp, found.timestamp, 90_000)
    assert mapping.wall_s_at(77) == 1_700_000_000.5
    assert mapping.wall_s_at(77 - 90_000 & 0xFFFFFFFF) == 1_699_999_999.5
    assert mapping.after(2.0) == (ntp + (2 << 32), 77 + 180_000)


def rtcp_packet(kind: int, words: list[bytes]) -> bytes:
    return bytes((0x80, kind)) + len(words).to_bytes(2, "big") + b"".join(words)


@given(
    st.lists(
        st.builds(
            rtcp_packet,
            st.sampled_from([200, 201, 204, 207]),
            st.lists(st.binary(min_size=4, max_size=4), min_size=5, max_size=9),
        )
    ),
    st.binary(max_size=40),
)
def test_reports_in_garbage_are_those_that_stand_there(packets: list[bytes], tail: bytes) -> None:
    line, packet = timeline(), b"".join(packets) + tail
    found = sync.sender_reports(packet)
    there = reports_in(packet)
    told = [(one.ssrc, one.ntp, one.timestamp) for one in found]
    assert told == there or (tail and not told)
    for one in found:
        line.report(one)


def reports_in(data: bytes) -> list[tuple[int, int, int]]:
    """SSRC, NTP time and timestamp of each sender report with a time, read word by word; none
    where one is shorter than a sender's information (RFC 3550 section 6.4.1)."""
    found = []
    while data:
        size = 4 + 4 * int.from_bytes(data[2:4], "big")
        if data[1:2] == b"\xc8":
            if size < 28:
                return []
            ntp = int.from_bytes(data[8:16], "big")
            found.append(
                (int.from_bytes(data[4:8], "big"), ntp, int.from_bytes(data[16:20], "big"))
            )
        data = data[size:]
    return [one for one in found if one[1] >= 1 << 32]


@given(
    st.lists(
        st.builds(report, st.integers(0, 9), st.integers(1, 2 * 10**9), st.integers(0, 2**32 - 1))
    )
)
def test_every_report_of_a_compound_packet_is_read(sent: list[SenderReport]) -> None:
    found = sync.sender_reports(rtcp.build(sent))
    assert [(one.ssrc, one.ntp, one.timestamp) for one in found] == [
        (one.ssrc, one.ntp, one.timestamp) for one in sent
    ]


def test_unknown_senders_do_not_pile_up() -> None:
    line = timeline()
    for ssrc in range(100, 200):
        line.report(report(ssrc, WALL_S, 0))
    line.report(report(2, WALL_S, 0))
    line.place(VIDEO, 1, 0, NOW_S)
    line.place(AUDIO, 2, 48_000, NOW_S)
    assert line.wall_s(NOW_S) == pytest.approx(WALL_S + 1, abs=1e-3)
