"""People's own accounts: sign-up, another password, their data, the end; and who may do what."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.http import PASSWORD, World, make_system, world
from umbel.catalogue.model import UserRole
from umbel.kit.db import Database
from umbel.portal.web_session import HEADER

OURS = {HEADER: "1"}
ANN = {"username": "ann", "password": "long enough"}
NEW = "another long one"


@pytest.fixture
async def open_here(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A platform where people may make accounts, three an hour from one address."""
    system = make_system(sqlite, tmp_path, sign_up="open", sign_ups_per_address=3, most_accounts=6)
    async with world(system, static=tmp_path / "no-build") as made:
        yield made


def client_at(here: World, address: str = "192.0.2.7") -> httpx.AsyncClient:
    """A client at that address, with cookies of its own."""
    transport = httpx.ASGITransport(here.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://umbel", headers=OURS)


async def signed_in(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> None:
    words = {"username": username, "password": password}
    answer = await client.post("/api/v1/web-session", json=words)
    assert answer.status_code == 200, answer.text


async def test_nobody_signs_up_where_the_operator_did_not_open_it(here: World) -> None:
    assert (await here.client.get("/api/v1/sign-up")).json() == {"is_open": False}
    answer = await here.client.post("/api/v1/sign-up", json=ANN)
    assert (answer.status_code, answer.json()["code"]) == (403, "umbel.sign_up_closed")
    assert [user.username for user in await here.system.catalogue.users()] == sorted(here.users)


async def test_a_viewer_signs_up_and_in(open_here: World) -> None:
    assert (await open_here.client.get("/api/v1/sign-up")).json() == {"is_open": True}
    before_s = open_here.system.clock.now_s()
    async with client_at(open_here) as ann:
        made = await ann.post("/api/v1/sign-up", json=ANN)
        assert (made.status_code, "set-cookie" in made.headers) == (201, False)
        assert made.json() == {"username": "ann", "role": "viewer", "provider_id": None}
        await signed_in(ann, "ann", ANN["password"])
        account = (await ann.get("/api/v1/me/account")).json()
        assert (account["username"], account["role"]) == ("ann", "viewer")
        assert account["created_at"] is not None
    kept = await open_here.system.catalogue.accounts.account("ann")
    assert before_s <= kept.profile.created_s <= open_here.system.clock.now_s()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"username": "city"}, 409, "umbel.user_exists"),
        ({"username": "Not Ok"}, 422, "umbel.unprocessable"),
        ({"password": "short"}, 422, "umbel.unprocessable"),
        ({"role": "operator"}, 422, "umbel.unprocessable"),
    ],
)
async def test_what_cannot_be_an_account(
    open_here: World, change: dict[str, str], status: int, code: str
) -> None:
    answer = await open_here.client.post("/api/v1/sign-up", json={**ANN, **change})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ANN["password"] not in answer.text


async def test_one_address_makes_few_accounts_and_all_together_only_so_many(
    open_here: World,
) -> None:
    async with client_at(open_here) as one, client_at(open_here, "198.51.100.3") as other:
        # What is refused before it is made counts, too: names could be tried out otherwise.
        taken = [await one.post("/api/v1/sign-up", json={**ANN, "username": "city"})]
        made = [await one.post("/api/v1/sign-up", json={**ANN, "username": n}) for n in "ab"]
        refused = await one.post("/api/v1/sign-up", json={**ANN, "username": "c"})
        assert [answer.status_code for answer in taken + made] == [409, 201, 201]
        assert (refused.status_code, refused.json()["code"]) == (429, "umbel.too_many_sign_ups")
        assert 1 <= int(refused.headers["retry-after"]) <= 1200
        full = await other.post("/api/v1/sign-up", json={**ANN, "username": "c"})
        assert (full.status_code, full.json()["code"]) == (503, "umbel.too_many_accounts")


async def test_another_password_ends_every_other_sign_in(here: World) -> None:
    async with client_at(here) as page, client_at(here) as other:
        await signed_in(page, "viewer")
        await signed_in(other, "viewer")
        bearer = here.as_("viewer")
        words = {"current_password": PASSWORD, "new_password": NEW}
        assert (await page.put("/api/v1/me/password", json=words)).status_code == 204
        assert (await page.get("/api/v1/me")).status_code == 200, "this browser stays signed in"
        assert (await other.get("/api/v1/me")).status_code == 401
        async with client_at(here) as program:
            assert (await program.get("/api/v1/me", headers=bearer)).status_code == 401
        await signed_in(other, "viewer", NEW)


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("PUT", "/api/v1/me/password", {"current_password": "wrong one", "new_password": NEW}),
        ("POST", "/api/v1/me/delete", {"password": "wrong one"}),
    ],
)
async def test_a_thief_of_a_sign_in_needs_the_password_and_cannot_guess_it(
    here: World, method: str, path: str, words: dict[str, str]
) -> None:
    async with client_at(here) as page:
        await signed_in(page, "viewer")
        tries = [await page.request(method, path, json=words) for _ in range(25)]
        codes = [answer.json()["code"] for answer in tries]
        assert codes[:20] == ["umbel.wrong_password"] * 20
        assert codes[-1] == "umbel.sign_in_too_soon"
        assert {answer.status_code for answer in tries} == {403, 429}
        assert (await page.get("/api/v1/me")).status_code == 200


