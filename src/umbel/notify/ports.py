"""What carries a notice to its subscriber. tests/contract/test_courier.py defines it in full."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from umbel.kit.errors import Unavailable


class Undelivered(Unavailable):
    """The subscriber's callback did not answer."""

    code = "umbel.undelivered"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the receiver said: an HTTP status, and after how long it asked to be tried again."""

    status: int
    retry_after_s: float = 0.0


class Courier(Protocol):
    """Takes a POST to a URL."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it once and answer what was said; redirects are answers, too. How long it may take
        is the caller's to bound, by cancelling. Raises Undelivered when there is no answer."""

    async def close(self) -> None:
        """Let go of every connection."""
