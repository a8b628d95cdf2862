"""A rate over the last seconds, from a running total. Used where bytes come in or go out."""

from collections import deque


class RateMeter:
    """Remembers totals of the last `window_s` seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, at_s: float, total: int) -> None:
        """Remember the total as it was at that time. Times never go back."""
        self._marks.append((at_s, total))
        while self._marks[0][0] < at_s - self._window_s:
            self._marks.popleft()

    def since(self, now_s: float, total: int) -> tuple[int, float]:
        """What came during the window, and how many seconds that took; (0, 0.0) without marks."""
        oldest_s = now_s - self._window_s
        first_s, first = next((m for m in self._marks if m[0] >= oldest_s), (now_s, total))
        return total - first, now_s - first_s
