"""One medium on its way to one viewer: where the stream's packets lie in the viewer's numbers.

In: live packets, the keyframe cache, requests for lost packets and for key pictures. Out: packets
with the viewer's payload type, sequence numbers and timestamps. A viewer's numbers are the
stream's plus an offset. A replay of the cached group of pictures gets the numbers after the last
one sent and raises the offset, so what follows live has no gap; its timestamps are squeezed
before the next live one, so that they rise and the clock mapping stays.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from umbel.media.rtp import packet as rtp
from umbel.media.rtp.stream import Track
from umbel.media.webrtc import batch as batches
from umbel.media.webrtc import srtp
from umbel.media.webrtc.negotiate import Medium
from umbel.media.webrtc.srtp import LONGEST_PACKET, NumberedPacket

# At the start nothing was shown yet: cached pictures lie one millisecond apart, then live ones.
_START_STEP_MS = 1
_REPLAY_EVERY_S = 1.0
# A viewer that asks again so soon after a replay was not helped by it.
_UNHELPED_S = 3.0
# A receiver's socket holds about 200 packets: a burst must stay far below that, however late.
_PACE_BYTES_PER_S = 2_500_000
_PACE_WITHIN_S = 0.25
_LONGEST_BURST_S = 0.008
_RESEND_AGAIN_S = 0.015
_MOST_RESENDS_PER_S = 1000
_MOST_SEGMENTS = 4


class NumberRange(NamedTuple):
    """From index `first` on, in the viewer's numbers, this offset and these timestamps hold."""

    first: int
    offset: int
    times: dict[bytes, bytes]


