"""A mailer over SMTP (RFC 5321), to one server that delivers: the operator's relay.

Letters are sent on threads, each over a connection that it has for itself, and that the next one
takes if it is still open. The password goes over TLS only. Nothing of a letter is logged.
"""

import asyncio
import contextlib
import re
import smtplib
import ssl
from collections import deque
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from typing import Literal

from umbel.notify.model import Letter
from umbel.notify.ports import MailRefused, MailUnavailable

_TIMEOUT_S = 20.0
_MOST_IDLE = 8
_OK = 250
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
        self._idle: deque[smtplib.SMTP] = deque(maxlen=_MOST_IDLE)

    async def send(self, letter: Letter) -> None:
        await asyncio.to_thread(self._send, _message(letter, self._server.sender))

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _send(self, message: EmailMessage) -> None:
        try:
            smtp = self._reused() or self._connect()
            try:
                smtp.send_message(message)
            except smtplib.SMTPRecipientsRefused:
                self._idle.append(smtp)
                raise
            except BaseException:
                smtp.close()
                raise
            self._idle.append(smtp)
        except smtplib.SMTPRecipientsRefused as error:
            code = max(code for code, _ in error.recipients.values())
            raise (MailRefused if code in _NO_SUCH_ADDRESS else MailUnavailable) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailUnavailable from error

    def _reused(self) -> smtplib.SMTP | None:
        """A connection of before that still answers."""
        while self._idle:
            smtp = self._idle.pop()
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if smtp.rset()[0] == _OK:
                    return smtp
            smtp.close()
        return None

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
    domain = _domain(sender)
    message["Message-ID"] = f"<{letter.id}@{domain}>" if letter.id else make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic answers
    message.set_content(letter.text)
    return message


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"
