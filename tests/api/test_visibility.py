"""Who finds an event and who may watch it: every route that names an event, by visibility and by
who asks; pass phrases, grants and invitations."""

from dataclasses import replace
from typing import Any

import pytest

from support import picture_files
from support.http import PASSWORD, World
from umbel.catalogue.model import Event, EventEvent, UserRole, Visibility
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.visibility.rules import FREE_BY_VIEWER
from umbel.kit.image_files import JPEG
from umbel.kit.tokens import EVENT, USER
from umbel.portal.api.visibility import GRANT_S

PICTURE = picture_files.saved(JPEG)
PHRASE = "the old lighthouse"
EVENTS = "/api/v1/events"
RUN = f"{EVENTS}/{{event_id}}"
GRANTS = f"{RUN}/grants"
NOBODY, VIEWER, HOLDER, GUEST, CLUB, CITY, OPERATOR = (
    "nobody",
    "viewer",
    "holder of a grant",
    "guest",
    "club",
    "city",
    "operator",
)
WHO = (NOBODY, VIEWER, HOLDER, GUEST, CLUB, CITY, OPERATOR)
SDP = {"Content-Type": "application/sdp"}

# What one gets who may watch the live event, and what one gets who may run it.
WATCHED: dict[tuple[str, str], tuple[Any, int]] = {
    ("GET", RUN): (None, 200),
    ("GET", f"{RUN}/thumbnail"): (None, 200),
    ("GET", f"{RUN}/picture"): (None, 200),
    ("GET", f"{RUN}/replay-policy"): (None, 200),
    ("GET", f"{RUN}/captions"): (None, 200),
    ("POST", f"{RUN}/replay"): (None, 404),  # nothing was recorded
    ("POST", f"{RUN}/sessions"): ({}, 201),
    ("PUT", "/api/v1/me/reservations/{event_id}"): ({}, 409),  # it has begun
}
OWN: dict[tuple[str, str], tuple[Any, int]] = {
    ("PATCH", RUN): ({"version": 4, "title": "Later"}, 200),
    ("POST", f"{RUN}/end"): (None, 200),
    ("POST", f"{RUN}/cancel"): (None, 409),  # it is live
    ("POST", f"{RUN}/ingest"): ({}, 200),
    ("POST", f"{RUN}/stream-key"): (None, 201),
    ("POST", f"{RUN}/ingest/rtp"): ("v=0", 200),
    ("GET", "/api/v1/trees/{event_id}"): (None, 200),
    # It streams no file; tests/api/test_playouts.py has those that do.
    ("GET", f"{RUN}/playout"): (None, 404),
    ("PUT", f"{RUN}/playout"): ({"file_id": "item_0"}, 404),
    ("POST", f"{RUN}/playout/start"): ({}, 404),
    ("POST", f"{RUN}/playout/stop"): (None, 404),
    ("DELETE", f"{RUN}/playout"): (None, 404),
    ("GET", f"{RUN}/invitations"): (None, 200),
    ("PUT", f"{RUN}/picture"): (PICTURE, 204),
    ("GET", f"{RUN}/demand"): (None, 200),
    ("GET", f"{RUN}/statistics"): (None, 200),
    ("GET", f"{RUN}/statistics.csv"): (None, 200),
    ("PUT", f"{RUN}/replay-policy"): ({"enabled": True}, 200),
    ("DELETE", f"{RUN}/picture"): (None, 204),
    ("GET", f"{RUN}/caption-policy"): (None, 200),
    ("PUT", f"{RUN}/caption-policy"): ({"language": None}, 200),
    ("DELETE", f"{RUN}/captions"): (None, 204),
}
# Tested by themselves below, or only of one's own reservation.
OTHERS = {
    ("PUT", "/api/v1/me/watched/{event_id}"),
    ("DELETE", "/api/v1/me/watched/{event_id}"),
    ("PATCH", f"{RUN}/following"),  # the rights of a series: test_series.py
    ("POST", f"{RUN}/following/cancel"),
    ("PUT", "/api/v1/me/reservations/{event_id}/reminders"),
    ("DELETE", "/api/v1/me/reservations/{event_id}/reminders"),
    ("POST", GRANTS),
    ("PUT", f"{RUN}/invitations"),
    ("DELETE", "/api/v1/me/reservations/{event_id}"),
}


