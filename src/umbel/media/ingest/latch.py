"""Which sender a port without keys listens to: the first one, for as long as it sends.

In: where a packet came from and what it is. Out: whether it counts. Both media of an RTP publisher
may come from two sockets of one host, so each payload type has its own.
"""

from dataclasses import dataclass, field

SILENCE_S = 3.0
Source = tuple[str, int]


@dataclass(slots=True)
class Latch:
    """`lane` tells apart what may have a socket of its own; lane -1 (RTCP) needs the host alone."""

    host: str = ""
    heard_s: float = 0.0
    _lanes: dict[int, Source] = field(default_factory=dict)

    def admits(self, source: Source, lane: int, now_s: float) -> bool:
        """Whether this packet is the publisher's. The first packet after silence chooses anew."""
        if self.silent(now_s):
            if lane < 0:
                return False
            self.host = source[0]
            self._lanes.clear()
        if source[0] != self.host or (lane >= 0 and self._lanes.setdefault(lane, source) != source):
            return False
        if lane >= 0:
            self.heard_s = now_s
        return True

    def silent(self, now_s: float) -> bool:
        """Whether nobody sends."""
        return not self.host or now_s - self.heard_s > SILENCE_S

    def release(self) -> None:
        """Forget the sender."""
        self.host = ""
