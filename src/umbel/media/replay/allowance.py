"""How much replays may send: what live viewers leave. Pure; a bucket that may go into debt.

In: a rate, and what is sent when. Out: whether another piece may begin.
"""

_BURST_S = 2.0


class Allowance:
    """Nothing may be sent before `set` was called."""

    def __init__(self) -> None:
        self._bytes_s = 0.0
        self._left = 0.0
        self._at_s = 0.0

    def set(self, mbps: float, now_s: float) -> None:
        """The rate from now on."""
        self._fill(now_s)
        if self._bytes_s == 0.0:
            self._left = mbps * 125_000 * _BURST_S
        self._bytes_s = mbps * 125_000
        self._left = min(self._left, self._bytes_s * _BURST_S)

    def take(self, size: int, now_s: float) -> bool:
        """Whether a piece of that size may be sent now; it counts then."""
        self._fill(now_s)
        if self._bytes_s <= 0 or self._left <= 0:
            return False
        self._left -= size
        return True

    def _fill(self, now_s: float) -> None:
        more = (now_s - self._at_s) * self._bytes_s
        self._left = min(self._left + more, self._bytes_s * _BURST_S)
        self._at_s = now_s
