"""The stream space: continuous whoever acquires, with the caches viewers need."""

import itertools
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from support.h264 import IDR_REST, IDR_START, PPS, SLICE_START, SPS, TICKS, Source, stap_a
from support.webrtc_wire import Collected
from umbel.media.rtp import packet, rtcp
from umbel.media.rtp.begins import Begins
from umbel.media.rtp.gop import GopCache
from umbel.media.rtp.h264_payload import profile_level_id, scan
from umbel.media.rtp.history import History
from umbel.media.rtp.packet import MalformedPacket, RtpPacket
from umbel.media.rtp.rtcp import SenderReport
from umbel.media.rtp.stream import LiveStream


def made(sequence: int, payload: bytes = b"x", timestamp: int = 0) -> bytes:
    return RtpPacket(
        payload_type=96,
        marker=False,
        sequence=sequence & 0xFFFF,
        timestamp=timestamp,
        ssrc=1,
        payload=payload,
    ).build()


def stream_with_sink() -> tuple[LiveStream, Collected]:
    stream, sink = LiveStream(), Collected()
    stream.attach(sink)
    return stream, sink


def parsed(packets: list[bytes]) -> list[RtpPacket]:
    return [RtpPacket.parse(one) for one in packets if not packet.is_rtcp(one)]


@given(st.integers(0, 0xFFFF), st.integers(-30000, 30000))
def test_sequence_distance_survives_the_wrap(start: int, distance: int) -> None:
    assert packet.sequence_ahead((start + distance) & 0xFFFF, start) == distance


@given(st.binary(max_size=64))
def test_any_bytes_are_rtp_or_malformed(data: bytes) -> None:
    with suppress(MalformedPacket):
        found = RtpPacket.parse(data)
        assert RtpPacket.parse(found.build()) == found
        assert found.payload in data


@given(st.binary(max_size=64))
def test_any_payload_can_be_scanned(payload: bytes) -> None:
    assert len(scan(payload)) == 2
    found = profile_level_id(payload)
    assert found is None or len(found) == 6


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_leave_a_stream_alive(batch: list[bytes]) -> None:
    stream, sink = stream_with_sink()
    stream.packets(batch, 1.0)
    stream.packets(Source().picture(), 1.1)
    assert parsed(sink.all)


def test_history_forgets_what_is_a_ring_older() -> None:
    history = History(8)
    for sequence in range(65530, 65530 + 12):
        history.put(made(sequence))
    assert history.get(65533) is None
    for sequence in range(65534, 65542):
        found = history.get(sequence)
        assert found is not None
        assert packet.sequence_of(found) == sequence & 0xFFFF
    assert history.get(6) is None


def test_key_pictures_are_seen_in_every_packing() -> None:
    assert scan(SPS) == scan(PPS) == Begins(parameters=True)
    assert scan(b"\x65abc") == Begins(key_slice=True)
    assert scan(stap_a(SPS, PPS, b"\x65a")) == Begins(parameters=True, key_slice=True)
    assert scan(IDR_START + b"a") == Begins(key_slice=True)
    assert scan(IDR_REST + b"a") == scan(SLICE_START) == scan(b"\x61") == Begins()
    assert profile_level_id(stap_a(PPS, SPS)) == "42c01f"


def test_gop_begins_at_the_parameter_sets_of_the_last_key_picture() -> None:
    cache = GopCache()
    cache.add(made(1, b"\x61late", 10))
    assert cache.packets == ()
    first = [made(2, SPS, 20), made(3, PPS, 20), made(4, b"\x65", 20), made(5, b"\x61", 30)]
    second = [made(6, stap_a(SPS, PPS), 40), made(7, IDR_START, 40), made(8, IDR_REST, 40)]
    for one in first:
        cache.add(one)
    assert cache.packets == tuple(first)
    cache.add(second[0])
    assert cache.packets == (*first, second[0])
    for one in second[1:]:
        cache.add(one)
    assert cache.packets == tuple(second)
    cache.add(first[3])
    assert cache.packets == tuple(second)


def test_gop_with_a_missing_packet_is_not_given_until_it_comes_or_the_next_begins() -> None:
    cache = GopCache()
    kept = [made(n & 0xFFFF, b"\x65" if n == 65534 else b"\x61", n) for n in range(65534, 65540)]
    for one in (*kept[:2], *kept[3:5]):
        cache.add(one)
    assert (cache.is_filled, cache.packets) == (False, ())
    cache.add(kept[2])  # the network only brought it late
    assert cache.is_filled
    assert sorted(cache.packets) == sorted(kept[:5])
    cache.add(made(10, b"\x61", 70000))
    assert not cache.is_filled
    following = made(11, b"\x65", 80000)
    cache.add(following)
    assert cache.packets == (following,)


