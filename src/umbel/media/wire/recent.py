"""What a sender sent lately, to send again what a hop lost, and to have a new hop begin with. No
I/O.

In: a ring's slots as they left. Out: RTP packets by SSRC and sequence number, or since a key
picture. Remembering costs one copy for each slot, into memory that is used again and again, and no
look at its packets; the searches, which are rare, look at them.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from umbel.media.rtp import gop
from umbel.media.rtp import packet as rtp
from umbel.media.wire.datagrams import SLOT_BYTES, Ring, private_memory

_BYTES = 2 << 20
"""Four seconds of a stream of 4 Mbit/s: two groups of pictures of the usual length."""
_GROUPS = 2
"""A new hop begins with so many groups of pictures: the last one, and a whole one before it. HLS
needs a whole one for its first playlist."""
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

    def groups(self) -> list[bytes]:
        """The packets, RTCP too, since the last key picture but one of the video began, or since
        the last one; none where no key picture is remembered."""
        packets = list(self._newest_first())[::-1]
        starts: list[tuple[bytes, int]] = []  # each with its source
        key_time = parameters_time = b""
        parameters_at = 0
        for at, packet in enumerate(packets):
            if rtp.is_rtcp(packet) or (begun := gop.begins(packet)) is None:
                continue
            time = packet[4:12]
            if begun.parameters and time != parameters_time:
                parameters_time, parameters_at = time, at
            if begun.key_slice and time != key_time:
                key_time = time
                starts.append((time[4:], parameters_at if time == parameters_time else at))
        of_newest = [at for source, at in starts if source == starts[-1][0]]
        return packets[of_newest[-_GROUPS:][0] :] if of_newest else []

    def _newest_first(self) -> Iterator[bytes]:
        for first, length, size in reversed(self._slots):
            if first < self._end - self._size:
                return  # written over
            start = first % self._size
            data = bytes(self._memory[start : start + length])
            for at in range((length - 1) // size * size, -1, -size):
                if min(size, length - at) >= rtp.HEADER_BYTES:
                    yield data[at : at + size]
