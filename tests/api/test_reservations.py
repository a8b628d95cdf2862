"""A viewer's calendar over REST: reservations, its secret address, and whose they are."""

from datetime import UTC, datetime
from typing import Any

import pytest
import vobject

from support.http import World
from umbel.catalogue.model import EventEvent
from umbel.catalogue.reservations.model import Purpose

MINE = "/api/v1/me/reservations"
FEED = "/api/v1/me/calendar-feed"
WATCHED = "/api/v1/me/watched"
ROLES = ("", "viewer", "city", "operator")


async def reserve(here: World, event_id: str, who: str = "viewer", **body: str) -> Any:
    return await here.client.put(f"{MINE}/{event_id}", json=body, headers=here.as_(who))


async def mine(here: World, who: str = "viewer", **query: str) -> list[dict[str, Any]]:
    answer = await here.client.get(MINE, params=query, headers=here.as_(who))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_a_viewer_reserves_to_record(here: World) -> None:
    event = await here.event()
    made = await reserve(here, event.id, purpose="record")
    assert (made.status_code, made.json()["purpose"]) == (200, "record")
    for happened in (EventEvent.OPEN, EventEvent.START):
        await here.system.catalogue.transition(event.id, happened)
    assert (await reserve(here, event.id, purpose="record")).status_code == 200, "on air, too"
    assert (await reserve(here, event.id, purpose="watch")).status_code == 409


async def test_a_viewer_reserves_to_watch(here: World) -> None:
    event = await here.event()
    made = await reserve(here, event.id)
    assert (made.status_code, made.json()["purpose"]) == (200, "watch")
    assert made.json()["event"]["title"] == "Council"
    assert (await reserve(here, event.id)).json() == made.json(), "once more"
    assert [(one["event"]["id"], one["purpose"]) for one in await mine(here)] == [
        (event.id, "watch")
    ]
    assert await mine(here, "city") == []
    await here.system.catalogue.transition(event.id, EventEvent.CANCEL)
    assert (await mine(here))[0]["event"]["state"] == "cancelled"
    refused = await reserve(here, event.id)
    assert (refused.status_code, refused.json()["code"]) == (409, "umbel.not_reservable")
    path = f"{MINE}/{event.id}"
    assert (await here.client.delete(path, headers=here.as_("viewer"))).status_code == 204
    assert await mine(here) == []


async def test_by_month_in_the_viewers_zone(here: World) -> None:
    at_s = datetime(2099, 2, 28, 23, 30, tzinfo=UTC).timestamp()  # no new event is over
    event = await here.event(starts_s=at_s, ends_s=at_s + 60)
    await reserve(here, event.id)
    for month, zone, count in (
        ("2099-03", "Europe/Rome", 1),
        ("2099-02", "Europe/Rome", 0),
        ("2099-02", "UTC", 1),
    ):
        assert len(await mine(here, month=month, time_zone=zone)) == count
    for query in ({"month": "2099-3"}, {"month": "2099-03", "time_zone": "Mars/Olympus"}):
        answer = await here.client.get(MINE, params=query, headers=here.as_("viewer"))
        assert (answer.status_code, answer.json()["code"]) == (422, "umbel.bad_month")


async def test_a_calendar_program_reads_the_feed_until_it_is_revoked(here: World) -> None:
    headers = here.as_("viewer")
    event = await here.event(title="Grüße; aus, \\Rom")
    await reserve(here, event.id)
    assert (await here.client.get(FEED, headers=headers)).json() == {"created_at": None}
    made = await here.client.post(FEED, headers=headers)
    assert made.status_code == 201
    url = made.json()["url"]
    assert url.startswith("http://umbel/api/v1/calendar-feeds/")
    assert (await here.client.get(FEED, headers=headers)).json()["created_at"] is not None

    answer = await here.client.get(url)
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-store"
    read = vobject.readOne(answer.text).vevent
    assert read.summary.value == event.title
    assert read.dtstart.value.timestamp() == int(event.starts_s)
    assert read.url.value == f"http://umbel/watch/{event.id}"

    replaced = (await here.client.post(FEED, headers=headers)).json()["url"]
    assert (await here.client.get(url)).status_code == 404
    assert (await here.client.get(replaced)).status_code == 200
    assert (await here.client.delete(FEED, headers=headers)).status_code == 204
    gone = await here.client.get(replaced)
    assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_feed")


async def test_ones_data_have_the_reservations(here: World) -> None:
    event = await here.event()
    await reserve(here, event.id)
    secret = await here.system.catalogue.reservations.new_feed("viewer")
    answer = await here.client.get("/api/v1/me/data", headers=here.as_("viewer"))
    (row,) = answer.json()["reservations"]
    assert (row["event_id"], row["title"], row["purpose"]) == (event.id, "Council", "watch")
    assert answer.json()["calendar_feed_created_at"] is not None
    assert secret not in answer.text


ROUTES: dict[tuple[str, str], tuple[Any, tuple[int, int, int, int]]] = {
    ("GET", MINE): (None, (401, 200, 200, 200)),
    ("PUT", f"{MINE}/{{event_id}}"): ({"purpose": "watch"}, (401, 200, 200, 200)),
    ("DELETE", f"{MINE}/{{event_id}}"): (None, (401, 204, 204, 204)),
    ("GET", FEED): (None, (401, 200, 200, 200)),
    ("POST", FEED): (None, (401, 201, 201, 201)),
    ("DELETE", FEED): (None, (401, 204, 204, 204)),
    ("GET", "/api/v1/calendar-feeds/{secret}.ics"): (None, (200, 200, 200, 200)),
    ("GET", WATCHED): (None, (401, 200, 200, 200)),
    ("DELETE", WATCHED): (None, (401, 204, 204, 204)),
    ("PUT", f"{WATCHED}/{{event_id}}"): ({"seconds": 60}, (401, 404, 404, 404)),
    ("DELETE", f"{WATCHED}/{{event_id}}"): (None, (401, 204, 204, 204)),
}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        (method, path, who, status)
        for (method, path), (_, statuses) in ROUTES.items()
        for who, status in zip(ROLES, statuses, strict=True)
    ],
)
async def test_who_may_and_only_with_the_own_calendar(
    here: World, method: str, path: str, who: str, status: int
) -> None:
    """Whatever a caller does, the calendar of another account stays as it was."""
    reservations = here.system.catalogue.reservations
    event = await here.event()
    await reservations.reserve("club", event.id, Purpose.RECORD)
    secret = await reservations.new_feed("club")
    before = (await reservations.every("club"), await reservations.feed_created_s("club"))
    answer = await here.client.request(
        method,
        path.format(event_id=event.id, secret=secret),
        json=ROUTES[method, path][0],
        headers=here.as_(who) if who else {},
    )
    assert answer.status_code == status, answer.text
    assert (await reservations.every("club"), await reservations.feed_created_s("club")) == before
    assert await reservations.feed(secret) == before[0]
    if path == MINE and who:
        assert answer.json() == []


def test_the_table_has_every_route(here: World) -> None:
    described = here.app.openapi()["paths"]
    found = {
        (method.upper(), path)
        for path, item in described.items()
        for method, operation in item.items()
        if "reservations" in operation["tags"]
    }
    assert found == set(ROUTES)