def test_gop_that_is_too_long_is_not_kept() -> None:
    cache = GopCache(most_packets=3)
    for sequence in range(5):
        cache.add(made(sequence, b"\x65" if sequence == 0 else b"\x61", sequence))
    assert cache.packets == ()
    cache.add(made(9, b"\x65", 9))
    assert len(cache.packets) == 1


def test_another_source_goes_on_where_the_last_one_ended() -> None:
    stream, sink = stream_with_sink()
    now_s = 50.0
    for number, source in enumerate((Source(), Source(ssrc=111, sequence=60000, timestamp=2**31))):
        for _ in range(40):
            stream.packets(source.picture(), now_s)
            now_s += 1 / 30
        assert len(parsed(sink.all)) == 122 * (number + 1)
    packets = parsed(sink.all)
    assert {one.ssrc for one in packets} == {stream.video.ssrc}
    steps = [packet.sequence_ahead(b.sequence, a.sequence) for a, b in itertools.pairwise(packets)]
    assert set(steps) == {1}
    times = sorted({one.timestamp for one in packets})
    gaps = {b - a for a, b in itertools.pairwise(times)}
    assert gaps == {TICKS}


def test_stragglers_of_the_former_source_are_dropped_until_the_new_one_is_silent() -> None:
    stream, sink = stream_with_sink()
    old, new = Source(), Source(ssrc=111)
    stream.packets(old.picture(), 1.0)
    stream.packets(new.picture(), 1.1)
    count = len(sink.all)
    stream.packets(old.picture(), 1.2)
    assert len(sink.all) == count
    stream.packets(old.picture(), 3.0)
    assert len(sink.all) == count + 3


def test_a_source_that_jumps_is_continued() -> None:
    stream, sink = stream_with_sink()
    source = Source()
    stream.packets(source.picture(), 1.0)
    source.sequence += 20000
    stream.packets(source.picture(), 1.0 + 1 / 30)
    sequences = [one.sequence for one in parsed(sink.all)]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def test_duplicates_are_dropped_and_late_packets_keep_their_number() -> None:
    stream, sink = stream_with_sink()
    source = Source()
    a, b, c, d = source.picture()
    stream.packets([a, c, c, d, b, b], 1.0)
    first = parsed(sink.all)[0].sequence
    assert [one.sequence - first for one in parsed(sink.all)] == [0, 2, 3, 1]


def test_headers_are_made_plain() -> None:
    stream, sink = stream_with_sink()
    one = made(1, b"payload")
    extended = bytes((0x91,)) + one[1:12] + bytes(4) + bytes.fromhex("bede0001") + bytes(4)
    stream.packets([extended + b"payload"], 1.0)
    (out,) = sink.all
    assert out[0] == 0x80
    assert out[12:] == b"payload"


def test_clock_is_the_sources_in_the_continuous_space() -> None:
    stream, sink = stream_with_sink()
    source = Source()
    stream.packets(source.report(), 1.0)  # before the first packet: it must not be lost
    stream.packets([*source.picture(), *source.sound()], 1.0)
    first = parsed(sink.all)[0].timestamp
    clock = stream.clock_at(stream.video, 3.0)
    sound = stream.clock_at(stream.audio, 3.0)
    assert clock is not None
    assert sound is not None
    assert clock[1] - first == 2 * 90_000
    assert clock[0] == sound[0]
    source.frame = 30
    stream.packets(source.report(), 2.0)
    forwarded = [r for p in sink.all if packet.is_rtcp(p) for r in rtcp.parse(p)]
    report = forwarded[-2]
    assert isinstance(report, SenderReport)
    assert report.ssrc == stream.video.ssrc
    assert report.timestamp - first == 90_000


def test_without_reports_arrival_times_serve() -> None:
    stream, _ = stream_with_sink()
    source = Source()
    stream.packets([*source.picture(), *source.sound()], 1.0)
    assert stream.clock_at(stream.video, 2.0) is None
    stream.packets([*source.picture(), *source.sound()], 4.5)
    video = stream.clock_at(stream.video, 5.0)
    audio = stream.clock_at(stream.audio, 5.0)
    assert video is not None
    assert audio is not None
    assert video[0] == audio[0] == 5 << 32


def test_attaching_twice_is_attaching_once() -> None:
    stream, sink = stream_with_sink()
    stream.attach(sink)
    stream.packets(Source().picture(), 1.0)
    assert len(sink.batches) == 1
    stream.detach(sink)
    stream.detach(sink)
    stream.packets(Source(sequence=100).picture(), 1.0)
    assert len(sink.batches) == 1
