"""A real mail server for tests, on loopback: it takes letters and keeps them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """What it took is in `letters`, each with whom it was for."""

    port: int = 0
    letters: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answer: str = "250 OK"
    account: tuple[bytes, bytes] | None = None
    protocols: list[SMTP] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How many there ever were."""
        return len(self.protocols)

    def end(self) -> None:
        """End every connection, as a server does with those that are silent for long."""
        for one in self.protocols:
            if one.transport is not None:
                one.transport.close()

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.letters.append((envelope.rcpt_tos, message))
            self.tls.append(session.ssl is not None)
        return self.answer

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login, given.password) == self.account, handled=False)


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, account: tuple[str, str] | None = None
) -> AsyncIterator[MailServer]:
    """A server that asks for STARTTLS with `tls`, and for `account`, where they are given."""
    made = MailServer()
    if account is not None:
        made.account = (account[0].encode(), account[1].encode())

    def protocol() -> SMTP:
        made.protocols.append(
            smtp := SMTP(
                made,
                hostname="mail.test",
                tls_context=tls,
                require_starttls=tls is not None,
                authenticator=made.authenticate,
                auth_required=account is not None,
                loop=asyncio.get_running_loop(),
            )
        )
        return smtp

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
