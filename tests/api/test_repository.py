"""Kurento's repository over REST: who may, and items with their metadata."""

import hashlib
from typing import Any

import pytest

from support.http import World
from support.items import created, stored, url_of

# -- who may --------------------------------------------------------------------------------

ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/repo/item/{item}", None),
    ("GET", "/repo/item/{item}/metadata", None),
    ("PUT", "/repo/item/{item}/metadata", {"a": "b"}),
    ("GET", "/api/v1/repository/items/{item}", None),
    ("GET", "/api/v1/repository/usage?provider_id={city}", None),
    ("POST", "/repo/item?provider_id={city}", {}),
    ("DELETE", "/repo/item/{item}", None),
]
SEARCHES: list[tuple[str, str, Any]] = [
    ("POST", "/repo/item", {}),
    ("POST", "/repo/item/find", {}),
    ("POST", "/repo/item/find/regex", {}),
    ("GET", "/api/v1/repository/usage", None),
]


@pytest.mark.parametrize(
    ("who", "status"),
    [("operator", 200), ("city", 200), ("club", 403), ("viewer", 403), ("", 401)],
)
async def test_an_item_is_its_providers(here: World, who: str, status: int) -> None:
    item = (await created(here))["id"]
    headers = here.as_(who) if who else {}
    for method, path, body in ROUTES:
        url = path.format(item=item, city=here.city.id)
        answer = await here.client.request(method, url, json=body, headers=headers)
        assert answer.status_code == status, (method, path, answer.text)


@pytest.mark.parametrize(
    ("who", "status"),
    [("operator", 200), ("city", 200), ("club", 200), ("viewer", 403), ("", 401)],
)
async def test_providers_and_operators_have_a_repository(
    here: World, who: str, status: int
) -> None:
    headers = here.as_(who) if who else {}
    for method, path, body in SEARCHES:
        answer = await here.client.request(method, path, json=body, headers=headers)
        if path == "/api/v1/repository/usage" and who == "viewer":
            assert answer.status_code == 403
        assert answer.status_code == status, (method, path, answer.text)


@pytest.mark.parametrize("who", ["operator", "city", "club"])
async def test_what_is_not_there_is_not_there_for_anyone(here: World, who: str) -> None:
    for method, path, body in ROUTES:
        if "{item}" in path:
            url = path.format(item="item_0", city=here.city.id)
            answer = await here.client.request(method, url, json=body, headers=here.as_(who))
            assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_item")
    answer = await here.client.post("/repo/item?provider_id=pr_0", headers=here.as_(who))
    assert answer.status_code == (404 if who == "operator" else 403)


async def test_an_address_needs_no_account_and_is_for_one_direction(here: World) -> None:
    made = await created(here)
    assert (await here.client.put(made["url"], content=b"x")).status_code == 200
    for method in ("GET", "HEAD"):
        assert (await here.client.request(method, made["url"])).status_code == 405
    read = await url_of(here, made["id"])
    assert (await here.client.get(read)).content == b"x"
    for method in ("PUT", "POST"):
        answer = await here.client.request(method, read, content=b"y")
        assert (answer.status_code, answer.json()["code"]) == (405, "umbel.wrong_direction")
    answer = await here.client.options(read)
    assert (answer.status_code, "PUT" in answer.headers["allow"]) == (204, True)


# -- items ----------------------------------------------------------------------------------


async def test_items_are_described_and_found(here: World) -> None:
    city, club = here.as_("city"), here.as_("club")
    film = (await created(here, kind="film", title="Council 7"))["id"]
    sound = (await created(here, kind="sound", title="Concert"))["id"]
    other = (await created(here, "club", kind="film", title="Cup"))["id"]

    async def found(headers: dict[str, str], path: str, **wanted: str) -> list[str]:
        answer = await here.client.post(f"/repo/item/find{path}", json=wanted, headers=headers)
        assert answer.status_code == 200
        return answer.json()

    assert await found(city, "", kind="film") == [film]
    assert await found(city, "") == sorted([film, sound])
    assert await found(club, "", kind="film") == [other]
    assert await found(here.as_("operator"), "", kind="film") == sorted([film, other])
    assert await found(city, "/regex", title=r"^Co.*\d$") == [film]
    assert await found(city, "/regex", title="o") == sorted([film, sound])
    answer = await here.client.post("/repo/item/find/regex", json={"a": "("}, headers=city)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.bad_pattern")
    path = f"/repo/item/{film}/metadata"
    assert (await here.client.put(path, json={"kind": "sound"}, headers=city)).status_code == 200
    assert (await here.client.get(path, headers=city)).json() == {"kind": "sound"}
    assert await found(city, "", kind="sound") == sorted([film, sound])
    assert (await here.client.delete(f"/repo/item/{film}", headers=city)).status_code == 200
    assert (await here.client.get(path, headers=city)).status_code == 404


async def test_an_item_is_created_without_a_body_and_says_what_it_is(here: World) -> None:
    city = here.as_("city")
    path = "/repo/item?expires_in_s=60"
    item = (await here.client.post(path, headers=city)).json()["id"]
    told = (await here.client.get(f"/api/v1/repository/items/{item}", headers=city)).json()
    assert told["expires_at"] > told["created_at"]
    assert {k: told[k] for k in ("provider_id", "state", "size", "sha256", "metadata")} == {
        "provider_id": here.city.id,
        "state": "empty",
        "size": 0,
        "sha256": "",
        "metadata": {},
    }
    item = await stored(here, b"abc", kind="video/mp4; codecs=avc1")
    told = (await here.client.get(f"/api/v1/repository/items/{item}", headers=city)).json()
    assert (told["state"], told["content_type"]) == ("stored", "video/mp4")
    assert told["sha256"] == hashlib.sha256(b"abc").hexdigest()
    usage = (await here.client.get("/api/v1/repository/usage", headers=city)).json()
    assert (usage["items"], usage["bytes"]) == (2, 3)
    platform = await created(here, "operator")
    answer = await here.client.get(
        f"/api/v1/repository/items/{platform['id']}", headers=here.as_("operator")
    )
    assert answer.json()["provider_id"] is None


async def test_an_empty_item_has_nothing_to_read(here: World) -> None:
    made = await created(here)
    answer = await here.client.get(await url_of(here, made["id"]))
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.item_empty")


async def test_a_provider_with_items_stays(here: World) -> None:
    operator = here.as_("operator")
    empty = await here.system.catalogue.add_provider("Empty", "pe1")
    path = f"/api/v1/providers/{empty.id}"
    answer = await here.client.post(f"/repo/item?provider_id={empty.id}", headers=operator)
    item = answer.json()["id"]
    refused = await here.client.delete(path, headers=operator)
    assert (refused.status_code, refused.json()["code"]) == (409, "umbel.provider_in_use")
    await here.client.delete(f"/repo/item/{item}", headers=operator)
    assert (await here.client.delete(path, headers=operator)).status_code == 204