async def live_event(here: World, visibility: Visibility) -> Event:
    phrase = PHRASE if visibility is Visibility.PHRASE else None
    event = await here.event(visibility=visibility, pass_phrase=phrase)
    await here.system.delivery.open_ingest(event.id)
    put = await here.client.put(
        f"{EVENTS}/{event.id}/picture", content=PICTURE, headers=here.as_("city")
    )
    assert put.status_code == 204, put.text
    if visibility is Visibility.INVITED:
        await here.system.catalogue.audiences.invite(event.id, ["guest"])
    return await here.system.catalogue.transition(event.id, EventEvent.START)


@pytest.fixture
async def hall(here: World) -> World:
    """The world with one more account, which is invited to events by invitation."""
    guest = await here.system.catalogue.add_user("guest", PASSWORD, UserRole.VIEWER)
    return replace(here, users={**here.users, "guest": guest})


async def headers(here: World, who: str, event: Event) -> dict[str, str]:
    if who == NOBODY:
        return {}
    if who != HOLDER:
        return here.as_(who)
    answer = await here.client.post(
        GRANTS.format(event_id=event.id), json={"pass_phrase": PHRASE}, headers=here.as_(VIEWER)
    )
    grant = {"X-Event-Grant": answer.json()["token"]} if answer.status_code == 201 else {}
    return {**here.as_(VIEWER), **grant}


async def ask(here: World, method: str, path: str, body: Any, who: str, event: Event) -> int:
    sent = await headers(here, who, event)
    content = {"content": body} if isinstance(body, str | bytes) else {"json": body}
    if isinstance(body, str):
        sent |= SDP
    answer = await here.client.request(
        method, path.format(event_id=event.id), headers=sent, **content
    )
    return answer.status_code


def watching(visibility: Visibility, who: str) -> int | None:
    """None for who may watch, else the status."""
    if who in (CITY, OPERATOR):
        return None
    if visibility is Visibility.PHRASE:
        return None if who == HOLDER else 403
    if visibility is Visibility.INVITED:
        return None if who == GUEST else 404
    return None


@pytest.mark.parametrize("visibility", Visibility)
@pytest.mark.parametrize(("method", "path"), WATCHED)
async def test_who_may_watch(hall: World, method: str, path: str, visibility: Visibility) -> None:
    body, allowed = WATCHED[method, path]
    needs_account = path.startswith("/api/v1/me/")
    for who in WHO:
        event = await live_event(hall, visibility)
        refused = 401 if needs_account and who == NOBODY else watching(visibility, who)
        found = await ask(hall, method, path, body, who, event)
        assert (who, found) == (who, refused or allowed)


@pytest.mark.parametrize("visibility", Visibility)
@pytest.mark.parametrize(("method", "path"), OWN)
async def test_who_may_run(hall: World, method: str, path: str, visibility: Visibility) -> None:
    body, allowed = OWN[method, path]
    for who in WHO:
        event = await live_event(hall, visibility)
        is_hidden = watching(visibility, who) == 404
        refused = {NOBODY: 401, CITY: allowed, OPERATOR: allowed}
        status = refused.get(who, 404 if is_hidden else 403)
        assert (who, await ask(hall, method, path, body, who, event)) == (who, status)


def test_the_tables_have_every_route_that_names_an_event(here: World) -> None:
    found = {
        (method.upper(), path)
        for path, item in here.app.openapi()["paths"].items()
        for method in item
        if "{event_id}" in path
    }
    assert found == {*WATCHED, *OWN, *OTHERS}


async def test_only_public_events_are_listed(hall: World) -> None:
    made = {one: await live_event(hall, one) for one in Visibility}

    async def listed(who: str, **query: str) -> set[str]:
        sent = {} if who == NOBODY else hall.as_(who)
        answer = await hall.client.get(EVENTS, params=query, headers=sent)
        assert answer.status_code == 200
        return {event["id"] for event in answer.json()}

    everybodys, own = {made[Visibility.PUBLIC].id}, {event.id for event in made.values()}
    for who in (NOBODY, VIEWER, GUEST, CLUB, CITY, OPERATOR):
        assert await listed(who) == everybodys, who
        assert await listed(who, provider_id=hall.city.id) == everybodys, who
        mine = own if who in (CITY, OPERATOR) else set()
        assert await listed(who, mine="true") == mine, who
        assert await listed(who, mine="true", provider_id=hall.city.id) == mine, who
        assert await listed(who, mine="true", provider_id=hall.club.id) == set(), who


