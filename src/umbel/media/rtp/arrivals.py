"""How many packets of an encoder are lost on the way. Pure.

In: RTP packets (RFC 3550) as they came, or counts of a protocol that keeps its own. Out: how many
were expected and lost, in all and lately.
"""

from collections import deque
from dataclasses import dataclass

from umbel.media.rtp import packet as rtp

_WINDOW_S = 10.0
_MOST_SOURCES = 8
_MOST_AHEAD = 3000
"""A longer jump of RTP's numbers is another stream, not a loss."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """Packets since an encoder began: how many there should be, and how many did not come. What
    came once more after it was asked for counts as lost."""

    expected: int = 0
    lost: int = 0

    def __add__(self, other: "Arrived") -> "Arrived":
        return Arrived(expected=self.expected + other.expected, lost=self.lost + other.lost)


class RtpCounter:
    """Counts RTP by the sequence numbers of each source; of several, the newest eight."""

    def __init__(self) -> None:
        self._past = Arrived()
        self._sources: dict[int, _CountedSource] = {}

    @property
    def arrived(self) -> Arrived:
        """Since the beginning."""
        return sum((one.arrived for one in self._sources.values()), self._past)

    def count(self, datagram: bytes) -> None:
        """Take the next datagram; what is no RTP packet is ignored."""
        if len(datagram) < rtp.HEADER_BYTES or rtp.is_rtcp(datagram):
            return
        ssrc, sequence = rtp.ssrc_of(datagram), rtp.sequence_of(datagram)
        known = self._sources.get(ssrc)
        if known is None or abs(rtp.sequence_ahead(sequence, known.highest)) > _MOST_AHEAD:
            self._begin(ssrc, sequence)
        else:
            known.count(sequence)

    def _begin(self, ssrc: int, sequence: int) -> None:
        before = self._sources.pop(ssrc, None)
        if before is None and len(self._sources) >= _MOST_SOURCES:
            before = self._sources.pop(next(iter(self._sources)))
        if before is not None:
            self._past += before.arrived
        self._sources[ssrc] = _CountedSource(sequence)


class _CountedSource:
    """One SSRC. A packet that came late was not lost."""

    def __init__(self, sequence: int) -> None:
        self.highest = sequence
        self._expected = self._received = 1

    @property
    def arrived(self) -> Arrived:
        return Arrived(expected=self._expected, lost=max(0, self._expected - self._received))

    def count(self, sequence: int) -> None:
        ahead = rtp.sequence_ahead(sequence, self.highest)
        if ahead > 0:
            self._expected += ahead
            self.highest += ahead
        if ahead != 0:
            self._received += 1


class LossWindow:
    """The share of lost packets within the last ten seconds, by counts that only grow."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Arrived]] = deque()

    def sample(self, arrived: Arrived, now_s: float) -> None:
        """What there is now. Counts that went back begin again."""
        if self._samples and arrived.expected < self._samples[-1][1].expected:
            self._samples.clear()
        self._samples.append((now_s, arrived))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - _WINDOW_S:
            self._samples.popleft()

    @property
    def share(self) -> float:
        """From 0 to 1; 0 where nothing was expected."""
        if not self._samples:
            return 0.0
        first, last = self._samples[0][1], self._samples[-1][1]
        expected = last.expected - first.expected
        return min(1.0, max(0, last.lost - first.lost) / expected) if expected else 0.0
