"""What was sent is found again, what is missing is asked for: a few times, and once for all."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from support.h264 import Source
from umbel.media.model import PayloadType
from umbel.media.rtp import feedback, packet
from umbel.media.rtp.feedback import ASKED_ONCE_S, MOST_MISSED, Aggregate, PacketsMissed
from umbel.media.rtp.losses import Losses, SourceLosses
from umbel.media.rtp.stream import LiveStream
from umbel.media.wire.datagrams import Ring
from umbel.media.wire.recent import Recent

SSRC = 0x1234


def rtp(sequence: int, size: int = 100, ssrc: int = SSRC) -> bytes:
    header = packet.build_header(PayloadType.H264, sequence, sequence // 3 * 3000, ssrc)
    return header + bytes([0x41]) + bytes(size - 13)


@given(st.lists(st.integers(13, 60), min_size=1, max_size=60), st.data())
def test_every_packet_that_was_sent_is_found(sizes: list[int], data: st.DataObject) -> None:
    recent, ring, start = Recent(), Ring(), data.draw(st.integers(0, 0xFFFF))
    sent: dict[int, bytes] = {}
    for number, size in enumerate(sizes):
        sequence = (start + 5 * number) & 0xFFFF
        run = [rtp((sequence + n) & 0xFFFF, size) for n in range(4)]
        last = rtp((sequence + 4) & 0xFFFF, data.draw(st.integers(13, size)))
        assert ring.fill([*run, last]) == 5
        recent.put(ring)
        sent |= {packet.sequence_of(one): one for one in (*run, last)}
    wanted = data.draw(st.lists(st.integers(0, 0xFFFF), max_size=20))
    wanted += data.draw(st.lists(st.sampled_from(sorted(sent)), max_size=20))
    assert recent.find(SSRC, wanted) == {n: sent[n] for n in wanted if n in sent}
    assert recent.find(SSRC + 1, wanted) == {}


@given(st.lists(st.integers(13, 400), min_size=1, max_size=60))
def test_what_is_written_over_is_forgotten(sizes: list[int]) -> None:
    recent, ring, sent = Recent(1000), Ring(), dict[int, bytes]()
    for sequence, size in enumerate(sizes):
        sent[sequence] = rtp(sequence, size)
        assert ring.fill([sent[sequence]]) == 1
        recent.put(ring)
        found = recent.find(SSRC, sent)
        assert list(found) == list(range(sequence + 1))[-len(found) :]
        assert all(found[number] == sent[number] for number in found)
        assert sum(map(len, found.values())) > min(sum(sizes[: sequence + 1]), 1000 - 2 * 400) - 1


def remembered(batches: Sequence[Sequence[bytes]], size: int = 1 << 20) -> Recent:
    recent, ring = Recent(size), Ring()
    for batch in batches:
        left = list(batch)
        while left:
            del left[: ring.fill(left)]
            recent.put(ring)
    return recent


@given(st.integers(0, 200), st.integers(2, 40), st.booleans())
def test_a_new_hop_begins_with_the_last_two_groups_of_pictures(
    frames: int, gop: int, is_small: bool
) -> None:
    source = Source(gop=gop)
    pictures = [[*source.picture(), *source.sound(), *source.report()] for _ in range(frames)]
    size = 20_000 if is_small else 1 << 20
    found = remembered(pictures, size).groups()
    starts = list(range(0, frames, gop))
    whole = [[data for picture in pictures[at:] for data in picture] for at in starts[-2:]]
    last_two = [*whole, [], []][:2]
    if not is_small:
        assert found == last_two[0]
    else:
        assert found in (*last_two, [])
        assert found or sum(map(len, (whole or [[]])[-1])) > size // 2 or not whole


def test_the_groups_are_of_the_source_that_sends_now() -> None:
    before, now = Source(ssrc=1), Source(ssrc=2)
    batches = [before.picture() for _ in range(40)]
    batches += [now.picture() for _ in range(5)]
    assert remembered(batches).groups() == [data for batch in batches[40:] for data in batch]
    assert remembered(batches[1:30]).groups() == []


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=30))
def test_whatever_was_sent_groups_are_some_of_its_end(batch: list[bytes]) -> None:
    found = remembered([batch]).groups()
    whole = [data for data in batch if len(data) >= packet.HEADER_BYTES]
    assert found == whole[len(whole) - len(found) :]


def test_a_missing_packet_is_asked_for_a_few_times_ever_more_rarely() -> None:
    losses, asked = Losses(), []
    losses.skipped(10, 12, 0.0)
    losses.came(11)
    for step in range(1000):
        now_s = step / 100
        if losses.is_due(now_s):
            asked += [(now_s, index) for index in losses.due(now_s)]
    assert {index for _, index in asked} == {10}
    times = [at_s for at_s, _ in asked]
    assert len(times) == 4
    waits = [b - a for a, b in pairwise(times)]
    assert waits == sorted(waits)
    assert times[-1] < 1.0
    assert not losses.is_due(1e9)


def test_a_source_is_watched_over_the_end_of_its_numbers() -> None:
    losses = SourceLosses(rtp(0xFFFD, 20))
    for sequence in (0xFFFE, 1, 0):
        losses.came(rtp(sequence, 20), 0.0)
    assert losses.missed(0.0) == PacketsMissed(SSRC, (0xFFFF,))
    assert losses.missed(0.01) is None
    losses.came(rtp(0xFFFF, 20), 0.02)
    losses.came(rtp(0xFFFE, 20), 0.02)  # again
    assert losses.missed(10.0) is None


def test_a_long_gap_is_asked_for_in_parts_and_only_its_end() -> None:
    losses = Losses()
    losses.skipped(0, 100_000, 0.0)
    first, found = losses.due(0.0), set[int]()
    assert len(first) == MOST_MISSED
    found.update(first)
    while losses.is_due(0.0):
        found.update(losses.due(0.0))
    assert found == set(range(100_000 - 2048, 100_000))


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=MOST_MISSED, unique=True))
def test_missed_packets_survive_the_wire(sequences: list[int]) -> None:
    missed = PacketsMissed(SSRC, tuple(sequences))
    (*_, found) = feedback.from_rtcp(feedback.to_rtcp(missed, 9))
    assert isinstance(found, PacketsMissed)
    assert (found.ssrc, set(found.sequences)) == (SSRC, set(sequences))


def test_a_packet_that_many_miss_is_asked_for_once() -> None:
    aggregate = Aggregate()
    missed = PacketsMissed(SSRC, (1, 2))
    assert aggregate.throttled(missed, 0.0) == missed
    assert aggregate.throttled(missed, ASKED_ONCE_S / 2) is None
    wider = PacketsMissed(SSRC, (1, 2, 3))
    assert aggregate.throttled(wider, ASKED_ONCE_S / 2) == PacketsMissed(SSRC, (3,))
    assert aggregate.throttled(PacketsMissed(SSRC + 1, (1,)), 0.0) is not None
    assert aggregate.throttled(missed, ASKED_ONCE_S) == missed


def test_a_stranger_cannot_make_what_was_asked_grow() -> None:
    aggregate, passed = Aggregate(), 0
    for ssrc in range(100):
        found = aggregate.throttled(PacketsMissed(ssrc, tuple(range(MOST_MISSED))), 0.0)
        passed += len(found.sequences) if isinstance(found, PacketsMissed) else 0
    assert passed <= 4096 + MOST_MISSED


class Edge:
    """A live stream whose requests are kept, in the source's numbers."""

    def __init__(self) -> None:
        self.live, self.out, self.asked = LiveStream(), list[bytes](), list[int]()
        self.live.attach(self)
        self.live.on_feedback = self._ask

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self.out += batch

    def _ask(self, value: object, now_s: float) -> None:
        assert isinstance(value, PacketsMissed)
        assert value.ssrc == SSRC
        self.asked += value.sequences

    def took(self) -> list[int]:
        """The numbers that came out, from the first one on."""
        numbers = [packet.sequence_of(one) for one in self.out]
        return sorted(packet.sequence_ahead(number, numbers[0]) for number in numbers)


