"""How much flows: counts in, rates out. Pure; the server's housekeeping feeds it twice a second."""

from collections import deque
from dataclasses import dataclass

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
        self._marks: deque[tuple[float, int]] = deque()
        self._packets = 0
        self._moved_s = float("-inf")

    def see(self, count: Count, now_s: float) -> None:
        """Take a reading."""
        if count.packets != self._packets:
            self._packets, self._moved_s = count.packets, now_s
        self._marks.append((now_s, count.bytes))
        while len(self._marks) > 2 and self._marks[1][0] <= now_s - _WINDOW_S:
            self._marks.popleft()

    def mbps(self) -> float:
        """The rate over the last seconds, in Mbit/s."""
        if len(self._marks) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._marks[0], self._marks[-1]
        return (last - first) * 8 / 1e6 / max(last_s - first_s, 0.001)

    def is_flowing(self, now_s: float) -> bool:
        """Whether packets went through in the last two seconds."""
        return now_s - self._moved_s < FLOWING_S
