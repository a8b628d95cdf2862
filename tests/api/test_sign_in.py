"""Users, tokens, roles: who may come in and what they may do."""

import asyncio
import math
import time

import httpx
import pytest

from support.http import PASSWORD, World
from umbel.catalogue.model import UserRole
from umbel.kit.tokens import USER, VIEWER, Claims, Signer, new_private_key


async def sign_in(here: World, username: str, password: str = PASSWORD) -> httpx.Response:
    form = {"grant_type": "password", "username": username, "password": password}
    return await here.client.post("/oauth/token", data=form)


async def test_the_password_grant_gives_a_token_that_works(here: World) -> None:
    answer = await sign_in(here, "city")
    assert answer.status_code == 200
    body = answer.json()
    assert body["access_token"] == body["value"]
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 8 * 3600
    assert body["scope"] == "provider"
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    me = await here.client.get("/api/v1/me", headers=headers)
    works_for = {"provider_id": here.city.id, "provider_name": "City", "role": "owner"}
    assert me.json() == {
        "username": "city",
        "role": "provider",
        "provider_id": here.city.id,
        "providers": [works_for],
    }


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("city", "wrong password"),
        ("nobody", PASSWORD),
        ("No\x00body", PASSWORD),
        ("city", "x" * 1000),
    ],
)
async def test_wrong_credentials_are_all_answered_alike(
    here: World, username: str, password: str
) -> None:
    answer = await sign_in(here, username, password)
    assert answer.status_code == 401
    assert answer.json()["code"] == "umbel.bad_credentials"
    assert answer.json()["details"] == {}
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_wrong_grant_type_is_refused_without_echo_of_the_password(here: World) -> None:
    form = {"grant_type": "magic", "username": "city", "password": "do not repeat me"}
    answer = await here.client.post("/oauth/token", data=form)
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"][0]["field"] == "grant_type"
    assert "do not repeat me" not in answer.text


@pytest.mark.parametrize(
    ("claims", "audience", "status", "code"),
    [
        (Claims(subject="city", scope="provider", expires_s=0), USER, 401, "token_expired"),
        (Claims(subject="city", scope="operator", expires_s=9e9), USER, 401, "token_invalid"),
        (Claims(subject="nobody", scope="viewer", expires_s=9e9), USER, 401, "token_invalid"),
        (Claims(subject="city", scope="provider", expires_s=9e9), VIEWER, 403, "token_foreign"),
    ],
)
async def test_bad_tokens(
    here: World, claims: Claims, audience: str, status: int, code: str
) -> None:
    token = here.system.signer.sign(claims, audience)
    answer = await here.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (status, f"umbel.{code}")


async def test_a_token_of_another_platform_is_invalid(here: World) -> None:
    other = Signer(new_private_key())
    claims = Claims(subject="operator", scope="operator", expires_s=time.time() + 60)
    headers = {"Authorization": f"Bearer {other.sign(claims, USER)}"}
    answer = await here.client.get("/api/v1/users", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "umbel.token_invalid")


async def test_no_token_is_missing(here: World) -> None:
    answer = await here.client.get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "umbel.token_missing")


async def test_operators_add_and_remove_users(here: World) -> None:
    new = {"username": "ann", "password": "long enough", "role": "viewer"}
    operator = here.as_("operator")
    added = await here.client.post("/api/v1/users", json=new, headers=operator)
    assert added.status_code == 201
    assert added.json() == {"username": "ann", "role": "viewer", "provider_id": None}
    again = await here.client.post("/api/v1/users", json=new, headers=operator)
    assert (again.status_code, again.json()["code"]) == (409, "umbel.user_exists")
    token = (await sign_in(here, "ann", "long enough")).json()["value"]
    listed = (await here.client.get("/api/v1/users", headers=operator)).json()
    assert [user["username"] for user in listed] == ["ann", "city", "club", "operator", "viewer"]
    gone = await here.client.delete("/api/v1/users/ann", headers=operator)
    assert gone.status_code == 204
    assert gone.content == b""
    me = await here.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 401, "a removed user's token is worth nothing at once"
    missing = await here.client.delete("/api/v1/users/ann", headers=operator)
    assert (missing.status_code, missing.json()["code"]) == (404, "umbel.no_such_user")


async def me(here: World, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await here.client.get("/api/v1/me", headers=headers)).status_code


