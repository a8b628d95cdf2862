"""Letters that remind viewers of what they reserved, shortly before it begins.

In: due reminders of the catalogue and the clock. Out: letters. Every instance may run this over one
database: the catalogue gives each reminder to one of them, once. A letter that the mail server did
not take is tried again until its event begins.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from umbel.catalogue.reminders.model import Reminder
from umbel.catalogue.service import Catalogue
from umbel.kit.controller import Controller, Pace
from umbel.notify.model import Letter
from umbel.notify.ports import Mailer, MailRefused, MailUnavailable

log = structlog.get_logger(__name__)

_AT_ONCE = 20
_KEY = "reminders"
_RETRY_S = 30.0
_TEXT = """Hello {username},

you reserved "{title}" by {provider}. It begins at {starts} UTC.
{link}
You get this letter because you reserved the event. Cancel the reservation in the calendar, or
remove your e-mail address in your account, to get none.
"""


@dataclass(kw_only=True)
class Reminding:
    """Looks every `every_s` seconds for events that begin within `lead_s`; without a mailer it has
    nothing to do. `url` is the front end's, or empty."""

    catalogue: Catalogue
    mailer: Mailer | None
    lead_s: float
    verified: bool
    url: str = ""
    every_s: float = 10.0
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def run(self) -> None:
        """Remind, until cancelled."""
        await self._controller.run(_KEY)

    async def _reconcile(self, _key: str) -> float | None:
        return None if self.mailer is None else await self.remind(self.mailer)

    async def remind(self, mailer: Mailer) -> float:
        """Send what is due; the seconds until it is time to look again."""
        reminders = self.catalogue.reminders
        due = await reminders.claim(self.lead_s, most=_AT_ONCE, verified=self.verified)
        for number, one in enumerate(due):
            try:
                with contextlib.suppress(MailRefused):
                    await mailer.send(self._letter(one))
            except MailUnavailable as error:
                log.warning("reminders wait for the mail server", code=error.code)
                await self._release(due[number:])
                return _RETRY_S
        return 0.0 if len(due) == _AT_ONCE else self.every_s

    async def _release(self, reminders: Sequence[Reminder]) -> None:
        for one in reminders:
            await self.catalogue.reminders.release(one)

    def _letter(self, of: Reminder) -> Letter:
        event = of.event
        starts = f"{datetime.fromtimestamp(event.starts_s, UTC):%H:%M on %d %B %Y}"
        text = _TEXT.format(
            username=of.username,
            title=event.title,
            provider=event.provider_name,
            starts=starts,
            link=f"\n{self.url}/watch/{event.id}\n" if self.url else "",
        )
        return Letter(to=of.email, subject=f"Soon: {event.title}", text=text)
