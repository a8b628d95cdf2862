"""A clock that a test sets."""

from dataclasses import dataclass


@dataclass
class SetClock:
    """The calendar and the steady clock stand where they are put."""

    at_s: float = 0.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_s(self) -> float:
        return self.at_s
