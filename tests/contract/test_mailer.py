"""What every mailer promises, over a real mail server that takes, refuses, fails and is gone."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.certificates import Authority
from support.smtp import MailServer, mail_server
from umbel.notify.drivers import smtp
from umbel.notify.drivers.fake_mailer import FakeMailer
from umbel.notify.drivers.smtp import SmtpMailer, SmtpServer
from umbel.notify.model import Letter
from umbel.notify.ports import Mailer, MailRefused, MailUnavailable

LETTER = Letter(to="ann@example.org", subject="Grüße, Ann", text="Hello Ann,\n\nzwölf Uhr.\n")
SENDER = "umbel@example.org"


_made: list[SmtpMailer] = []


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as made:
        yield made
        while _made:
            await _made.pop().close()


def over(server: MailServer, **changes: object) -> SmtpMailer:
    """A mailer that the test's server outlives."""
    plain = SmtpServer(host="127.0.0.1", port=server.port, security="none", sender=SENDER)
    _made.append(SmtpMailer(replace(plain, **changes)))  # type: ignore[arg-type]
    return _made[-1]


# -- both -----------------------------------------------------------------------------------


@pytest.fixture(params=["fake", "smtp"])
def mailer(request: pytest.FixtureRequest, server: MailServer) -> Mailer:
    return FakeMailer() if request.param == "fake" else over(server)


def taken(mailer: Mailer, server: MailServer) -> list[Letter]:
    if isinstance(mailer, FakeMailer):
        return mailer.taken
    return [
        Letter(to=to[0], subject=str(one["Subject"]), text=one.get_content().replace("\r\n", "\n"))
        for to, one in server.letters
    ]


async def test_a_letter_arrives_as_it_is(mailer: Mailer, server: MailServer) -> None:
    await mailer.send(LETTER)
    await mailer.send(replace(LETTER, to="bob@example.org"))
    assert taken(mailer, server) == [LETTER, replace(LETTER, to="bob@example.org")]


async def test_an_address_that_the_server_refuses(mailer: Mailer, server: MailServer) -> None:
    if isinstance(mailer, FakeMailer):
        mailer.refuse(LETTER.to)
    server.refused.add(LETTER.to)
    with pytest.raises(MailRefused):
        await mailer.send(LETTER)
    assert taken(mailer, server) == []


async def test_a_server_that_fails_takes_letters_later(mailer: Mailer, server: MailServer) -> None:
    if isinstance(mailer, FakeMailer):
        mailer.fail()
    server.answer = "451 try again"
    with pytest.raises(MailUnavailable):
        await mailer.send(LETTER)
    if isinstance(mailer, FakeMailer):
        mailer.fail(fails=False)
    server.answer = "250 OK"
    await mailer.send(LETTER)
    assert taken(mailer, server) == [LETTER]


# -- over SMTP ------------------------------------------------------------------------------


async def test_a_letter_says_who_sent_it_and_that_a_program_did(server: MailServer) -> None:
    await over(server).send(LETTER)
    (_, message) = server.letters[0]
    assert (message["From"], message["To"]) == (SENDER, LETTER.to)
    assert message["Auto-Submitted"] == "auto-generated"
    assert str(message["Message-ID"]).endswith("@example.org>")


async def test_no_server_is_an_outage(server: MailServer) -> None:
    async with mail_server() as gone:
        pass
    with pytest.raises(MailUnavailable):
        await over(gone).send(LETTER)


async def test_the_password_goes_over_tls_to_the_server_that_is_meant(tmp_path: Path) -> None:
    authority = Authority()
    chain, key = authority.server("127.0.0.1")
    (tmp_path / "server.pem").write_text(chain + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    trust = ssl.create_default_context(cadata=authority.pem)
    async with mail_server(tls=context, account=("umbel", "a secret")) as server:
        account = {"security": "starttls", "username": "umbel", "password": "a secret"}
        await over(server, trust=trust, **account).send(LETTER)
        assert server.tls == [True]
        for wrong in ({"password": "another"}, {"trust": None}, {"security": "none"}):
            with pytest.raises(MailUnavailable):
                await over(server, **{"trust": trust, **account, **wrong}).send(LETTER)
        assert len(server.letters) == 1
        while _made:
            await _made.pop().close()


async def test_a_connection_is_used_again_until_the_server_ends_it(server: MailServer) -> None:
    mailer = over(server)
    for _ in range(3):
        await mailer.send(LETTER)
    assert (len(server.letters), server.connections) == (3, 1)
    server.end()
    await mailer.send(LETTER)
    assert (len(server.letters), server.connections) == (4, 2)
    server.refused.add(LETTER.to)
    with pytest.raises(MailRefused):
        await mailer.send(LETTER)
    await mailer.send(replace(LETTER, to="bob@example.org"))
    assert (len(server.letters), server.connections) == (5, 2)


async def test_a_letter_with_an_id_has_it_each_time(server: MailServer) -> None:
    mailer = over(server)
    for _ in range(2):
        await mailer.send(replace(LETTER, id="0123abc"))
    assert {str(one["Message-ID"]) for _, one in server.letters} == {"<0123abc@example.org>"}


def test_the_password_is_not_shown() -> None:
    server = SmtpServer(
        host="h", port=25, security="tls", sender=SENDER, username="umbel", password="a secret"
    )
    assert "a secret" not in repr(server)


@settings(max_examples=300)
@given(
    st.text(), st.just(LETTER.to) | st.text() | st.text().map(lambda name: f"{name}@example.org")
)
@example("", "00000000'\x80:0\x80\x80\x80\x80\U00010000\U00010000\U00010000\U00010000")
@example("\n", LETTER.to)
def test_no_text_adds_a_header(subject: str, to: str) -> None:
    letter = Letter(to=to, subject=subject, text="x")
    try:
        message = smtp._message(letter, SENDER)
    except MailRefused:
        return
    assert {name for name, _ in message.items()} == {
        *("From", "To", "Subject", "Message-ID", "Auto-Submitted"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }
    raw = bytes(message).partition(b"\n\n")[0].splitlines()
    assert sum(not line.startswith((b" ", b"\t")) for line in raw) == 8
