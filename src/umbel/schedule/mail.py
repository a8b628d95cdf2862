"""Carries messages by mail. In: a message. Out: a letter, handed to the mail server."""

from dataclasses import dataclass

from umbel.catalogue.outbox.model import Message
from umbel.kit.clock import Clock
from umbel.notify.ports import Mailer, MailRefused
from umbel.schedule import letters


@dataclass(frozen=True, kw_only=True)
class MailCarrier:
    """`url` is the front end's, or empty."""

    mailer: Mailer
    clock: Clock
    url: str = ""

    async def send(self, message: Message) -> None:
        """Hand it over. Raises MailUnavailable, MailRefused."""
        if not message.email:
            raise MailRefused
        await self.mailer.send(letters.letter(message, url=self.url, now_s=self.clock.now_s()))
