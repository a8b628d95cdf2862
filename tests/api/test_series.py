"""Series of events over HTTP: made, changed and cancelled with those that follow; rights."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from support.http import World
from umbel.catalogue.model import EventEvent

ROME = ZoneInfo("Europe/Rome")
EVENTS = "/api/v1/events"


def draft(here: World, **repeat: object) -> dict[str, Any]:
    return {
        "provider_id": here.city.id,
        "title": "Mass",
        "starts_at": "2090-03-18T10:00:00+01:00",  # the clocks change on the 26th
        "ends_at": "2090-03-18T11:30:00+01:00",
        "time_zone": "Europe/Rome",
        "repeat": {"unit": "week", **repeat},
    }


async def series(here: World, count: int = 4) -> list[dict[str, Any]]:
    body = draft(here, count=count)
    made = await here.client.post(EVENTS, json=body, headers=here.as_("city"))
    assert made.status_code == 201, made.text
    return await listed(here)


async def listed(here: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await here.client.get(EVENTS)).json()
    return found


def local(event: dict[str, Any], key: str = "starts_at") -> str:
    return f"{datetime.fromisoformat(event[key]).astimezone(ROME):%m-%d %H:%M}"


async def test_each_is_an_event_of_its_own(here: World) -> None:
    events = await series(here)
    assert [local(one) for one in events] == [
        "03-18 10:00",
        "03-25 10:00",
        "04-01 10:00",
        "04-08 10:00",
    ]
    assert {local(one, "ends_at")[6:] for one in events} == {"11:30"}
    assert len({one["series_id"] for one in events}) == 1
    assert len({one["id"] for one in events}) == 4
    path = f"{EVENTS}/{events[1]['id']}"
    alone = {"version": 1, "title": "Vigil"}
    assert (await here.client.patch(path, json=alone, headers=here.as_("city"))).status_code == 200
    assert [one["title"] for one in await listed(here)] == ["Mass", "Vigil", "Mass", "Mass"]


async def test_one_is_changed_with_those_that_follow(here: World) -> None:
    events, city = await series(here), here.as_("city")
    path = f"{EVENTS}/{events[1]['id']}/following"
    change = {
        "version": 1,
        "title": "Sung mass",
        "starts_at": "2090-03-25T18:15:00+01:00",
        "ends_at": "2090-03-25T19:15:00+01:00",
    }
    await here.system.catalogue.transition(events[3]["id"], EventEvent.CANCEL)
    changed = await here.client.patch(path, json=change, headers=city)
    assert (changed.status_code, changed.json()["changed"]) == (200, 1)
    assert changed.json()["event"]["title"] == "Sung mass"
    assert [(one["title"], local(one)) for one in await listed(here)] == [
        ("Mass", "03-18 10:00"),
        ("Sung mass", "03-25 18:15"),
        ("Sung mass", "04-01 18:15"),
        ("Mass", "04-08 10:00"),
    ]
    stale = await here.client.patch(path, json=change, headers=city)
    assert (stale.status_code, stale.json()["details"]["current"]["version"]) == (409, 2)
    tagged = {**city, "If-Match": '"1"'}
    refused = await here.client.patch(path, json={"title": "X"}, headers=tagged)
    assert refused.status_code == 412


async def test_a_change_that_one_of_them_cannot_take_changes_none(here: World) -> None:
    events = await series(here)
    path = f"{EVENTS}/{events[2]['id']}/following"
    bad = {"version": 1, "visibility": "pass_phrase"}
    refused = await here.client.patch(path, json=bad, headers=here.as_("city"))
    assert refused.status_code == 422
    assert await listed(here) == events
    good = {**bad, "pass_phrase": "the old lighthouse"}
    locked = await here.client.patch(path, json=good, headers=here.as_("city"))
    assert locked.json()["changed"] == 1
    assert len(await listed(here)) == 2


async def test_the_rest_is_cancelled(here: World) -> None:
    events = await series(here)
    path = f"{EVENTS}/{events[2]['id']}/following/cancel"
    over = await here.client.post(path, headers=here.as_("city"))
    assert (over.status_code, over.json()["changed"]) == (200, 1)
    states = [one["state"] for one in await listed(here)]
    assert states == ["scheduled", "scheduled", "cancelled", "cancelled"]
    again = await here.client.post(path, headers=here.as_("city"))
    assert (again.status_code, again.json()["code"]) == (409, "umbel.event_over")


async def test_an_event_by_itself_has_none_that_follow(here: World) -> None:
    event, city = await here.event(), here.as_("city")
    path = f"{EVENTS}/{event.id}/following"
    for answer in (
        await here.client.patch(path, json={"version": 1, "title": "X"}, headers=city),
        await here.client.post(f"{path}/cancel", headers=city),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.not_in_series")


@pytest.mark.parametrize(
    "repeat",
    [
        {"count": 1},
        {"count": 101},
        {"count": 3, "until": "2090-05-01"},
        {},
        {"until": "2090-03-18"},
        {"until": "2099-01-01"},
        {"every": 0, "count": 3},
        {"unit": "second", "count": 3},
        {"until": "soon"},
    ],
)
async def test_what_cannot_be_repeated_makes_no_event(
    here: World, repeat: dict[str, object]
) -> None:
    body = draft(here, **repeat)
    refused = await here.client.post(EVENTS, json=body, headers=here.as_("city"))
    assert refused.status_code == 422, refused.text
    assert await listed(here) == []


@pytest.mark.parametrize(
    ("who", "status"),
    [("", 401), ("viewer", 403), ("club", 403), ("city", 200), ("operator", 200)],
)
async def test_who_may_change_a_series(here: World, who: str, status: int) -> None:
    events = await series(here, count=2)
    path, sent = f"{EVENTS}/{events[0]['id']}/following", here.as_(who) if who else {}
    change = {"version": 1, "title": "X"}
    assert (await here.client.patch(path, json=change, headers=sent)).status_code == status
    assert (await here.client.post(f"{path}/cancel", headers=sent)).status_code == status
