"""Who sends mails: settings in, a Mailer out."""

from umbel.kit.config import Settings
from umbel.notify.drivers.smtp import SmtpMailer, SmtpServer
from umbel.notify.ports import Mailer


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
