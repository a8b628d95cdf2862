"""How much flows: counts in, rates out. Pure; the server's housekeeping feeds it twice a second."""

from dataclasses import dataclass

from umbel.media.rtp.rate import RateMeter

_WINDOW_S = 3.0
FLOWING_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Count:
    """What went through an element since it was made."""

    packets: int = 0
    bytes: int = 0


class Flow:
    """Remembers a few counts back."""

    def __init__(self) -> None:
        self._rate = RateMeter(_WINDOW_S)
        self._seen_s = 0.0
        self._packets = self._bytes = 0
        self._moved_s = float("-inf")

    def sample(self, count: Count, now_s: float) -> None:
        """Take a reading."""
        if count.packets != self._packets:
            self._packets, self._moved_s = count.packets, now_s
        self._seen_s, self._bytes = now_s, count.bytes
        self._rate.mark(now_s, count.bytes)

    def mbps(self) -> float:
        """The rate over the last seconds, in Mbit/s."""
        size, span_s = self._rate.since(self._seen_s, self._bytes)
        return size * 8 / 1e6 / max(span_s, 0.001)

    def is_flowing(self, now_s: float) -> bool:
        """Whether packets went through in the last two seconds."""
        return now_s - self._moved_s < FLOWING_S
