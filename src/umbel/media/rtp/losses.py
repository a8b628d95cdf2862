"""Which packets of a source are missing, and when to ask for them again. No I/O.

In: the indices that a newer packet skipped and those that came late, with the time. Out: the
indices to ask for now. Each is asked for a few times, ever more rarely, and then given up.
"""

from umbel.media.rtp import packet as rtp
from umbel.media.rtp.feedback import MOST_MISSED, PacketsMissed

_ASK_AGAIN_S = 0.1
_TRIES = 4
_MOST_MISSING = 2048


class Losses:
    """The missing packets of one source, at most the newest 2048."""

    def __init__(self) -> None:
        self._missing: dict[int, tuple[int, float]] = {}  # tries so far, and when the next is due
        self._next_s = float("inf")

    def clear(self) -> None:
        """Another source begins: nothing of the one before is asked for."""
        self._missing.clear()
        self._next_s = float("inf")

    def skipped(self, first: int, end: int, now_s: float) -> None:
        """A packet came whose index is `end`, and those from `first` on did not."""
        for index in range(max(first, end - _MOST_MISSING), end):
            self._missing[index] = (0, now_s)
        while len(self._missing) > _MOST_MISSING:
            del self._missing[next(iter(self._missing))]
        self._next_s = now_s

    def came(self, index: int) -> None:
        """It is there after all."""
        self._missing.pop(index, None)

    def is_due(self, now_s: float) -> bool:
        """Whether `due` may have something."""
        return now_s >= self._next_s

    def due(self, now_s: float) -> list[int]:
        """What to ask for now, at most 256 packets; more of them are due at once."""
        asked = [i for i, (_, at_s) in self._missing.items() if at_s <= now_s][:MOST_MISSED]
        for index in asked:
            tries = self._missing[index][0] + 1
            if tries == _TRIES:
                del self._missing[index]
            else:
                self._missing[index] = (tries, now_s + _ASK_AGAIN_S * 2.0 ** (tries - 1))
        self._next_s = min((at_s for _, at_s in self._missing.values()), default=float("inf"))
        return asked


class SourceLosses:
    """The missing packets of one source, by the numbers of those that come."""

    def __init__(self, packet: bytes) -> None:
        """From this packet on."""
        self.ssrc = rtp.ssrc_of(packet)
        self._losses = Losses()
        self._next = rtp.sequence_of(packet) + 1  # does not wrap; its lower 16 bits are on the wire

    def came(self, packet: bytes, now_s: float) -> None:
        """Take the next packet, late or not."""
        index = self._next + rtp.sequence_ahead(rtp.sequence_of(packet), self._next)
        if index < self._next:
            self._losses.came(index)
            return
        if index != self._next:
            self._losses.skipped(self._next, index, now_s)
        self._next = index + 1

    def missed(self, now_s: float) -> PacketsMissed | None:
        """What to ask for now; None: nothing."""
        due = self._losses.due(now_s) if self._losses.is_due(now_s) else []
        return PacketsMissed(self.ssrc, tuple(i & 0xFFFF for i in due)) if due else None
