"""Who writes to viewers: settings in, a Mailer out, and what reminds by it."""

from umbel.catalogue.choices.model import Channel
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.notify.drivers.smtp import SmtpMailer, SmtpServer
from umbel.notify.ports import Mailer
from umbel.schedule.mail import MailCarrier
from umbel.schedule.reminding import Reminding
from umbel.schedule.sending import Carrier, Sending

_LETTERS_AT_ONCE = 8


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


def reminding(
    settings: Settings, catalogue: Catalogue, clock: Clock, owner: str, mailer: Mailer | None
) -> Reminding:
    """Reminders by what there is; `owner` is this instance."""
    carriers: dict[Channel, tuple[Carrier, int]] = {}
    if mailer is not None:
        carrier = MailCarrier(mailer=mailer, clock=clock, url=settings.public_url)
        carriers[Channel.MAIL] = (carrier, _LETTERS_AT_ONCE)
    return Reminding(
        catalogue=catalogue,
        sending=Sending(outbox=catalogue.outbox, clock=clock, me=owner, carriers=carriers),
        verified=settings.email_verification,
    )
