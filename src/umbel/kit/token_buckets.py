"""How often something may be done, by key: a token bucket for each, kept as one time.

In: tokens taken, with the time. Out: how long to wait. Pure. Memory is bounded: of more keys the
one that was used longest ago is forgotten, and has a full bucket then. The arithmetic is that of
the generic cell rate algorithm (ITU-T I.371, Annex A): a bucket is the time when it is full again.
"""

from collections import OrderedDict

_MOST_KEPT = 10_000


class TokenBuckets:
    """Each key has a bucket of `size` tokens, which is filled again within `refill_s` seconds."""

    def __init__(self, size: int, refill_s: float) -> None:
        self._interval_s, self._refill_s = refill_s / size, refill_s
        self._full_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """0.0 when there is a token, else the seconds until there is one."""
        after_s = max(self._full_s.get(key, now_s), now_s) + self._interval_s
        # A whole bucket takes `refill_s`, whatever the sum of its parts is rounded to.
        return max(0.0, after_s - now_s - self._refill_s - self._interval_s / 1000)

    def take(self, key: str, now_s: float) -> float:
        """Take a token where there is one; the result is `wait_s` before that."""
        wait_s = self.wait_s(key, now_s)
        if wait_s == 0:
            self._full_s[key] = max(self._full_s.get(key, now_s), now_s) + self._interval_s
            self._full_s.move_to_end(key)
            if len(self._full_s) > _MOST_KEPT:
                self._full_s.popitem(last=False)
        return wait_s