async def test_an_account_goes_with_all_its_data(open_here: World) -> None:
    catalogue = open_here.system.catalogue
    async with client_at(open_here) as ann:
        await ann.post("/api/v1/sign-up", json=ANN)
        await signed_in(ann, "ann", ANN["password"])
        gone = await ann.post("/api/v1/me/delete", json={"password": ANN["password"]})
        assert (gone.status_code, len(ann.cookies)) == (204, 0)
        assert "ann" not in [user.username for user in await catalogue.users()]
        words = {"username": "ann", "password": ANN["password"]}
        assert (await ann.post("/api/v1/web-session", json=words)).status_code == 401
    await catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
    again = await catalogue.accounts.account("ann")
    assert again.profile.created_s == 0.0, "nothing of the account before is left"


async def test_the_last_operator_stays(here: World) -> None:
    async with client_at(here) as page:
        await signed_in(page, "operator")
        answer = await page.post("/api/v1/me/delete", json={"password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.last_operator")


async def test_ones_data_is_one_file_without_secrets(here: World) -> None:
    await here.system.catalogue.demand.note_node("viewer", "pe1")
    answer = await here.client.get("/api/v1/me/data", headers=here.as_("viewer"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="umbel-viewer.json"'
    assert answer.headers["cache-control"] == "no-store"
    body = json.loads(answer.content)
    assert body["account"]["username"] == "viewer"
    assert body["network_sign_ins"] == []
    assert body["access_node"] == "pe1"
    for secret in ("argon2", here.users["viewer"].generation, "password"):
        assert secret not in answer.text


ROLES = ("", "viewer", "city", "operator")
ROUTES: dict[tuple[str, str], tuple[Any, tuple[int, int, int, int]]] = {
    ("GET", "/api/v1/sign-up"): (None, (200, 200, 200, 200)),
    ("POST", "/api/v1/sign-up"): (ANN, (403, 403, 403, 403)),
    ("GET", "/api/v1/me/account"): (None, (401, 200, 200, 200)),
    ("GET", "/api/v1/me/data"): (None, (401, 200, 200, 200)),
    ("PUT", "/api/v1/me/password"): (
        {"current_password": PASSWORD, "new_password": NEW},
        (401, 204, 204, 204),
    ),
    ("PUT", "/api/v1/me/email"): (
        {"email": "a@b.c", "password": PASSWORD},
        (401, 200, 200, 200),
    ),
    ("PUT", "/api/v1/me/language"): ({"language": "de"}, (401, 200, 200, 200)),
    # No mail server is set here, and that is said.
    ("POST", "/api/v1/me/email/letter"): (None, (401, 409, 409, 409)),
    ("POST", "/api/v1/email-confirmations"): ({"secret": "x"}, (400, 400, 400, 400)),
    ("POST", "/api/v1/password-resets"): ({"name": "viewer"}, (409, 409, 409, 409)),
    ("POST", "/api/v1/password-resets/confirm"): (
        {"secret": "x", "new_password": NEW},
        (400, 400, 400, 400),
    ),
    ("DELETE", "/api/v1/me/tokens"): (None, (401, 204, 204, 204)),
    ("POST", "/api/v1/me/delete"): ({"password": PASSWORD}, (401, 204, 204, 409)),
}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        (method, path, who, status)
        for (method, path), (_, statuses) in ROUTES.items()
        for who, status in zip(ROLES, statuses, strict=True)
    ],
)
async def test_who_may_and_only_with_the_own_account(
    here: World, method: str, path: str, who: str, status: int
) -> None:
    """No path names an account: each acts on the caller's, and all others stay as they were."""
    catalogue = here.system.catalogue
    others = {user.username: user for user in await catalogue.users() if user.username != who}
    headers = here.as_(who) if who else {}
    body = ROUTES[method, path][0]
    answer = await here.client.request(method, path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    after = {user.username: user for user in await catalogue.users() if user.username != who}
    assert after == others


def test_the_table_has_every_route(here: World) -> None:
    described = here.app.openapi()["paths"]
    found = {
        (method.upper(), path)
        for path, item in described.items()
        for method, operation in item.items()
        if "accounts" in operation["tags"]
    }
    assert found | {("DELETE", "/api/v1/me/tokens")} == set(ROUTES)
