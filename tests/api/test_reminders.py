"""A viewer's reminders over REST: what may be chosen, for all and for one, and whose it is."""

from typing import Any

import pytest
import vobject

from support.http import World
from umbel.catalogue.choices.model import AccountChoice

MINE = "/api/v1/me/reminders"
ONE = "/api/v1/me/reservations/{event_id}/reminders"
ROLES = ("", "viewer", "city", "operator")
CHOSEN = {"leads_s": [7_200, 600], "channels": ["mail", "page"]}
FOR_ALL = {**CHOSEN, "time_zone": "Europe/Rome", "live": False}


async def reserved(here: World, who: str = "viewer") -> str:
    event = await here.event(starts_s=here.system.clock.now_s() + 90_000.0, ends_s=4e9)
    path = f"/api/v1/me/reservations/{event.id}"
    answer = await here.client.put(path, json={}, headers=here.as_(who))
    assert answer.status_code == 200
    return event.id


async def reminders_of(here: World, event_id: str) -> Any:
    answer = await here.client.get("/api/v1/me/reservations", headers=here.as_("viewer"))
    return next(one["reminders"] for one in answer.json() if one["event"]["id"] == event_id)


async def test_a_viewer_chooses_for_all_and_for_one(here: World) -> None:
    headers = here.as_("viewer")
    first = await here.client.get(MINE, headers=headers)
    assert first.json() == {
        "leads_s": [86_400, 3_600, 300],
        "channels": ["mail", "push", "page"],
        "time_zone": "UTC",
        "live": True,
    }
    event_id, other = await reserved(here), await reserved(here)
    chosen = await here.client.put(MINE, json=FOR_ALL, headers=headers)
    assert (chosen.status_code, chosen.json()) == (200, FOR_ALL)
    assert (await here.client.get(MINE, headers=headers)).json() == FOR_ALL
    own = {"leads_s": [60], "channels": []}
    made = await here.client.put(ONE.format(event_id=event_id), json=own, headers=headers)
    assert (made.status_code, made.json()["reminders"]) == (200, {**own, "is_own": True})
    assert await reminders_of(here, event_id) == {**own, "is_own": True}
    assert await reminders_of(here, other) == {**CHOSEN, "is_own": False}
    reset = await here.client.delete(ONE.format(event_id=event_id), headers=headers)
    assert reset.json()["reminders"] == {**CHOSEN, "is_own": False}


async def test_the_calendars_alarms_follow(here: World) -> None:
    event_id = await reserved(here)
    await here.client.put(MINE, json=FOR_ALL, headers=here.as_("viewer"))
    secret = await here.system.catalogue.reservations.new_feed("viewer")
    feed = f"/api/v1/calendar-feeds/{secret}.ics"

    async def alarms() -> list[float]:
        event = vobject.readOne((await here.client.get(feed)).text).vevent
        return [one.trigger.value.total_seconds() for one in event.contents.get("valarm", [])]

    assert await alarms() == [-7_200, -600]
    own = {"leads_s": [], "channels": ["page"]}
    await here.client.put(ONE.format(event_id=event_id), json=own, headers=here.as_("viewer"))
    assert await alarms() == []


@pytest.mark.parametrize(
    "change",
    [
        {"leads_s": [59]},
        {"leads_s": [604_801]},
        {"leads_s": [60, 120, 180, 240, 300, 360]},
        {"leads_s": [10**400]},
        {"leads_s": "60"},
        {"leads_s": [1.5]},
        {"channels": ["pigeon"]},
        {"channels": ["mail"] * 4},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "x" * 101},
        {"more": 1},
    ],
)
async def test_what_cannot_be_chosen(here: World, change: dict[str, Any]) -> None:
    body = FOR_ALL | change
    answer = await here.client.put(MINE, json=body, headers=here.as_("viewer"))
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.unprocessable")
    assert await here.system.catalogue.reminders.choice("viewer") == AccountChoice()


async def test_ones_data_have_the_choices_and_the_messages(here: World) -> None:
    event_id = await reserved(here)
    headers = here.as_("viewer")
    await here.client.put(MINE, json=FOR_ALL, headers=headers)
    await here.client.put(ONE.format(event_id=event_id), json=CHOSEN, headers=headers)
    body = (await here.client.get("/api/v1/me/data", headers=headers)).json()
    assert body["reminders"] == FOR_ALL
    assert body["reservations"][0]["reminders"] == CHOSEN
    assert body["messages"] == []


ROUTES: dict[tuple[str, str], tuple[Any, tuple[int, int, int, int]]] = {
    ("GET", MINE): (None, (401, 200, 200, 200)),
    ("PUT", MINE): (FOR_ALL, (401, 200, 200, 200)),
    ("PUT", ONE): (CHOSEN, (401, 404, 404, 404)),
    ("DELETE", ONE): (None, (401, 404, 404, 404)),
}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        (method, path, who, status)
        for (method, path), (_, statuses) in ROUTES.items()
        for who, status in zip(ROLES, statuses, strict=True)
    ],
)
async def test_who_may_and_only_for_oneself(
    here: World, method: str, path: str, who: str, status: int
) -> None:
    """Whatever a caller does, the choices of another account stay as they were."""
    event_id = await reserved(here, "club")
    catalogue = here.system.catalogue
    before = (await catalogue.reservations.every("club"), await catalogue.reminders.choice("club"))
    answer = await here.client.request(
        method,
        path.format(event_id=event_id),
        json=ROUTES[method, path][0],
        headers=here.as_(who) if who else {},
    )
    assert answer.status_code == status, answer.text
    after = (await catalogue.reservations.every("club"), await catalogue.reminders.choice("club"))
    assert after == before


def test_the_table_has_every_route(here: World) -> None:
    described = here.app.openapi()["paths"]
    found = {
        (method.upper(), path)
        for path, item in described.items()
        for method, operation in item.items()
        if "reminders" in operation["tags"]
    }
    assert found == set(ROUTES)
