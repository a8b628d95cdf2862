"""An e-mail address of one's own: set, confirmed by a letter, and never used to bother others."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from support.clocks import SetClock
from support.http import PASSWORD, World, make_system, world
from umbel.catalogue.accounts.model import EmailLinkInvalid
from umbel.catalogue.model import UserRole
from umbel.catalogue.service import Catalogue
from umbel.kit.config import Settings
from umbel.kit.db import Database

URL = "https://live.example.org"
ANN = {"email": "ann@example.org", "password": PASSWORD}


@pytest.fixture
async def verifying(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A platform that asks for addresses to be confirmed."""
    asked: dict[str, Any] = {
        "email_verification": True,
        "mail_from": "umbel@example.org",
        "public_url": f"{URL}/",
    }
    system = make_system(sqlite, tmp_path, **asked)
    async with world(system, static=tmp_path / "no-build") as made:
        yield made


async def set_email(here: World, **changes: str) -> httpx.Response:
    return await here.client.put(
        "/api/v1/me/email", json={**ANN, **changes}, headers=here.as_("viewer")
    )


async def account(here: World) -> tuple[str, str]:
    """The viewer's address, and its state."""
    got = await here.client.get("/api/v1/me/account", headers=here.as_("viewer"))
    return got.json()["email"], got.json()["email_state"]


def secret_in(text: str) -> str:
    """What stands behind `#` in the letter's link."""
    return re.findall(rf"^{URL}/verify-email#([a-z0-9]+)$", text, re.MULTILINE)[0]


async def confirm(here: World, secret: str) -> int:
    words = {"secret": secret}
    return (await here.client.post("/api/v1/email-confirmations", json=words)).status_code


async def test_without_verification_an_address_counts_as_it_is(here: World) -> None:
    assert await account(here) == ("", "none")
    answer = await set_email(here, email=" ann@example.org ")
    assert (answer.status_code, answer.json()["email_state"]) == (200, "usable")
    assert here.system.mailer.taken == []
    data = await here.client.get("/api/v1/me/data", headers=here.as_("viewer"))
    assert data.json()["account"]["email"] == "ann@example.org"
    assert (await set_email(here, email="")).json()["email"] == ""
    assert await account(here) == ("", "none")


async def test_an_address_is_confirmed_by_the_letter_that_went_there(verifying: World) -> None:
    answer = await set_email(verifying)
    assert (answer.status_code, answer.json()["email_state"]) == (200, "unconfirmed")
    (letter,) = verifying.system.mailer.taken
    assert letter.to == "ann@example.org"
    assert "viewer" in letter.text
    secret = secret_in(letter.text)
    assert await confirm(verifying, "made-up") == 400
    assert await account(verifying) == ("ann@example.org", "unconfirmed")
    assert await confirm(verifying, secret) == 204
    assert await account(verifying) == ("ann@example.org", "usable")
    assert await confirm(verifying, secret) == 400, "once"
    await set_email(verifying, email="bob@example.org")
    assert await account(verifying) == ("bob@example.org", "unconfirmed")


async def test_e_mails_are_in_the_language_of_the_account(verifying: World) -> None:
    async def choose(**body: object) -> httpx.Response:
        headers = verifying.as_("viewer")
        return await verifying.client.put("/api/v1/me/language", json=body, headers=headers)

    for wrong in ({"language": "xx"}, {"language": "DE"}, {"language": ["de"]}, {}):
        assert (await choose(**wrong)).status_code == 422
    await set_email(verifying)
    assert (await choose(language="de")).json()["language"] == "de"
    headers = verifying.as_("viewer")
    await verifying.client.post("/api/v1/me/email/letter", headers=headers)
    english, german = verifying.system.mailer.taken
    assert english.subject == "Confirm your e-mail address"
    assert german.subject == "Bestätigen Sie Ihre E-Mail-Adresse"
    assert await confirm(verifying, secret_in(german.text)) == 204
    assert await account(verifying) == ("ann@example.org", "usable"), "the address stays"
    assert (await choose(language="en")).json()["language"] == "en"


