"""A browser's sign-in: its cookie, what it opens, and that other sites cannot use it."""

import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from support.http import PASSWORD, World, make_system, serving, world
from support.waiting import until
from umbel.kit.db import Database
from umbel.kit.tokens import USER, WEB, Claims
from umbel.portal.api import welcome
from umbel.portal.app import create_app
from umbel.portal.web_session import HEADER

OURS = {HEADER: "1"}
UNSAFE = frozenset(("POST", "PUT", "PATCH", "DELETE"))


def browser(here: World, scheme: str = "http") -> httpx.AsyncClient:
    """A client with cookies of its own."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(here.app), base_url=f"{scheme}://umbel")


async def sign_in(client: httpx.AsyncClient, username: str = "city") -> httpx.Response:
    words = {"username": username, "password": PASSWORD}
    answer = await client.post("/api/v1/web-session", json=words, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
async def page(here: World) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(here) as client:
        await sign_in(client)
        yield client


def unsafe_routes() -> list[tuple[str, str]]:
    """Every (method, path) that changes something, with made-up values, but for the forms that
    check a token of their own; read off an app that is never run."""
    app = create_app(make_system(Database("sqlite:///never-opened"), Path()))
    routes: list[APIRoute] = []
    for found in app.routes:
        inner = getattr(found, "original_router", None)
        routes += [found] if isinstance(found, APIRoute) else inner.routes if inner else []
    return sorted(
        (method, re.sub(r"\{\w+\}", "x", route.path))
        for route in routes
        for method in UNSAFE & (route.methods or set())
        if route.path not in welcome.FORMS
    )


def test_the_routes_that_change_something_are_found() -> None:
    found = unsafe_routes()
    assert len(found) > 60
    assert {"POST", "PUT", "PATCH", "DELETE"} == {method for method, _ in found}
    assert ("POST", "/api/v1/events") in found


async def test_no_unsafe_request_with_the_cookie_passes_without_the_header(
    page: httpx.AsyncClient,
) -> None:
    answers = {
        (method, path): await page.request(method, path, json={})
        for method, path in unsafe_routes()
    }
    passed = {
        request: answer.text
        for request, answer in answers.items()
        if (answer.status_code, answer.json().get("code")) != (403, "umbel.cross_site_request")
    }
    assert passed == {}


async def test_with_the_header_none_of_them_is_taken_for_another_sites(
    page: httpx.AsyncClient,
) -> None:
    for method, path in unsafe_routes():
        answer = await page.request(method, path, json={}, headers=OURS)
        assert "umbel.cross_site_request" not in answer.text, (method, path)
        if path == "/api/v1/me/tokens":
            await sign_in(page)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic Y2l0eTp4"},
        {"Authorization": ""},
        {"Origin": "http://umbel", "Sec-Fetch-Site": "same-origin"},
        {"Content-Type": "text/plain"},
    ],
)
async def test_what_a_form_can_send_does_not_stand_in_for_the_header(
    page: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await page.post("/api/v1/events", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "umbel.cross_site_request")


async def test_a_bearer_token_is_preferred_and_needs_no_header(
    here: World, page: httpx.AsyncClient
) -> None:
    operator = here.as_("operator")
    assert (await page.get("/api/v1/me", headers=operator)).json()["username"] == "operator"
    new = {"name": "Choir", "access_node": "pe1"}
    answer = await page.post("/api/v1/providers", json=new, headers=operator)
    assert answer.status_code == 201
    wrong = await page.get("/api/v1/me", headers={"Authorization": "Bearer x"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "umbel.token_invalid")


async def test_the_cookie_opens_what_the_account_may(here: World, page: httpx.AsyncClient) -> None:
    me = await page.get("/api/v1/me")
    runs = {"provider_id": here.city.id, "provider_name": "City", "role": "owner"}
    assert me.json() == {
        "username": "city",
        "role": "provider",
        "provider_id": here.city.id,
        "providers": [runs],
    }
    assert me.headers["cache-control"] == "no-store"
    event = await here.event()
    ended = await page.post(f"/api/v1/events/{event.id}/end", headers=OURS)
    assert ended.json()["state"] == "ended"
    users = await page.get("/api/v1/users")
    assert (users.status_code, users.json()["code"]) == (403, "umbel.forbidden")


async def test_the_cookie_is_kept_from_scripts_and_other_sites(here: World) -> None:
    async with browser(here) as client:
        answer = await sign_in(client)
        assert answer.headers["cache-control"] == "no-store"
        assert set(answer.json()) == {"username", "role", "provider_id", "expires_at"}
        cookie = SimpleCookie(answer.headers["set-cookie"])["umbel-session"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/")
        assert (cookie["max-age"], cookie["domain"], cookie["secure"]) == ("604800", "", "")
        assert cookie.value not in answer.text


async def test_over_https_it_is_secure_and_no_other_host_can_set_it(here: World) -> None:
    async with browser(here, "https") as client:
        answer = await sign_in(client)
        cookie = SimpleCookie(answer.headers["set-cookie"])["__Host-umbel-session"]
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
        assert (await client.get("/api/v1/me")).status_code == 200
        plain = {"Cookie": f"umbel-session={cookie.value}"}
        client.cookies.clear()
        assert (await client.get("/api/v1/me", headers=plain)).status_code == 401


async def test_nobody_is_signed_in_by_another_sites_form(here: World) -> None:
    words = {"username": "city", "password": PASSWORD}
    async with browser(here) as client:
        answer = await client.post("/api/v1/web-session", json=words)
        assert (answer.status_code, answer.json()["code"]) == (403, "umbel.cross_site_request")
        assert "set-cookie" not in answer.headers


async def test_wrong_passwords_are_limited_here_too(here: World) -> None:
    words = {"username": "city", "password": "wrong password"}
    async with browser(here) as client:
        answers = [
            await client.post("/api/v1/web-session", json=words, headers=OURS) for _ in range(6)
        ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert "set-cookie" not in answers[0].headers


@pytest.mark.parametrize(("made_for", "sent_as"), [(USER, "cookie"), (WEB, "bearer")])
async def test_a_token_is_good_only_where_it_was_made_for(
    here: World, made_for: str, sent_as: str
) -> None:
    user = here.users["city"]
    claims = Claims(subject="city", scope="provider", expires_s=9e9, generation=user.generation)
    token = here.system.signer.sign(claims, made_for)
    headers = {
        "cookie": {"Cookie": f"umbel-session={token}"},
        "bearer": {"Authorization": f"Bearer {token}"},
    }[sent_as]
    answer = await here.client.get("/api/v1/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "umbel.token_foreign")


async def test_signing_out_ends_this_browsers_sign_in(here: World, page: httpx.AsyncClient) -> None:
    async with browser(here) as other:
        await sign_in(other)
        assert (await page.delete("/api/v1/web-session", headers=OURS)).status_code == 204
        assert len(page.cookies) == 0
        assert (await page.get("/api/v1/me")).status_code == 401
        assert (await other.get("/api/v1/me")).status_code == 200
        assert (await page.delete("/api/v1/web-session")).status_code == 204, "once more"


async def test_signing_out_everywhere_ends_every_token_of_the_account(
    here: World, page: httpx.AsyncClient
) -> None:
    async with browser(here) as other:
        await sign_in(other)
        form = {"grant_type": "password", "username": "city", "password": PASSWORD}
        token = (await here.client.post("/oauth/token", data=form)).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await here.client.get("/api/v1/me", headers=bearer)).status_code == 200
        assert (await page.delete("/api/v1/me/tokens", headers=OURS)).status_code == 204
        assert len(page.cookies) == 0
        assert (await other.get("/api/v1/me")).status_code == 401
        assert (await here.client.get("/api/v1/me", headers=bearer)).status_code == 401
        assert (await here.client.get("/api/v1/me", headers=here.as_("club"))).status_code == 200
        await sign_in(other)
        assert (await other.get("/api/v1/me")).status_code == 200


async def test_a_stream_of_changes_is_the_accounts_and_ends_when_it_signs_out_everywhere(
    sqlite: Database, tmp_path: Path
) -> None:
    system = make_system(sqlite, tmp_path)
    async with (
        world(system, served=True, keep_alive_s=0.2) as here,
        serving(here.app) as (_, base),
        httpx.AsyncClient(base_url=base, timeout=60) as page,
        httpx.AsyncClient(base_url=base, timeout=60) as stale,
    ):
        await sign_in(page, "operator")
        stale.cookies.set("umbel-session", "stale")
        async with page.stream("GET", "/api/v1/state") as mine:
            lines = mine.aiter_lines()
            async with stale.stream("GET", "/api/v1/state") as public:
                assert public.status_code == 200, "a stale cookie is none here"
                anonymous = public.aiter_lines()
                await system.catalogue.set_password("club", "another long one")
                await here.event()
                seen = [line async for line in _until(lines, "event: event")]
                assert "event: user" in seen, "an operator sees more"
                assert "event: user" not in [
                    line async for line in _until(anonymous, "event: event")
                ]
            assert (await page.delete("/api/v1/me/tokens", headers=OURS)).status_code == 204
            rest = [line async for line in lines]
        assert "event: user" not in rest

        async def has_no_readers() -> bool:
            return "umbel_state_readers 0.0" in (await page.get("/metrics")).text

        await until(has_no_readers)


async def _until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return


async def test_the_captive_portals_form_keeps_its_own_check(
    page: httpx.AsyncClient,
) -> None:
    answer = await page.post("/welcome", data={"username": "city", "password": PASSWORD})
    assert answer.status_code == 403
    assert "The form is too old" in answer.text
