"""A mailer over SMTP (RFC 5321), to one server that delivers: the operator's relay.

Each letter has a connection of its own, on a thread: letters are few. The password goes over TLS
only. Nothing of a letter is logged.
"""

import asyncio
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from typing import Literal

from umbel.notify.model import Letter
from umbel.notify.ports import MailRefused, MailUnavailable

_TIMEOUT_S = 20.0
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
"""Of one recipient. Others are not left to Python's parser: it makes two lines of some of them."""
_NO_SUCH_ADDRESS = frozenset((550, 551, 553))  # RFC 5321, section 4.2.3


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """The relay, and as whom to sign in there; without a name, not at all."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    trust: ssl.SSLContext | None = None


class SmtpMailer:
    """Sends letters through that server."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, letter: Letter) -> None:
        await asyncio.to_thread(self._send, _message(letter, self._server.sender))

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connect() as smtp:
                smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code = max(code for code, _ in error.recipients.values())
            raise (MailRefused if code in _NO_SUCH_ADDRESS else MailUnavailable) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailUnavailable from error

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        trust = server.trust or ssl.create_default_context()
        if server.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=_TIMEOUT_S, context=trust
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S)
        try:
            if server.security == "starttls":
                smtp.starttls(context=trust)
            if server.username:
                smtp.login(server.username, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp


def _message(letter: Letter, sender: str) -> EmailMessage:
    """As RFC 5322 has it. Raises MailRefused for what cannot be a header: no text adds another one,
    nor ends them early, as a line break alone would."""
    is_one_line = len(f"{letter.subject}.".splitlines()) == 1
    if not is_one_line or _ADDRESS.fullmatch(letter.to) is None:
        raise MailRefused
    message = EmailMessage()
    message["From"] = sender
    try:
        message["To"] = letter.to
        message["Subject"] = letter.subject
    except (ValueError, LookupError, AttributeError, MessageError) as error:  # Python's parser
        raise MailRefused from error
    message["Message-ID"] = make_msgid(domain=_domain(sender))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic answers
    message.set_content(letter.text)
    return message


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"