async def test_only_the_newest_letter_for_the_present_address_counts(verifying: World) -> None:
    headers = verifying.as_("viewer")
    await set_email(verifying)
    again = await verifying.client.post("/api/v1/me/email/letter", headers=headers)
    assert again.status_code == 204
    await set_email(verifying, email="bob@example.org")
    first, second, third = (secret_in(one.text) for one in verifying.system.mailer.taken)
    assert await confirm(verifying, first) == 400
    assert await confirm(verifying, second) == 400
    assert await account(verifying) == ("bob@example.org", "unconfirmed")
    assert await confirm(verifying, third) == 204
    nothing = await verifying.client.post("/api/v1/me/email/letter", headers=headers)
    assert (nothing.status_code, nothing.json()["code"]) == (400, "umbel.email_link_invalid")


async def test_nobody_is_flooded_with_letters(verifying: World) -> None:
    answers = [await set_email(verifying) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].json()["code"] == "umbel.too_many_letters"
    assert len(verifying.system.mailer.taken) == 5


async def test_a_mail_server_that_does_not_take_it(verifying: World) -> None:
    verifying.system.mailer.fail()
    answer = await set_email(verifying)
    assert (answer.status_code, answer.json()["code"]) == (503, "umbel.mail_unavailable")
    assert await account(verifying) == ("ann@example.org", "unconfirmed")
    verifying.system.mailer.fail(fails=False)
    verifying.system.mailer.refuse("ann@example.org")
    answer = await set_email(verifying)
    assert (answer.status_code, answer.json()["code"]) == (400, "umbel.mail_refused")


@pytest.mark.parametrize(
    "email",
    [
        "ann",
        "ann@",
        "@example.org",
        "ann@example..org",
        "ann@-example.org",
        "ann@example.org\nBcc: bob@example.org",
        "ann@example.org, bob@example.org",
        "Ann <ann@example.org>",
        f"ann@{'x' * 64}.org",
        f"{'a' * 251}@b.c",
    ],
)
async def test_what_is_no_address(here: World, email: str) -> None:
    answer = await set_email(here, email=email)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.unprocessable")
    assert [f["field"] for f in answer.json()["details"]["fields"]] == ["email"]


async def test_an_address_is_changed_with_the_password_only(here: World) -> None:
    answer = await set_email(here, password="wrong one")
    assert (answer.status_code, answer.json()["code"]) == (403, "umbel.wrong_password")
    assert await account(here) == ("", "none")


async def test_a_letter_is_good_for_a_day_and_gone_with_its_account(database: Database) -> None:
    clock = SetClock(1_000_000.0)
    catalogue = Catalogue(database, clock)
    accounts = catalogue.accounts
    for name in ("ann", "bob"):
        await catalogue.add_user(name, PASSWORD, UserRole.VIEWER)
        await accounts.set_email(name, f"{name}@example.org", PASSWORD, "192.0.2.1")
    late, of_bob = (
        await accounts.new_email_token("ann", "ann@example.org"),
        await accounts.new_email_token("bob", "bob@example.org"),
    )
    clock.at_s += 86_399.0
    in_time = await accounts.new_email_token("ann", "ann@example.org")
    await catalogue.remove_user("bob")
    clock.at_s += 1.0
    for secret in (late, of_bob):
        with pytest.raises(EmailLinkInvalid):
            await accounts.verify_email(secret)
    await accounts.verify_email(in_time)
    assert (await accounts.account("ann")).profile.is_verified
    clock.at_s += 1.0
    with pytest.raises(EmailLinkInvalid):
        await accounts.new_email_token("ann", "ann@example.org")


async def test_the_secret_for_an_address_never_goes_to_the_one_before(database: Database) -> None:
    catalogue = Catalogue(database, SetClock(1_000_000.0))
    accounts = catalogue.accounts
    await catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
    await accounts.set_email("ann", "old@example.org", PASSWORD, "192.0.2.1")
    # The letter to the old address is about to be made when another one is set.
    await accounts.set_email("ann", "new@example.org", PASSWORD, "192.0.2.1")
    with pytest.raises(EmailLinkInvalid):
        await accounts.new_email_token("ann", "old@example.org")


@pytest.mark.parametrize(
    "wrong",
    [
        {"email_verification": True},
        {"email_verification": True, "mail_from": "a@b.c"},
        {"smtp_username": "umbel"},
        {"public_url": "live.example.org"},
        {"public_url": "ftp://live.example.org"},
    ],
)
def test_settings_that_cannot_be_kept(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]