async def test_a_token_ends_with_the_password_that_gave_it(here: World) -> None:
    before = (await sign_in(here, "city")).json()["access_token"]
    assert await me(here, before) == 200
    await here.system.catalogue.set_password("city", "another long one")
    assert await me(here, before) == 401
    after = (await sign_in(here, "city", "another long one")).json()["access_token"]
    assert await me(here, after) == 200


async def test_a_token_is_worth_nothing_to_another_account_of_the_same_name(here: World) -> None:
    catalogue = here.system.catalogue
    before = (await sign_in(here, "viewer")).json()["access_token"]
    await catalogue.remove_user("viewer")
    await catalogue.add_user("viewer", PASSWORD, UserRole.VIEWER)
    assert await me(here, before) == 401
    after = (await sign_in(here, "viewer")).json()["access_token"]
    assert await me(here, after) == 200


async def test_wrong_passwords_make_the_account_wait_elsewhere_and_the_right_one_stays_quick(
    here: World,
) -> None:
    assert (await sign_in(here, "city")).status_code == 200
    elsewhere = httpx.ASGITransport(here.app, client=("192.0.2.9", 1))
    form = {"grant_type": "password", "username": "city", "password": "wrong password"}
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://umbel") as guesser:
        guesses = [await guesser.post("/oauth/token", data=form) for _ in range(8)]
        refused = await guesser.post("/oauth/token", data={**form, "password": PASSWORD})
    assert [guess.status_code for guess in guesses] == [401] * 5 + [429] * 3
    assert (refused.status_code, refused.json()["code"]) == (429, "umbel.sign_in_too_soon")
    assert refused.headers["retry-after"] == "1"
    assert (await sign_in(here, "city")).status_code == 200


async def test_a_flood_of_wrong_passwords_is_refused_before_it_is_hashed(here: World) -> None:
    began_s = time.monotonic()
    flood = asyncio.gather(*(sign_in(here, f"user{n}", "wrong password") for n in range(100)))
    elsewhere = httpx.ASGITransport(here.app, client=("192.0.2.9", 1))
    form = {"grant_type": "password", "username": "city", "password": PASSWORD}
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://umbel") as other:
        assert (await other.post("/oauth/token", data=form)).status_code == 200
    statuses = [answer.status_code for answer in await flood]
    # The delays double from 1 s: a machine that takes long over the flood gets one more for each.
    delays = int(math.log2(1 + time.monotonic() - began_s))
    assert 20 <= statuses.count(401) <= 20 + delays
    assert statuses.count(401) + statuses.count(429) == 100


async def test_the_last_operator_stays(here: World) -> None:
    answer = await here.client.delete("/api/v1/users/operator", headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.last_operator")


@pytest.mark.parametrize("who", ["viewer", "city"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/users"),
        ("DELETE", "/api/v1/users/viewer"),
        ("POST", "/api/v1/providers"),
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/links"),
        ("GET", "/api/v1/functions"),
    ],
)
async def test_only_operators(here: World, who: str, method: str, path: str) -> None:
    body = {
        "/api/v1/users": {"username": "eve", "password": "long enough", "role": "operator"},
        "/api/v1/providers": {"name": "Eve", "access_node": "pe1"},
    }
    json = body.get(path) if method == "POST" else None
    answer = await here.client.request(method, path, json=json, headers=here.as_(who))
    assert (answer.status_code, answer.json()["code"]) == (403, "umbel.forbidden")
    anonymous = await here.client.request(method, path, json=json)
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "umbel.token_missing")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"password": "short"}, "password"),
        ({"username": "Not Ok"}, "username"),
        ({"role": "king"}, "role"),
        ({"colour": "red"}, "colour"),
        ({"role": "provider"}, "provider_id"),
        ({"provider_id": "pr_x"}, "provider_id"),
    ],
)
async def test_unusable_users_name_the_field(
    here: World, change: dict[str, str], field: str
) -> None:
    new = {"username": "ann", "password": "long enough", "role": "viewer", **change}
    answer = await here.client.post("/api/v1/users", json=new, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.unprocessable")
    assert [f["field"] for f in answer.json()["details"]["fields"]] == [field]
    assert "long enough" not in answer.text


async def test_a_providers_user_needs_a_provider_that_exists(here: World) -> None:
    new = {"username": "ann", "password": "long enough", "role": "provider", "provider_id": "pr_0"}
    answer = await here.client.post("/api/v1/users", json=new, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_provider")
