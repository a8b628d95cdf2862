"""A viewer's devices over REST: what may subscribe, how many, and whose they are."""

from typing import Any

import pytest

from support.http import PUSH_KEY, World, make_system, world
from umbel.kit import derived_keys, push_encryption
from umbel.kit.db import Database

MINE = "/api/v1/me/push"
DEVICES = f"{MINE}/devices"
ROLES = ("", "viewer", "city", "operator")
POINT = push_encryption.encode(
    push_encryption.point_of(derived_keys.p256(b"a browser", b"").public_key())
)
KEYS = {"p256dh": POINT, "auth": push_encryption.encode(b"0123456789abcdef")}


def device(name: str = "one", **changes: Any) -> dict[str, Any]:
    endpoint = f"https://push.example.net/send/{name}"
    return {"endpoint": endpoint, "keys": KEYS, "label": "Chromium on Linux"} | changes


async def add(here: World, who: str = "viewer", **changes: Any) -> Any:
    return await here.client.post(DEVICES, json=device(**changes), headers=here.as_(who))


async def test_a_viewer_has_devices(here: World) -> None:
    headers = here.as_("viewer")
    first = await here.client.get(MINE, headers=headers)
    assert first.json() == {"public_key": PUSH_KEY, "devices": []}
    made = await add(here)
    assert (made.status_code, made.json()["label"]) == (201, "Chromium on Linux")
    again = await add(here, label="Another name")
    assert again.json() == {**made.json(), "label": "Another name"}, "the same endpoint"
    assert (await here.client.get(MINE, headers=headers)).json()["devices"] == [again.json()]
    body = (await here.client.get("/api/v1/me/data", headers=headers)).json()
    assert body["push_devices"] == [again.json()]
    assert "push.example.net" not in str(body), "the endpoint is a secret"
    path = f"{DEVICES}/{made.json()['id']}"
    assert (await here.client.delete(path, headers=headers)).status_code == 204
    gone = await here.client.delete(path, headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_device")


async def test_a_browser_is_of_who_signed_in_last(here: World) -> None:
    await add(here, "viewer")
    await add(here, "city")
    catalogue = here.system.catalogue
    assert await catalogue.devices.every("viewer") == []
    assert len(await catalogue.devices.every("city")) == 1


async def test_an_account_has_ten_at_most(here: World) -> None:
    for number in range(10):
        assert (await add(here, name=f"d{number}")).status_code == 201
    refused = await add(here, name="d10")
    assert (refused.status_code, refused.json()["code"]) == (409, "umbel.too_many_devices")
    assert (await add(here, name="d3")).status_code == 201, "one of the ten, once more"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"endpoint": "http://push.example.net/x"}, (400, "umbel.push_refused")),
        ({"endpoint": "https://127.0.0.1/x"}, (400, "umbel.push_refused")),
        ({"endpoint": "https://169.254.169.254/x"}, (400, "umbel.push_refused")),
        ({"endpoint": "javascript:alert(1)"}, (400, "umbel.push_refused")),
        ({"endpoint": "x" * 1_025}, (422, "umbel.unprocessable")),
        ({"keys": {**KEYS, "p256dh": "AAAA"}}, (400, "umbel.bad_push_message")),
        ({"keys": {**KEYS, "auth": "AAAA"}}, (400, "umbel.bad_push_message")),
        ({"keys": {**KEYS, "auth": "\u00e9" * 20}}, (400, "umbel.bad_push_message")),
        ({"keys": {**KEYS, "p256dh": "A" * 101}}, (422, "umbel.unprocessable")),
        ({"label": ""}, (422, "umbel.unprocessable")),
        ({"label": "x" * 81}, (422, "umbel.unprocessable")),
        ({"label": "a\nb"}, (422, "umbel.unprocessable")),
        ({"more": 1}, (422, "umbel.unprocessable")),
    ],
)
async def test_what_cannot_subscribe(
    here: World, change: dict[str, Any], code: tuple[int, str]
) -> None:
    answer = await add(here, **change)
    assert (answer.status_code, answer.json()["code"]) == code
    assert await here.system.catalogue.devices.every("viewer") == []


async def test_an_operator_may_allow_a_push_service_of_their_own(
    sqlite: Database, tmp_path: Any
) -> None:
    system = make_system(sqlite, tmp_path, push_private=True)
    async with world(system, static=tmp_path / "no-build") as here:
        made = await add(here, endpoint="http://10.0.0.1:9000/x")
        assert made.status_code == 201


ROUTES: dict[tuple[str, str], tuple[Any, tuple[int, int, int, int]]] = {
    ("GET", MINE): (None, (401, 200, 200, 200)),
    ("POST", DEVICES): (device(), (401, 201, 201, 201)),
    ("DELETE", f"{DEVICES}/{{device_id}}"): (None, (401, 404, 404, 404)),
}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        (method, path, who, status)
        for (method, path), (_, statuses) in ROUTES.items()
        for who, status in zip(ROLES, statuses, strict=True)
    ],
)
async def test_who_may_and_only_with_ones_own(
    here: World, method: str, path: str, who: str, status: int
) -> None:
    """Whatever a caller does, the devices of another account stay as they were."""
    made = await add(here, "club", name="club")
    before = await here.system.catalogue.devices.every("club")
    answer = await here.client.request(
        method,
        path.format(device_id=made.json()["id"]),
        json=ROUTES[method, path][0],
        headers=here.as_(who) if who else {},
    )
    assert answer.status_code == status, answer.text
    assert await here.system.catalogue.devices.every("club") == before
    if method == "GET" and who:
        assert answer.json()["devices"] == []


def test_the_table_has_every_route(here: World) -> None:
    described = here.app.openapi()["paths"]
    found = {
        (method.upper(), path)
        for path, item in described.items()
        for method, operation in item.items()
        if "push" in operation["tags"]
    }
    assert found == set(ROUTES)
