"""What a sender sent lately, to send again what a hop lost. No I/O.

In: a ring's slots as they left. Out: RTP packets by SSRC and sequence number. Remembering costs one
copy for each slot, into memory that is used again and again, and no look at its packets; the
search, which is rare, goes from the newest one back.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from umbel.media.rtp import packet as rtp
from umbel.media.wire.datagrams import SLOT_BYTES, Ring, private_memory

_BYTES = 512 << 10
"""Two seconds of a stream of 2 Mbit/s: a lost forwarder is noticed and bridged within one."""
_MOST_SLOTS = 4096


class Recent:
    """The last slots, as far as they fit into `size` bytes, which is at least a slot's length."""

    def __init__(self, size: int = _BYTES) -> None:
        self._size = size
        self._memory = memoryview(private_memory(size))
        self._end = 0  # counts on over the memory's end
        self._slots: deque[tuple[int, int, int]] = deque(maxlen=_MOST_SLOTS)

    def put(self, ring: Ring) -> None:
        """Remember what the ring's slots hold, instead of the oldest ones."""
        memory, whole, slots = self._memory, self._size, ring.slots
        at = 0
        for length, size in zip(ring.lengths, ring.sizes, strict=True):
            start, data = self._end % whole, slots[at : at + length]
            if start + length > whole:
                self._end += whole - start
                start = 0
            memory[start : start + length] = data
            self._slots.append((self._end, length, size or length))
            self._end += length
            at += SLOT_BYTES

    def find(self, ssrc: int, sequences: Iterable[int]) -> dict[int, bytes]:
        """The packets of these numbers that are remembered, the oldest first."""
        wanted, source = set(sequences), ssrc.to_bytes(4, "big")
        found: dict[int, bytes] = {}
        for packet in self._newest_first():
            if not wanted:
                break
            sequence = rtp.sequence_of(packet)
            if sequence in wanted and packet[8:12] == source and not rtp.is_rtcp(packet):
                found[sequence] = packet
                wanted.discard(sequence)
        return dict(reversed(found.items()))

    def _newest_first(self) -> Iterator[bytes]:
        for first, length, size in reversed(self._slots):
            if first < self._end - self._size:
                return  # written over
            start = first % self._size
            data = bytes(self._memory[start : start + length])
            for at in range((length - 1) // size * size, -1, -size):
                if min(size, length - at) >= rtp.HEADER_BYTES:
                    yield data[at : at + size]