async def test_pictures_of_hidden_events_are_kept_by_the_viewer_alone(hall: World) -> None:
    for visibility, kept_by in (("public", "public"), ("unlisted", "private")):
        event = await live_event(hall, Visibility(visibility))
        for name, kept_s in (("thumbnail", 10), ("picture", 300)):
            answer = await hall.client.get(f"{EVENTS}/{event.id}/{name}")
            assert answer.headers["cache-control"] == f"{kept_by}, max-age={kept_s}"


async def test_a_pass_phrase_is_never_shown_and_ends_old_grants_when_it_changes(
    hall: World,
) -> None:
    event, city = await live_event(hall, Visibility.PHRASE), hall.as_("city")
    path = f"{EVENTS}/{event.id}"
    asked = await hall.client.get(path)
    assert (asked.status_code, asked.json()["code"]) == (403, "umbel.pass_phrase_needed")
    assert event.title not in asked.text
    right = {"pass_phrase": f"  {PHRASE} "}
    grant = (await hall.client.post(f"{path}/grants", json=right)).json()["token"]
    sent = {"X-Event-Grant": grant}
    shown = await hall.client.get(path, headers=sent)
    assert shown.status_code == 200
    assert PHRASE not in shown.text
    other = await live_event(hall, Visibility.PHRASE)
    assert (await hall.client.get(f"{EVENTS}/{other.id}", headers=sent)).status_code == 403
    change = {"version": event.version, "pass_phrase": "another lighthouse"}
    changed = await hall.client.patch(path, json=change, headers=city)
    assert changed.status_code == 200
    assert "lighthouse" not in changed.text
    assert (await hall.client.get(path, headers=sent)).status_code == 403
    wrong = await hall.client.post(f"{path}/grants", json=right)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "umbel.wrong_pass_phrase")


async def test_a_grant_ends(hall: World) -> None:
    event = await live_event(hall, Visibility.PHRASE)
    path, now_s = f"{EVENTS}/{event.id}", hall.system.clock.now_s()
    made = await hall.client.post(f"{path}/grants", json={"pass_phrase": PHRASE})
    claims = hall.system.verifier.verify(made.json()["token"], EVENT, now_s=now_s)
    assert now_s + GRANT_S - 1 <= claims.expires_s <= now_s + GRANT_S + 60
    ended = hall.system.signer.sign(replace(claims, expires_s=now_s - 1), EVENT)
    foreign = hall.system.signer.sign(claims, USER)
    for broken in (ended.encode(), foreign.encode(), b"x", b"a.b.c", "é".encode()):
        refused = await hall.client.get(path, headers={b"X-Event-Grant": broken})
        assert (refused.status_code, refused.json()["code"]) == (403, "umbel.pass_phrase_needed")


async def test_wrong_pass_phrases_are_limited(hall: World) -> None:
    event = await live_event(hall, Visibility.PHRASE)
    other = await live_event(hall, Visibility.PHRASE)
    path = f"{EVENTS}/{event.id}/grants"
    for number in range(FREE_BY_VIEWER):
        wrong = await hall.client.post(path, json={"pass_phrase": f"a wrong guess {number}"})
        assert wrong.status_code == 403
    refused = await hall.client.post(path, json={"pass_phrase": PHRASE})
    assert (refused.status_code, refused.json()["code"]) == (429, "umbel.pass_phrase_too_soon")
    assert refused.headers["retry-after"] == "1"
    right = {"pass_phrase": PHRASE}
    elsewhere = await hall.client.post(f"{EVENTS}/{other.id}/grants", json=right)
    assert elsewhere.status_code == 201


@pytest.mark.parametrize(
    ("body", "is_good"),
    [
        ({"visibility": "pass_phrase"}, False),
        ({"visibility": "pass_phrase", "pass_phrase": "short"}, False),
        ({"visibility": "pass_phrase", "pass_phrase": "x" * 129}, False),
        ({"visibility": "pass_phrase", "pass_phrase": "two\nlines of it"}, False),
        ({"visibility": "public", "pass_phrase": PHRASE}, False),
        ({"pass_phrase": PHRASE}, False),
        ({"visibility": "secret"}, False),
        ({"visibility": "pass_phrase", "pass_phrase": PHRASE}, True),
        ({"visibility": "unlisted"}, True),
        ({"visibility": "invited"}, True),
    ],
)
async def test_a_pass_phrase_goes_with_its_visibility(
    here: World, body: dict[str, str], is_good: bool
) -> None:
    times = {"starts_at": "2090-05-01T10:00:00Z", "ends_at": "2090-05-01T12:00:00Z"}
    given = {"provider_id": here.city.id, "title": "Budget", **times, **body}
    made = await here.client.post(EVENTS, json=given, headers=here.as_("city"))
    assert made.status_code == (201 if is_good else 422), made.text
    listed = await here.system.catalogue.events(listed=False)
    assert len(listed) == is_good
    if is_good:
        assert made.json()["visibility"] == body["visibility"]
        path = f"{EVENTS}/{made.json()['id']}"
        opened = {"version": 1, "visibility": "public"}
        changed = await here.client.patch(path, json=opened, headers=here.as_("city"))
        assert changed.json()["visibility"] == "public"
        again = {"version": 2, "visibility": "pass_phrase"}
        refused = await here.client.patch(path, json=again, headers=here.as_("city"))
        assert refused.status_code == 422, "a phrase of before is not kept"


