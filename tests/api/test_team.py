"""Several people run one provider: owners and editors, what each may do, and the last owner."""

import asyncio
from dataclasses import replace

import pytest

from support.http import PASSWORD, World
from umbel.catalogue.model import MemberRole, UserRole, Visibility
from umbel.catalogue.reservations.model import Purpose

EDITOR, OWNER = {"role": "editor"}, {"role": "owner"}
TIMES = {"starts_at": "2090-05-01T10:00:00Z", "ends_at": "2090-05-01T12:00:00Z"}


def members(here: World) -> str:
    return f"/api/v1/providers/{here.city.id}/members"


async def put(here: World, username: str, role: dict[str, str], who: str = "city") -> int:
    path = f"{members(here)}/{username}"
    return (await here.client.put(path, json=role, headers=here.as_(who))).status_code


async def remove(here: World, username: str, who: str = "city") -> int:
    path = f"{members(here)}/{username}"
    return (await here.client.delete(path, headers=here.as_(who))).status_code


async def team(here: World) -> dict[str, str]:
    answer = await here.client.get(members(here), headers=here.as_("operator"))
    return {one["username"]: one["role"] for one in answer.json()}


async def test_an_account_of_a_provider_owns_it(here: World) -> None:
    assert await team(here) == {"city": "owner"}
    me = (await here.client.get("/api/v1/me", headers=here.as_("city"))).json()
    assert me["providers"] == [
        {"provider_id": here.city.id, "provider_name": "City", "role": "owner"}
    ]
    viewer = (await here.client.get("/api/v1/me", headers=here.as_("viewer"))).json()
    assert (viewer["providers"], viewer["role"]) == ([], "viewer")


# What is done, and the status for: nobody, a stranger, another provider's owner, an editor, an
# owner, an operator.
WHO = ("", "viewer", "club", "editor", "city", "operator")
RIGHTS: dict[str, tuple[str, str, object, tuple[int, ...]]] = {
    "see the team": ("GET", "{members}", None, (401, 403, 403, 200, 200, 200)),
    "add": ("PUT", "{members}/viewer", EDITOR, (401, 403, 403, 403, 200, 200)),
    "remove": ("DELETE", "{members}/second", None, (401, 403, 403, 403, 204, 204)),
    "make an event": ("POST", "/api/v1/events", "draft", (401, 403, 403, 201, 201, 201)),
    "change an event": (
        "PATCH",
        "{event}",
        {"version": 1, "title": "X"},
        (401, 403, 403, 200, 200, 200),
    ),
    "open the ingest": ("POST", "{event}/ingest", {}, (401, 403, 403, 200, 200, 200)),
    "replace the key": ("POST", "{event}/stream-key", None, (401, 403, 403, 403, 201, 201)),
    "end an event": ("POST", "{event}/end", None, (401, 403, 403, 200, 200, 200)),
    "see the service level": (
        "GET",
        "/api/v1/providers/{provider}/service-level",
        None,
        (401, 403, 403, 200, 200, 200),
    ),
}


@pytest.mark.parametrize("what", RIGHTS)
async def test_who_may_do_what(here: World, what: str) -> None:
    method, path, body, statuses = RIGHTS[what]
    teams, users = here.system.catalogue.teams, dict(here.users)
    for name in ("editor", "second"):
        users[name] = await here.system.catalogue.add_user(name, PASSWORD, UserRole.VIEWER)
    here = replace(here, users=users)
    await teams.put(here.city.id, "editor", MemberRole.EDITOR)
    for who, status in zip(WHO, statuses, strict=True):
        await teams.put(here.city.id, "second", MemberRole.EDITOR)
        event = await here.event()
        places = {
            "members": members(here),
            "event": f"/api/v1/events/{event.id}",
            "provider": here.city.id,
        }
        given = {"provider_id": here.city.id, "title": "T", **TIMES} if body == "draft" else body
        answer = await here.client.request(
            method,
            path.format(**places),
            json=given,
            headers=here.as_(who) if who else {},
        )
        assert (who, answer.status_code) == (who, status), answer.text


async def test_a_viewer_becomes_an_editor_and_leaves(here: World) -> None:
    event = await here.event()
    path, mine = f"/api/v1/events/{event.id}", {"mine": "true"}
    change = {"version": 1, "title": "New"}
    viewer = here.as_("viewer")
    assert (await here.client.patch(path, json=change, headers=viewer)).status_code == 403
    assert await put(here, "viewer", EDITOR) == 200
    assert (await here.client.patch(path, json=change, headers=viewer)).status_code == 200
    listed = await here.client.get("/api/v1/events", params=mine, headers=viewer)
    assert [one["id"] for one in listed.json()] == [event.id]
    assert await remove(here, "viewer", who="viewer") == 204
    assert (await here.client.patch(path, json=change, headers=viewer)).status_code == 403
    assert await remove(here, "viewer") == 404
    assert await put(here, "nobody-of-here", EDITOR) == 404
    assert await put(here, "No Name", EDITOR) == 404
    assert await put(here, "viewer", {"role": "king"}) == 422


async def test_somebody_works_for_two_providers(here: World) -> None:
    assert await put(here, "club", EDITOR) == 200
    me = (await here.client.get("/api/v1/me", headers=here.as_("club"))).json()
    assert [(one["provider_name"], one["role"]) for one in me["providers"]] == [
        ("City", "editor"),
        ("Club", "owner"),
    ]
    events = {(await here.event(one)).id for one in (here.city, here.club)}
    query = {"mine": "true"}
    listed = await here.client.get("/api/v1/events", params=query, headers=here.as_("club"))
    assert {one["id"] for one in listed.json()} == events


async def test_the_last_owner_stays(here: World) -> None:
    assert await remove(here, "city") == 409
    assert await put(here, "city", EDITOR) == 409
    assert await remove(here, "city", who="operator") == 409
    assert await put(here, "viewer", OWNER) == 200
    assert await put(here, "city", EDITOR) == 200
    assert await team(here) == {"city": "editor", "viewer": "owner"}
    assert await remove(here, "viewer", who="viewer") == 409


async def test_of_two_owners_who_leave_at_once_one_stays(here: World) -> None:
    assert await put(here, "viewer", OWNER) == 200
    both = [remove(here, one, who=one) for one in ("city", "viewer")]
    assert sorted(await asyncio.gather(*both)) == [204, 409]
    assert len(await team(here)) == 1


async def test_an_account_that_is_deleted_leaves_its_teams(here: World) -> None:
    await here.system.catalogue.remove_user("city")
    assert await team(here) == {}
    event = await here.event()
    path = f"/api/v1/events/{event.id}"
    change = {"version": 1, "title": "New"}
    changed = await here.client.patch(path, json=change, headers=here.as_("operator"))
    assert changed.status_code == 200
    assert await put(here, "viewer", OWNER, who="operator") == 200


async def test_who_leaves_keeps_no_view_of_hidden_events(here: World) -> None:
    await put(here, "viewer", EDITOR)
    event = await here.event(visibility=Visibility.INVITED)
    await here.system.catalogue.reservations.reserve("viewer", event.id, Purpose.WATCH)
    assert len(await here.system.catalogue.reservations.every("viewer")) == 1
    assert await remove(here, "viewer") == 204
    assert await here.system.catalogue.reservations.every("viewer") == []
