"""What carries a notice to its subscriber, and letters and pushes to people. tests/contract has
test_courier.py, test_mailer.py and test_pusher.py, which define them in full."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from umbel.kit.errors import Invalid, NotFound, Unavailable
from umbel.notify.model import Letter, Push


class Undelivered(Unavailable):
    """The subscriber's callback did not answer."""

    code = "umbel.undelivered"


class MailUnavailable(Unavailable):
    """The mail server did not take the e-mail; try again."""

    code = "umbel.mail_unavailable"
    retry_after_s = 60


class MailRefused(Invalid):
    """The mail server refuses this address."""

    code = "umbel.mail_refused"


class PushGone(NotFound):
    """The browser's push subscription is no longer valid; it is forgotten."""

    code = "umbel.push_gone"


class PushUnavailable(Unavailable):
    """The push service did not take the message; try again."""

    code = "umbel.push_unavailable"

    def __init__(self, message: str = "", retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PushRefused(Invalid):
    """The push service refuses the message, or its address is not allowed."""

    code = "umbel.push_refused"


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


class Pusher(Protocol):
    """Sends messages to browsers."""

    async def send(self, push: Push) -> None:
        """Hand it to its push service, once. Raises PushUnavailable, PushGone, PushRefused."""

    async def close(self) -> None:
        """Let go of every connection."""
