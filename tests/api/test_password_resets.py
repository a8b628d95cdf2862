"""A lost password: a link that works once, for an hour, and shows nobody which accounts exist."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from support.clocks import SetClock
from support.http import PASSWORD, World, make_system, world
from umbel.catalogue.accounts.model import ResetLinkInvalid
from umbel.catalogue.accounts.recovery import LINK_S
from umbel.catalogue.model import UserRole
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.kit.tokens import USER, Claims, Signer, TokenForeign, Verifier, new_private_key

URL = "https://live.example.org"
ASK = "/api/v1/password-resets"
CONFIRM = f"{ASK}/confirm"
NEW = "another long one"


@pytest.fixture
async def mailing(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A platform that sends mails, where the viewer has an address."""
    system = make_system(sqlite, tmp_path, mail_from="umbel@example.org", public_url=URL)
    async with world(system, static=tmp_path / "no-build") as made:
        body = {"email": "Ann@example.org", "password": PASSWORD}
        await made.client.put("/api/v1/me/email", json=body, headers=made.as_("viewer"))
        yield made


async def ask(here: World, name: str) -> httpx.Response:
    return await here.client.post(ASK, json={"name": name})


async def confirm(here: World, secret: str, password: str = NEW) -> httpx.Response:
    return await here.client.post(CONFIRM, json={"secret": secret, "new_password": password})


async def sign_in(here: World, password: str) -> int:
    words = {"username": "viewer", "password": password}
    headers = {"X-CSRF-Protection": "1"}
    answer = await here.client.post("/api/v1/web-session", json=words, headers=headers)
    here.client.cookies.clear()
    return answer.status_code


def secret_in(text: str) -> str:
    return re.findall(rf"^{URL}/reset-password#(\S+)$", text, re.MULTILINE)[0]


async def letter(here: World, name: str = "viewer") -> str:
    """The secret in the letter that comes."""
    assert (await ask(here, name)).status_code == 202
    return secret_in(here.system.mailer.taken[-1].text)


async def test_a_viewer_gets_a_new_password_once(mailing: World) -> None:
    token = mailing.as_("viewer")
    first, second = await letter(mailing), await letter(mailing, "ann@EXAMPLE.org")
    sent = mailing.system.mailer.taken
    assert [one.to for one in sent] == ["Ann@example.org"] * 2
    assert (await confirm(mailing, first)).status_code == 204
    assert (await sign_in(mailing, NEW), await sign_in(mailing, PASSWORD)) == (200, 401)
    ended = await mailing.client.get("/api/v1/me", headers=token)
    assert ended.status_code == 401, "every token of before ended"
    for secret in (first, second):
        used = await confirm(mailing, secret, "yet another one")
        assert (used.status_code, used.json()["code"]) == (400, "umbel.reset_link_invalid")
    assert await sign_in(mailing, NEW) == 200


async def test_a_link_is_used_once_also_at_the_same_moment(mailing: World) -> None:
    secret = await letter(mailing)
    found = await asyncio.gather(*(confirm(mailing, secret, f"password {n}") for n in range(5)))
    assert sorted(one.status_code for one in found) == [204, 400, 400, 400, 400]


@pytest.mark.parametrize("name", ["nobody", "operator", "x@example.org", "a b", "\u202e", "%", "'"])
async def test_nobody_learns_which_accounts_there_are(mailing: World, name: str) -> None:
    known = await ask(mailing, "viewer")
    count = len(mailing.system.mailer.taken)
    unknown = await ask(mailing, name)
    assert (unknown.status_code, unknown.content) == (known.status_code, known.content)
    assert unknown.headers == known.headers
    assert len(mailing.system.mailer.taken) == count, "the operator has no address"


async def test_requests_are_limited_by_name_and_by_address(mailing: World) -> None:
    for name in ("nobody", "viewer"):
        found = [(await ask(mailing, name)).status_code for _ in range(3)]
        assert found[0] == 202
    refused = await ask(mailing, "somebody else")
    assert (refused.status_code, refused.json()["code"]) == (429, "umbel.too_many_resets")
    assert int(refused.headers["Retry-After"]) > 0
    assert len(mailing.system.mailer.taken) == 2


