"""Following over REST: whom one follows, what is live of them, and whose it is."""

from typing import Any

import pytest

from support.http import World
from umbel.catalogue.model import EventEvent

MINE = "/api/v1/me/following"
LIVE = "/api/v1/me/live-notices"
ROLES = ("", "viewer", "city", "operator")


async def test_a_viewer_follows_and_sees_what_is_live(here: World) -> None:
    headers, path = here.as_("viewer"), f"{MINE}/{here.city.id}"
    made = await here.client.put(path, headers=headers)
    assert made.status_code == 200
    assert (made.json()["provider_id"], made.json()["provider_name"]) == (here.city.id, "City")
    assert (await here.client.get(MINE, headers=headers)).json() == [made.json()]
    event = await here.open_event()
    assert (await here.client.get(LIVE, headers=headers)).json() == []
    await here.system.catalogue.transition(event.id, EventEvent.START)
    assert (await here.client.get(LIVE, headers=headers)).json() == [
        {"event_id": event.id, "title": "Council", "provider_name": "City"}
    ]
    body = (await here.client.get("/api/v1/me/data", headers=headers)).json()
    assert body["following"] == [made.json()]
    assert (await here.client.delete(path, headers=headers)).status_code == 204
    assert (await here.client.get(LIVE, headers=headers)).json() == []
    missing = await here.client.put(f"{MINE}/pr_none", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "umbel.no_such_provider")


ROUTES: dict[tuple[str, str], tuple[int, int, int, int]] = {
    ("GET", MINE): (401, 200, 200, 200),
    ("PUT", f"{MINE}/{{provider_id}}"): (401, 200, 200, 200),
    ("DELETE", f"{MINE}/{{provider_id}}"): (401, 204, 204, 204),
    ("GET", LIVE): (401, 200, 200, 200),
}


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        (method, path, who, status)
        for (method, path), statuses in ROUTES.items()
        for who, status in zip(ROLES, statuses, strict=True)
    ],
)
async def test_who_may_and_only_for_oneself(
    here: World, method: str, path: str, who: str, status: int
) -> None:
    """Whatever a caller does, another account follows whom it followed."""
    follows = here.system.catalogue.follows
    await follows.follow("club", here.city.id)
    before = await follows.every("club")
    answer: Any = await here.client.request(
        method, path.format(provider_id=here.city.id), headers=here.as_(who) if who else {}
    )
    assert answer.status_code == status, answer.text
    assert await follows.every("club") == before
    if method == "GET" and who:
        assert answer.json() == []


def test_the_table_has_every_route(here: World) -> None:
    described = here.app.openapi()["paths"]
    found = {
        (method.upper(), path)
        for path, item in described.items()
        for method, operation in item.items()
        if "follows" in operation["tags"]
    }
    assert found == set(ROUTES)
