"""What goes through an end of a hop: how much in all, and how much lately. Pure."""

from dataclasses import dataclass

from umbel.media.rtp.rate import RateMeter

_RATE_WINDOW_S = 3.0
_RATE_MARK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class UdpStats:
    """What went through since the start; `mbps` over the last seconds."""

    packets: int
    bytes: int
    mbps: float


class Meter:
    """Counts packets and bytes, and knows the rate of the last seconds."""

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self._rate = RateMeter(_RATE_WINDOW_S)
        self._next_mark_s = float("-inf")

    def add(self, packets: int, size: int, now_s: float) -> None:
        if now_s >= self._next_mark_s:
            self._next_mark_s = now_s + _RATE_MARK_S
            self._rate.mark(now_s, self.bytes)
        self.packets += packets
        self.bytes += size

    def stats(self, now_s: float) -> UdpStats:
        size, span_s = self._rate.since(now_s, self.bytes)
        mbps = size * 8 / max(span_s, _RATE_MARK_S) / 1e6
        return UdpStats(packets=self.packets, bytes=self.bytes, mbps=mbps)