async def test_a_platform_without_mails_says_so(here: World) -> None:
    refused = await ask(here, "viewer")
    assert (refused.status_code, refused.json()["code"]) == (409, "umbel.no_mail_server")


async def test_only_confirmed_addresses_where_that_is_asked(
    sqlite: Database, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {
        "email_verification": True,
        "mail_from": "umbel@example.org",
        "public_url": URL,
    }
    system = make_system(sqlite, tmp_path, **asked)
    async with world(system, static=tmp_path / "no-build") as here:
        accounts = system.catalogue.accounts
        await accounts.set_email("viewer", "ann@example.org", PASSWORD, "192.0.2.1")
        await ask(here, "viewer")
        assert system.mailer.taken == []
        await accounts.verify_email(await accounts.new_email_token("viewer", "ann@example.org"))
        await letter(here)


async def test_a_mail_server_that_is_away_is_not_shown(mailing: World) -> None:
    mailing.system.mailer.fail()
    assert (await ask(mailing, "viewer")).status_code == 202
    mailing.system.mailer.fail(fails=False)
    await letter(mailing)


async def test_the_log_has_who_got_a_password_and_no_secret(mailing: World) -> None:
    with capture_logs() as lines:
        secret = await letter(mailing)
        await confirm(mailing, secret)
    events = [line["event"] for line in lines]
    assert events.count("new password asked for") == 1
    assert events.count("letter for a new password sent") == 1
    (done,) = (line for line in lines if line["event"] == "password set by a letter's link")
    assert (done["username"], "source" in done) == ("viewer", True)
    assert not any(word in str(lines) for word in (secret, NEW, "example.org"))


async def test_a_bad_password_does_not_use_up_the_link(mailing: World) -> None:
    secret = await letter(mailing)
    assert (await confirm(mailing, secret, "short")).status_code == 422
    assert (await confirm(mailing, secret)).status_code == 204


async def test_a_link_ends_after_an_hour_and_with_the_address(sqlite: Database) -> None:
    clock, signer = SetClock(1_803_000_000.0), Signer(new_private_key())
    catalogue, verifier = Catalogue(sqlite, clock), Verifier(signer.public_key)
    await catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)

    async def link(email: str) -> str:
        await catalogue.accounts.set_email("ann", email, PASSWORD, "192.0.2.1")
        (account,) = await catalogue.recovery.accounts("ann", verified=False)
        return catalogue.recovery.link_secret(account, signer)

    old = await link("ann@example.org")
    clock.at_s += LINK_S
    moved = await link("ann@example.org")
    await link("ann@example.net")
    await catalogue.add_user("gone", PASSWORD, UserRole.VIEWER)
    await catalogue.accounts.set_email("gone", "g@example.org", PASSWORD, "192.0.2.1")
    (gone,) = await catalogue.recovery.accounts("g@example.org", verified=False)
    of_gone = catalogue.recovery.link_secret(gone, signer)
    await catalogue.remove_user("gone")
    await catalogue.add_user("gone", PASSWORD, UserRole.VIEWER)
    for secret in (old, moved, of_gone, old[:-2] + "xx", "", "a.b.c"):
        with pytest.raises(ResetLinkInvalid):
            await catalogue.recovery.reset(secret, NEW, verifier)
    good = await link("ann@example.org")
    with pytest.raises(TokenForeign):
        verifier.verify(good, USER, now_s=clock.at_s)
    assert await catalogue.recovery.reset(good, NEW, verifier) == "ann"


async def test_a_token_for_something_else_is_no_link(mailing: World) -> None:
    claims = Claims(subject="viewer", scope="", expires_s=9e9, generation="")
    other = mailing.system.signer.sign(claims, USER)
    refused = await confirm(mailing, other)
    assert (refused.status_code, refused.json()["code"]) == (400, "umbel.reset_link_invalid")
