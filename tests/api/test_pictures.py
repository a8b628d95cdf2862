"""Pictures of events over HTTP: what is taken, what comes back, and what is refused."""

from collections.abc import AsyncIterator

import pytest

from support.http import World
from support.picture_files import KINDS, SECRET, drawn, pixels, saved
from umbel.catalogue.model import EventEvent
from umbel.kit.image_files import JPEG
from umbel.portal.api.pictures import MOST_BYTES
from umbel.repository.service import Source


async def items(here: World) -> int:
    return (await here.system.repository.usage(here.city.id)).items


@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_comes_back_without_what_is_private(here: World, kind: str) -> None:
    event, data = await here.event(), saved(kind)
    path, city = f"/api/v1/events/{event.id}", here.as_("city")
    missing = await here.client.get(f"{path}/picture")
    assert (missing.status_code, missing.json()["code"]) == (404, "umbel.no_picture")
    wrong_type = {**city, "Content-Type": "text/html"}  # the bytes say what it is
    put = await here.client.put(f"{path}/picture", content=data, headers=wrong_type)
    assert put.status_code == 204
    url = (await here.client.get(path)).json()["picture"]
    shown = await here.client.get(url)
    assert (shown.status_code, shown.headers["content-type"]) == (200, kind)
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert pixels(shown.content) == pixels(data)
    assert SECRET.encode() not in shown.content
    tag = {"If-None-Match": shown.headers["etag"]}
    assert (await here.client.get(url, headers=tag)).status_code == 304
    assert (await here.client.delete(f"{path}/picture", headers=city)).status_code == 204
    assert (await here.client.delete(f"{path}/picture", headers=city)).status_code == 204
    assert (await here.client.get(path)).json()["picture"] is None
    assert await items(here) == 0


async def test_another_picture_takes_the_place_of_the_first(here: World) -> None:
    event, city = await here.event(), here.as_("city")
    path = f"/api/v1/events/{event.id}/picture"
    for width in (64, 80):
        data = saved(JPEG, drawn(width, 36))
        assert (await here.client.put(path, content=data, headers=city)).status_code == 204
        assert await items(here) == 1
    assert pixels((await here.client.get(path)).content) == pixels(data)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 415, "umbel.not_a_picture"),
        (b"GIF89a" + b"\0" * 100, 415, "umbel.not_a_picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "umbel.not_a_picture"),
        (saved(JPEG)[:-40], 422, "umbel.picture_damaged"),
        (saved(JPEG, drawn(5_000, 8)), 422, "umbel.picture_unfit"),
        (saved(JPEG) + b"\0" * MOST_BYTES, 413, "umbel.too_large"),
    ],
)
async def test_other_files_are_refused_and_leave_nothing(
    here: World, data: bytes, status: int, code: str
) -> None:
    event, city = await here.event(), here.as_("city")
    path = f"/api/v1/events/{event.id}"
    put = await here.client.put(f"{path}/picture", content=data, headers=city)
    assert (put.status_code, put.json()["code"]) == (status, code)
    assert (await here.client.get(path)).json()["picture"] is None
    assert await items(here) == 0


async def test_an_event_that_is_over_keeps_its_picture_as_it_is(here: World) -> None:
    event, city = await here.event(), here.as_("city")
    path = f"/api/v1/events/{event.id}/picture"
    await here.client.put(path, content=saved(JPEG), headers=city)
    await here.system.catalogue.transition(event.id, EventEvent.CANCEL)
    late = await here.client.put(path, content=saved(JPEG), headers=city)
    assert (late.status_code, late.json()["code"]) == (409, "umbel.event_over")
    assert await items(here) == 1
    assert (await here.client.get(path)).status_code == 200


async def test_a_picture_whose_item_was_changed_by_its_owner_is_none(here: World) -> None:
    event, city = await here.event(), here.as_("city")
    path = f"/api/v1/events/{event.id}/picture"
    await here.client.put(path, content=saved(JPEG), headers=city)
    item = (await here.system.catalogue.event(event.id)).picture

    async def chunks() -> AsyncIterator[bytes]:
        yield b"<script>alert(1)</script>"

    await here.system.repository.write(item, Source(chunks=chunks(), content_type="text/html"))
    found = await here.client.get(path)
    assert (found.status_code, found.json()["code"]) == (404, "umbel.no_picture")
    await here.system.repository.delete(item)
    assert (await here.client.get(path)).status_code == 404
    assert (await here.client.put(path, content=saved(JPEG), headers=city)).status_code == 204
    assert (await here.client.get(path)).status_code == 200
