"""Who sends mails: settings in, a Mailer out, and what writes reminders."""

from umbel.catalogue.service import Catalogue
from umbel.kit.config import Settings
from umbel.notify.drivers.smtp import SmtpMailer, SmtpServer
from umbel.notify.ports import Mailer
from umbel.schedule.reminding import Reminding


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


def reminding(settings: Settings, catalogue: Catalogue) -> Reminding:
    """Reminders by that mailer."""
    return Reminding(
        catalogue=catalogue,
        mailer=mailer(settings),
        lead_s=settings.reminder_s,
        verified=settings.email_verification,
        url=settings.public_url,
    )
