"""What carries a notice to its subscriber, and a letter to a person. tests/contract/test_courier.py
and test_mailer.py define them in full."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from umbel.kit.errors import Invalid, Unavailable
from umbel.notify.model import Letter


class Undelivered(Unavailable):
    """The subscriber's callback did not answer."""

    code = "umbel.undelivered"


class MailUnavailable(Unavailable):
    """The mail server did not take the letter; try again."""

    code = "umbel.mail_unavailable"
    retry_after_s = 60


class MailRefused(Invalid):
    """The mail server refuses this address."""

    code = "umbel.mail_refused"


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


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Letter) -> None:
        """Hand the letter to the mail server, once. Raises MailUnavailable, MailRefused."""

    async def close(self) -> None:
        """Let go of every connection."""