class Outlet:
    """Sends one track to one viewer. `offset` is what live packets' indices are raised by."""

    def __init__(self, track: Track, medium: Medium, rtx_ssrc: int) -> None:
        self.track = track
        self.payload_type = medium.codec.payload_type
        self.rtx_type = medium.rtx_type
        self.rtx_ssrc = rtx_ssrc
        self.offset = 0
        self.resent = 0
        self.replays = 0
        self._live_from = 0
        self._sent_until = 0
        self._segments: list[NumberRange] = []
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paced_s = 0.0
        self._replay_due = False
        self._replayed_s = self._answered_s = float("-inf")
        self._rtx_sequence = 0
        self._resent_s: dict[int, float] = {}
        self._window_s = 0.0
        self._window_count = 0
        self._counts_at_start = (0, 0)
        self._replayed = [0, 0]

    @property
    def is_plain(self) -> bool:
        """Whether live packets need nothing but the shared rewriting."""
        return not self._waiting and not self._replay_due

    @property
    def is_pacing(self) -> bool:
        """Whether packets wait to be sent by `paced`."""
        return bool(self._waiting)

    @property
    def counts(self) -> tuple[int, int]:
        """Packets and octets of the payload sent so far, for sender reports."""
        packets = self.track.packets - self._counts_at_start[0] + self._replayed[0]
        octets = self.track.octets - self._counts_at_start[1] + self._replayed[1]
        return packets, octets

    def start(self, now_s: float) -> None:
        """Begin with the cached group of pictures, so that a picture is there at once."""
        cached = self._cached(self.track.next_index)
        first = self._index(cached[0]) if cached else self.track.next_index
        # SRTP receivers take the rollover counter for 0, and are right as long as the first number
        # is far from the wrap.
        self.offset = (first & 0x7FFF) - first
        self._counts_at_start = (self.track.packets, self.track.octets)
        self._live_from = self._sent_until = self.track.next_index
        step = _START_STEP_MS * self.track.clock_hz // 1000
        times = _times_of(cached)
        last = int.from_bytes(times[-1], "big") if times else 0
        squeezed = {time: _time(last - step * (len(times) - 1 - n)) for n, time in enumerate(times)}
        self._enter(NumberRange(first + self.offset, self.offset, squeezed), cached, now_s)

    def request_picture(self, now_s: float) -> bool:
        """A key picture is asked for: replay before the next live picture, unless just done.

        Whether the cache answers the request; otherwise only the source can.
        """
        if not self.track.gop.has_key:
            return False
        if now_s - self._replayed_s >= _REPLAY_EVERY_S:
            self._replay_due = True  # where packets are missing, they may come until then
        return (
            self.track.gop.is_filled
            and not _REPLAY_EVERY_S <= now_s - self._answered_s < _UNHELPED_S
        )

    def is_stale(self, oldest: int | None) -> bool:
        """Whether a batch with this lowest index has packets from before the live part."""
        return oldest is not None and oldest < self._live_from

    def passed(self, end: int) -> None:
        """Live packets up to the index before `end` were handed on."""
        self._sent_until = max(self._sent_until, end)

    def parts(self, packets: Sequence[bytes]) -> list[NumberedPacket]:
        """Packets with the viewer's numbers, ready to be protected."""
        end = self.track.next_index + self.offset
        return [
            srtp.part_of(one, end + rtp.sequence_ahead(rtp.sequence_of(one), end))
            for one in packets
        ]

    @property
    def base(self) -> int:
        """What shared counters (batch.Wire) are too high by: whole rollovers."""
        return (self.offset & 0xFFFF) - self.offset

    def live(self, packets: Sequence[bytes], now_s: float) -> list[bytes]:
        """The medium's packets of a batch for this viewer, where `is_plain` does not hold."""
        out: list[bytes] = []
        for packet in packets:
            index = self._index(packet)
            if self._replay_due and self._begins_picture(packet, index):
                self._replay(packet, now_s)
            self.passed(index + 1)
            if index < self._live_from:
                continue
            data = batches.rewritten(packet, self.payload_type, self.offset)
            if self._waiting:
                self._wait(data)
            else:
                out.append(data)
        return out

    def paced(self, now_s: float) -> list[bytes]:
        """The waiting packets that may go now: fast enough to catch up, slow enough to arrive."""
        elapsed_s = min(now_s - self._paced_s, _LONGEST_BURST_S)
        rate = max(_PACE_BYTES_PER_S, self._waiting_bytes / _PACE_WITHIN_S)
        budget = rate * elapsed_s
        out: list[bytes] = []
        while self._waiting and budget > 0:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            budget -= len(data)
            out.append(data)
        self._paced_s = now_s
        return out

    def resend(self, sequences: Sequence[int], now_s: float) -> list[bytes]:
        """Answers to a NACK: RFC 4588 packets, or the same packets where that is not agreed."""
        if now_s - self._window_s >= 1.0:
            self._window_s, self._window_count = now_s, 0
            self._resent_s = {n: at for n, at in self._resent_s.items() if now_s - at < 1.0}
        out: list[bytes] = []
        for sequence in sequences:
            packet = self._find(sequence) if self._may_resend(sequence, now_s) else None
            if packet is not None:
                self._resent_s[sequence] = now_s
                self._window_count += 1
                out.append(packet if self.rtx_type is None else self._as_rtx(packet))
        self.resent += len(out)
        return out

    def _enter(self, segment: NumberRange, cached: Sequence[bytes], now_s: float) -> None:
        self._segments = [*self._segments[1 - _MOST_SEGMENTS :], segment]
        self._resent_s.clear()
        self._replayed_s = now_s
        if cached:
            self._answered_s = now_s
        self._paced_s = now_s - _LONGEST_BURST_S
        for packet in cached:
            time = segment.times.get(packet[4:8], b"")
            self._wait(batches.rewritten(packet, self.payload_type, segment.offset, time))
            self._replayed[0] += 1
            self._replayed[1] += len(packet) - rtp.HEADER_BYTES

    def _wait(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    def _begins_picture(self, packet: bytes, index: int) -> bool:
        """Whether the packet is the first of a picture, after all that was sent.

        A replay takes the numbers from here on: one that was used before, because a later packet
        overtook this one, must never be used for something else (the cipher's nonce is made of it).
        """
        before = self.track.history.get(index - 1)
        is_next = index >= self._sent_until
        return is_next and before is not None and before[4:8] != packet[4:8]

    def _replay(self, following: bytes, now_s: float) -> None:
        """Send the cached pictures again in front of `following`, the first of the next."""
        self._replay_due = False
        end = self._index(following)
        cached = self._cached(end)
        times = _times_of(cached)
        before = self.track.history.get(end - 1)
        if not cached or before is None:
            return  # the next live picture is a key picture itself
        sent = rtp.timestamp_of(before)
        gap = rtp.timestamp_ahead(rtp.timestamp_of(following), sent)
        if gap <= len(times):
            return
        squeezed = {
            time: _time(sent + gap * (n + 1) // (len(times) + 1)) for n, time in enumerate(times)
        }
        first = end + self.offset
        self.offset = first - self._index(cached[0])
        self._live_from = end
        self.replays += 1
        self._enter(NumberRange(first, self.offset, squeezed), cached, now_s)

    def _may_resend(self, sequence: int, now_s: float) -> bool:
        again_s = now_s - self._resent_s.get(sequence, float("-inf"))
        return again_s >= _RESEND_AGAIN_S and self._window_count < _MOST_RESENDS_PER_S

    def _find(self, sequence: int) -> bytes | None:
        """The packet that was sent under this number."""
        end = self.track.next_index + self.offset
        index = end + rtp.sequence_ahead(sequence, end)
        for segment in reversed(self._segments):
            if segment.first <= index < end:
                packet = self.track.history.get(index - segment.offset)
                if packet is None or len(packet) > LONGEST_PACKET:
                    return None
                time = segment.times.get(packet[4:8], b"")
                return batches.rewritten(packet, self.payload_type, segment.offset, time)
        return None

    def _index(self, packet: bytes) -> int:
        return self.track.index_of(rtp.sequence_of(packet))

    def _cached(self, end: int) -> list[bytes]:
        """The cached pictures before the index `end`, in order, without what is too long."""
        fitting = [packet for packet in self.track.gop.packets if len(packet) <= LONGEST_PACKET]
        return sorted((one for one in fitting if self._index(one) < end), key=self._index)

    def _as_rtx(self, packet: bytes) -> bytes:
        second = packet[1] & 0x80 | (self.rtx_type or 0)
        time = rtp.timestamp_of(packet)
        header = rtp.build_header(second, self._rtx_sequence, time, self.rtx_ssrc)
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        return header + packet[2:4] + packet[rtp.HEADER_BYTES :]


def _times_of(packets: Sequence[bytes]) -> list[bytes]:
    """The timestamps of the pictures, each once, in order."""
    return list(dict.fromkeys(packet[4:8] for packet in packets))


def _time(timestamp: int) -> bytes:
    return (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