async def test_events_without_a_phrase_give_no_grant(hall: World) -> None:
    for visibility, status in (("public", 409), ("unlisted", 409), ("invited", 404)):
        event = await live_event(hall, Visibility(visibility))
        path = f"{EVENTS}/{event.id}/grants"
        refused = await hall.client.post(path, json={"pass_phrase": PHRASE})
        assert (visibility, refused.status_code) == (visibility, status)


async def test_invitations_are_edited_and_name_accounts(hall: World) -> None:
    event, city = await live_event(hall, Visibility.INVITED), hall.as_("city")
    path = f"{EVENTS}/{event.id}/invitations"
    assert (await hall.client.get(path, headers=city)).json() == {"usernames": ["guest"]}
    wanted = {"usernames": ["viewer", "club", "viewer"]}
    put = await hall.client.put(path, json=wanted, headers=city)
    assert put.json() == {"usernames": ["club", "viewer"]}
    for who, status in ((GUEST, 404), (VIEWER, 200), (CLUB, 200), (CITY, 200)):
        found = await hall.client.get(f"{EVENTS}/{event.id}", headers=hall.as_(who))
        assert (who, found.status_code) == (who, status)
    unknown = {"usernames": ["viewer", "nobody-of-here"]}
    refused = await hall.client.put(path, json=unknown, headers=city)
    assert refused.status_code == 422
    assert "nobody-of-here" in refused.json()["message"]
    assert await hall.system.catalogue.audiences.invited(event.id) == ["club", "viewer"]
    for who, status in ((NOBODY, 401), (GUEST, 404), (VIEWER, 403), (OPERATOR, 200)):
        assert await ask(hall, "PUT", path, wanted, who, event) == status
    public = await live_event(hall, Visibility.PUBLIC)
    conflict = await hall.client.put(f"{EVENTS}/{public.id}/invitations", json=wanted, headers=city)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "umbel.not_by_invitation")


async def test_a_withdrawn_invitation_takes_the_event_out_of_the_calendar(hall: World) -> None:
    catalogue = hall.system.catalogue
    event = await hall.event(visibility=Visibility.INVITED)
    await catalogue.audiences.invite(event.id, ["guest"])
    for who in ("guest", "city", "operator"):
        await catalogue.reservations.reserve(who, event.id, Purpose.WATCH)
    secret = await catalogue.reservations.new_feed("guest")
    assert len(await catalogue.reservations.feed(secret)) == 1
    await catalogue.audiences.invite(event.id, [])
    assert await catalogue.reservations.feed(secret) == []
    shown = {who: len(await catalogue.reservations.every(who)) for who in ("guest", "city")}
    assert shown == {"guest": 0, "city": 1}
    assert len(await catalogue.reservations.every("operator")) == 1
    path = f"/api/v1/me/reservations/{event.id}"
    assert await ask(hall, "DELETE", path, None, GUEST, event) == 204


async def test_only_public_events_are_found(hall: World) -> None:
    made = {one: await live_event(hall, one) for one in Visibility}
    for who in (NOBODY, GUEST, CITY, OPERATOR):
        sent = {} if who == NOBODY else hall.as_(who)
        for query in ({}, {"q": "council"}, {"provider_id": hall.city.id}, {"section": "live"}):
            answer = await hall.client.get("/api/v1/discover/events", params=query, headers=sent)
            found = [event["id"] for event in answer.json()["items"]]
            assert found == [made[Visibility.PUBLIC].id], (who, query)
        providers = await hall.client.get("/api/v1/discover/providers", headers=sent)
        (city,) = [one for one in providers.json()["items"] if one["name"] == "City"]
        assert city["live"] == 1
