"""Who writes to viewers: settings in, a Mailer and a Pusher out, and what reminds by them."""

from email.utils import parseaddr
from typing import NamedTuple

from umbel.bootstrap.secrets import Secrets
from umbel.catalogue.choices.model import Channel
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.vapid import Vapid
from umbel.notify.drivers.smtp import SmtpMailer, SmtpServer
from umbel.notify.drivers.webpush import WebPusher
from umbel.notify.ports import Mailer, Pusher
from umbel.schedule.mail import MailCarrier
from umbel.schedule.push import PushCarrier
from umbel.schedule.reminding import Reminding
from umbel.schedule.sending import Carrier, Sending

_LETTERS_AT_ONCE = 8
_PUSHES_AT_ONCE = 32


class Messaging(NamedTuple):
    """What writes to viewers; `push_key` is what browsers subscribe with."""

    mailer: Mailer | None
    pusher: Pusher
    push_key: str
    reminding: Reminding


def mailer(settings: Settings) -> Mailer | None:
    """By the mail server that the settings name, if they say who sends."""
    if not settings.mail_from:
        return None
    return SmtpMailer(
        SmtpServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            sender=settings.mail_from,
            username=settings.smtp_username,
            password=settings.smtp_password,
        )
    )


def vapid(settings: Settings, secrets: Secrets) -> Vapid:
    """Who sends pushes: the installation's key, and how push services reach its operator."""
    sender = parseaddr(settings.mail_from)[1]
    is_https = settings.public_url.startswith("https:")
    contact = f"mailto:{sender}" if sender else settings.public_url if is_https else ""
    return Vapid(key=secrets.push_key(), contact=contact)


def messaging(
    settings: Settings, catalogue: Catalogue, clock: Clock, owner: str, secrets: Secrets
) -> Messaging:
    """What there is to write by; `owner` is this instance."""
    sender, key = mailer(settings), vapid(settings, secrets)
    pusher = WebPusher(key, clock, allow_private=settings.push_private)
    pushes = PushCarrier(pusher=pusher, devices=catalogue.devices, clock=clock)
    carriers: dict[Channel, tuple[Carrier, int]] = {Channel.PUSH: (pushes, _PUSHES_AT_ONCE)}
    if sender is not None:
        letters = MailCarrier(mailer=sender, clock=clock, url=settings.public_url)
        carriers[Channel.MAIL] = (letters, _LETTERS_AT_ONCE)
    return Messaging(
        mailer=sender,
        pusher=pusher,
        push_key=key.public_key,
        reminding=Reminding(
            catalogue=catalogue,
            sending=Sending(outbox=catalogue.outbox, clock=clock, me=owner, carriers=carriers),
            verified=settings.email_verification,
        ),
    )
