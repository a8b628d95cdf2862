"""Discover over HTTP: sections, search, pages; without an account."""

import httpx
import pytest

from support.http import World
from umbel.catalogue.model import EventEvent

EVENTS, PROVIDERS = "/api/v1/discover/events", "/api/v1/discover/providers"
HOUR_S = 3_600.0


async def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one.get("title") or one["name"] for one in answer.json()["items"]]


async def test_anybody_finds_events(here: World) -> None:
    now_s = here.system.clock.now_s()
    later = now_s + 2 * HOUR_S
    live = await here.open_event()
    await here.event(here.club, title="Été: match", starts_s=later, ends_s=later + HOUR_S)
    over = await here.event(title="Old")
    await here.system.catalogue.transition(over.id, EventEvent.CANCEL)

    for section, expected in (("live", ["Council"]), ("soon", ["Été: match"]), ("past", ["Old"])):
        assert await names(await here.client.get(EVENTS, params={"section": section})) == expected
    found = await here.client.get(EVENTS, params={"q": "ETE club"})
    assert await names(found) == ["Été: match"]
    assert found.json()["items"][0]["provider_name"] == "Club"
    (shown,) = (await here.client.get(EVENTS, params={"section": "live"})).json()["items"]
    assert shown["id"] == live.id
    assert shown == (await here.client.get(f"/api/v1/events/{live.id}")).json()
    mine = await here.client.get(EVENTS, params={"provider_id": here.city.id, "q": "old"})
    assert await names(mine) == ["Old"]


async def test_pages(here: World) -> None:
    for number in range(5):
        await here.event(title=f"Mass {number}")
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = await here.client.get(EVENTS, params={"limit": 2, "cursor": cursor, "q": "mass"})
        seen += await names(page)
        cursor = page.json()["cursor"]
    assert sorted(seen) == [f"Mass {number}" for number in range(5)]
    assert cursor == ""
    page = await here.client.get(PROVIDERS, params={"limit": 1})
    assert await names(page) == ["City"]
    assert page.json()["items"][0]["soon"] == 5
    page = await here.client.get(PROVIDERS, params={"limit": 1, "cursor": page.json()["cursor"]})
    assert (await names(page), page.json()["cursor"]) == (["Club"], "")


@pytest.mark.parametrize("path", [EVENTS, PROVIDERS])
@pytest.mark.parametrize(
    "query", ["cursor=%25", "limit=0", "limit=101", f"q={'x' * 201}", f"cursor={'x' * 601}"]
)
async def test_what_cannot_be_asked_for(here: World, path: str, query: str) -> None:
    answer = await here.client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "message", "details"}


@pytest.mark.parametrize("q", ["%00", "%ff%fe", "%ed%a0%80", "%27%3B--", "%25_%25", "%F4%8F%BF%BF"])
async def test_any_bytes_can_be_searched_for(here: World, q: str) -> None:
    await here.event()
    assert await names(await here.client.get(f"{EVENTS}?q={q}")) == []
