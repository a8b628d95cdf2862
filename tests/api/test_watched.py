"""What signed-in viewers watched, over HTTP: theirs alone; of others nothing is kept."""

import json

import pytest

from support.http import World
from umbel.catalogue.model import Event

WATCHED = "/api/v1/me/watched"


async def watch(here: World, who: str, event: Event) -> None:
    headers = here.as_(who) if who else {}
    answer = await here.client.post(f"/api/v1/events/{event.id}/sessions", headers=headers)
    assert answer.status_code == 201, answer.text


async def test_a_session_of_who_is_signed_in_is_noted(here: World) -> None:
    event = await here.open_event()
    for who in ("", "viewer", "viewer"):
        await watch(here, who, event)
    (one,) = (await here.client.get(WATCHED, headers=here.as_("viewer"))).json()
    assert one["event"]["id"] == event.id
    assert one["first_at"] <= one["last_at"]
    on = await here.client.put(f"{WATCHED}/{event.id}", headers=here.as_("viewer"))
    assert on.status_code == 204
    for other in ("city", "operator"):
        assert (await here.client.get(WATCHED, headers=here.as_(other))).json() == []

    file = await here.client.get("/api/v1/me/data", headers=here.as_("viewer"))
    (kept,) = json.loads(file.content)["watched"]
    assert (kept["event_id"], kept["title"]) == (event.id, "Council")
    # Neither followers of the platform nor its operator learn of it.
    changes = await here.system.journal.since(0)
    about = [change for change in changes if change.subject == "viewer"]
    assert {change.body["what"] for change in about} == {"added"}

    gone = await here.client.delete(f"{WATCHED}/{event.id}", headers=here.as_("viewer"))
    assert gone.status_code == 204
    assert (await here.client.get(WATCHED, headers=here.as_("viewer"))).json() == []
    await watch(here, "viewer", event)
    assert (await here.client.delete(WATCHED, headers=here.as_("viewer"))).status_code == 204
    assert await here.system.catalogue.watched.every("viewer") == []


async def test_a_refused_session_is_not_noted(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/sessions"
    assert (await here.client.post(path, headers=here.as_("viewer"))).status_code == 409
    answer = await here.client.put(f"{WATCHED}/{event.id}", headers=here.as_("viewer"))
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.not_watching")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_nobody_without_an_account(here: World, method: str) -> None:
    for path in (WATCHED, f"{WATCHED}/ev_0"):
        if (method, path) != ("GET", f"{WATCHED}/ev_0"):
            assert (await here.client.request(method, path)).status_code == 401
    assert (await here.client.put(f"{WATCHED}/ev_0")).status_code == 401