def test_an_edge_asks_for_a_gap_and_fills_it_across_the_wrap() -> None:
    edge, start = Edge(), 0xFFF0
    for n in (*range(10), *range(30, 40)):
        edge.live.packets([rtp((start + n) & 0xFFFF)], 1.0 + n / 1000)
    assert edge.asked == [(start + n) & 0xFFFF for n in range(10, 30)]
    for n in (*range(10, 30), 15, 16):
        edge.live.packets([rtp((start + n) & 0xFFFF)], 1.05)
    assert edge.took() == list(range(40))
    edge.live.packets([rtp((start + 40) & 0xFFFF)], 9.0)
    assert len(edge.asked) == 20


def test_what_was_sent_long_ago_fills_a_gap_and_is_no_new_source() -> None:
    edge = Edge()
    edge.live.packets([rtp(0)], 1.0)
    edge.live.packets([rtp(n) for n in range(2500, 2600)], 3.0)
    edge.live.packets([rtp(n) for n in range(600, 2500)], 3.1)
    assert edge.took() == [0, *range(600, 2600)]


def test_another_source_ends_the_questions_about_the_one_before() -> None:
    edge = Edge()
    edge.live.packets([rtp(0), rtp(5)], 1.0)
    assert len(edge.asked) == 4
    other = rtp(700, ssrc=77)
    edge.live.packets([other], 2.0)
    edge.live.packets([rtp(701, ssrc=77)], 3.0)
    assert len(edge.asked) == 4
