"""When rules that switches refused are tried again: after growing waits. Pure."""

from umbel.kit import backoff

_LONGEST_S = 60.0


class Retries:
    """The waits grow from `first_s` as long as switches go on refusing, up to a minute."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._failures = 0
        self._at_s: float | None = None

    def is_due(self, now_s: float) -> bool:
        """Whether to try now."""
        return self._at_s is not None and now_s >= self._at_s

    def update(self, now_s: float, *, is_refused: bool) -> float | None:
        """After a run, which began at `now_s` and left something refused or nothing. Returns when
        to try, if at all."""
        if not is_refused:
            self._failures, self._at_s = 0, None
        elif self._at_s is None or self.is_due(now_s):
            self._failures += 1
            draw = backoff.draw("rules", self._failures)
            wait_s = backoff.wait_s(
                self._failures, draw, first_s=self._first_s, longest_s=_LONGEST_S
            )
            self._at_s = now_s + wait_s
        return self._at_s
