"""Texts of users other than events' own: HTML comes back as text, marks that turn the direction of
what follows do not come back, and 10 MB are refused."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from support.http import World
from umbel.kit import derived_keys, push_encryption

TYPED = "<img src=x onerror=alert(1)> & \u202eevil\u202c \u2066x\u2069"
KEPT = "<img src=x onerror=alert(1)> & evil x"
LONG = "x" * 10_000_000
POINT = push_encryption.encode(
    push_encryption.point_of(derived_keys.p256(b"a browser", b"").public_key())
)

Write = Callable[[World, str], Awaitable[httpx.Response]]


async def _json(here: World, method: str, path: str, who: str, body: Any) -> httpx.Response:
    return await here.client.request(method, path, json=body, headers=here.as_(who))


async def new_provider(here: World, text: str) -> httpx.Response:
    body = {"name": text, "access_node": "pe1"}
    return await _json(here, "POST", "/api/v1/providers", "operator", body)


async def renamed_provider(here: World, text: str) -> httpx.Response:
    path = f"/api/v1/providers/{here.club.id}"
    return await _json(here, "PATCH", path, "operator", {"name": text})


async def device(here: World, text: str) -> httpx.Response:
    body = {
        "endpoint": "https://push.example.net/send/one",
        "keys": {"p256dh": POINT, "auth": push_encryption.encode(b"0123456789abcdef")},
        "label": text,
    }
    return await _json(here, "POST", "/api/v1/me/push/devices", "viewer", body)


async def file(here: World, text: str) -> httpx.Response:
    """A file's name comes in a header."""
    metadata = f"filename {base64.b64encode(text.encode()).decode()}"
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "4", "Upload-Metadata": metadata}
    headers = here.as_("city") | tus
    return await here.client.post("/api/v1/uploads", headers=headers)


async def item(here: World, text: str) -> httpx.Response:
    return await _json(here, "POST", "/repo/item", "city", {"title": text})


async def _provider_names(here: World) -> list[str]:
    answer = await here.client.get("/api/v1/providers")
    assert answer.headers["content-type"] == "application/json"
    return [one["name"] for one in answer.json()]


async def _labels(here: World) -> list[str]:
    answer = await here.client.get("/api/v1/me/push", headers=here.as_("viewer"))
    assert answer.headers["content-type"] == "application/json"
    return [one["label"] for one in answer.json()["devices"]]


async def _file_names(here: World) -> list[str]:
    path = f"/api/v1/files?provider_id={here.city.id}"
    answer = await here.client.get(path, headers=here.as_("city"))
    assert answer.headers["content-type"] == "application/json"
    return [one["name"] for one in answer.json()]


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (new_provider, _provider_names),
        (renamed_provider, _provider_names),
        (device, _labels),
        (file, _file_names),
    ],
)
async def test_markup_is_text_and_nothing_turns_what_follows(
    here: World, write: Write, read: Callable[[World], Awaitable[list[str]]]
) -> None:
    answer = await write(here, TYPED)
    assert answer.status_code in {200, 201}, answer.text
    assert KEPT in await read(here)


async def test_an_items_metadata_come_back_as_they_were_given(here: World) -> None:
    """They are an application's, which finds items by them: no page shows them."""
    created = await item(here, TYPED)
    assert created.status_code == 200, created.text
    path = f"/api/v1/repository/items/{created.json()['id']}"
    answer = await here.client.get(path, headers=here.as_("city"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["metadata"] == {"title": TYPED}


@pytest.mark.parametrize(
    ("write", "status", "code"),
    [
        (new_provider, 413, "umbel.too_large"),
        (renamed_provider, 413, "umbel.too_large"),
        (device, 413, "umbel.too_large"),
        (item, 413, "umbel.too_large"),
        (file, 422, "umbel.unprocessable"),
    ],
)
async def test_texts_of_10_megabytes_are_refused(
    here: World, write: Write, status: int, code: str
) -> None:
    answer = await write(here, LONG)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(answer.content) < 2_000, "it is not repeated"


@pytest.mark.parametrize("write", [new_provider, renamed_provider, device, item])
async def test_texts_that_are_a_little_too_long_name_their_field(here: World, write: Write) -> None:
    answer = await write(here, "x" * 5_001)
    assert answer.status_code in {400, 422}, answer.text
    assert len(answer.content) < 2_000
