"""Providers, events, ingest and keys over HTTP: shapes, rights, states."""

import asyncio
import hashlib

import pytest

from support.delivery import NODES
from support.http import World
from umbel.catalogue.model import EventEvent

TIMES = {"starts_at": "2090-05-01T10:00:00Z", "ends_at": "2090-05-01T12:00:00+01:00"}


def draft(here: World, **changes: object) -> dict[str, object]:
    return {"provider_id": here.city.id, "title": "Budget", "description": "", **TIMES, **changes}


async def test_providers_are_public_and_run_by_operators(here: World) -> None:
    operator = here.as_("operator")
    listed = (await here.client.get("/api/v1/providers")).json()
    assert [(p["name"], p["access_node"]) for p in listed] == [("City", "pe1"), ("Club", "pe4")]
    new = {"name": "Theatre", "access_node": "pe4"}
    added = await here.client.post("/api/v1/providers", json=new, headers=operator)
    assert added.status_code == 201
    path = f"/api/v1/providers/{added.json()['id']}"
    assert (await here.client.get(path)).json() == added.json()
    changed = await here.client.patch(path, json={"name": "Opera", "version": 1}, headers=operator)
    assert changed.json() == {**added.json(), "name": "Opera", "version": 2}
    stale = await here.client.patch(path, json={"name": "X", "version": 1}, headers=operator)
    assert (stale.status_code, stale.json()["code"]) == (409, "umbel.version_mismatch")
    taken = await here.client.patch(path, json={"name": "City"}, headers=operator)
    assert (taken.status_code, taken.json()["code"]) == (409, "umbel.provider_exists")
    assert (await here.client.delete(path, headers=operator)).status_code == 204
    gone = await here.client.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_provider")


async def test_a_provider_with_users_or_events_stays(here: World) -> None:
    path = f"/api/v1/providers/{here.city.id}"
    answer = await here.client.delete(path, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.provider_in_use")


async def test_a_provider_stands_at_a_node_that_exists(here: World) -> None:
    new = {"name": "Theatre", "access_node": "pe99"}
    answer = await here.client.post("/api/v1/providers", json=new, headers=here.as_("operator"))
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"][0]["field"] == "access_node"


async def test_a_provider_schedules_and_everybody_sees(here: World) -> None:
    added = await here.client.post("/api/v1/events", json=draft(here), headers=here.as_("city"))
    assert added.status_code == 201
    event = added.json()
    assert event == {
        "id": event["id"],
        "provider_id": here.city.id,
        "provider_name": "City",
        "title": "Budget",
        "description": "",
        "starts_at": "2090-05-01T10:00:00.000Z",
        "ends_at": "2090-05-01T11:00:00.000Z",
        "vp8": False,
        "visibility": "public",
        "time_zone": "UTC",
        "picture": None,
        "series_id": None,
        "state": "scheduled",
        "version": 1,
        "stream": None,
        "overlaps": [],
    }
    del event["overlaps"]
    assert (await here.client.get(f"/api/v1/events/{event['id']}")).json() == event
    assert (await here.client.get("/api/v1/events")).json() == [event]


async def test_a_provider_allows_vp8_and_takes_it_back(here: World) -> None:
    given = draft(here, vp8=True)
    added = await here.client.post("/api/v1/events", json=given, headers=here.as_("city"))
    path = f"/api/v1/events/{added.json()['id']}"
    assert added.json()["vp8"] is True
    for change, vp8 in (({"title": "Budget II"}, True), ({"vp8": False}, False)):
        version = (await here.client.get(path)).json()["version"]
        body = {"version": version, **change}
        changed = await here.client.patch(path, json=body, headers=here.as_("city"))
        assert (changed.status_code, changed.json()["vp8"]) == (200, vp8)
    assert (await here.client.get(path)).json()["vp8"] is False


async def test_lists_are_chosen_by_state_and_provider(here: World) -> None:
    scheduled = await here.event(starts_s=4e9, ends_s=5e9)
    club = await here.event(here.club)
    open_ = await here.open_event()

    async def ids(**query: str) -> list[str]:
        answer = await here.client.get("/api/v1/events", params=query)
        assert answer.status_code == 200
        return [event["id"] for event in answer.json()]

    assert await ids() == [club.id, open_.id, scheduled.id]
    assert await ids(state="live,open") == [open_.id]
    assert await ids(state="scheduled", provider_id=here.club.id) == [club.id]
    assert await ids(provider_id="pr_0") == []
    assert await ids(limit="1") == [scheduled.id]
    bad = await here.client.get("/api/v1/events", params={"state": "live,asleep"})
    assert (bad.status_code, bad.json()["code"]) == (422, "umbel.unprocessable")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": TIMES["starts_at"]}, "ends_at"),
        ({"starts_at": "2001-01-01T00:00:00Z", "ends_at": "2001-01-02T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2090-05-01T10:00:00"}, "starts_at"),
        ({"starts_at": 1_700_000_000}, "starts_at"),
        ({"ends_at": "9999-12-31T23:59:59-23:00"}, "ends_at"),
        ({"title": " "}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"description": "a\x00b"}, "description"),
        ({"starts_at": "2026-01-01T00:00:00Z"}, "starts_at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"state": "live"}, "state"),
        ({"vp8": "often"}, "vp8"),
    ],
)
async def test_unusable_events_name_the_field(
    here: World, changes: dict[str, object], field: str
) -> None:
    body = draft(here, **changes)
    answer = await here.client.post("/api/v1/events", json=body, headers=here.as_("city"))
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.unprocessable")
    assert [f["field"] for f in answer.json()["details"]["fields"]] == [field]


@pytest.mark.parametrize("who", ["club", "viewer"])
async def test_others_may_not_touch_a_providers_events(here: World, who: str) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}"
    sdp = {"Content-Type": "application/sdp"}
    requests = [
        here.client.post("/api/v1/events", json=draft(here), headers=here.as_(who)),
        here.client.patch(path, json={"version": 2, "title": "X"}, headers=here.as_(who)),
        here.client.post(f"{path}/end", headers=here.as_(who)),
        here.client.post(f"{path}/cancel", headers=here.as_(who)),
        here.client.post(f"{path}/ingest", headers=here.as_(who)),
        here.client.post(f"{path}/stream-key", headers=here.as_(who)),
        here.client.post(f"{path}/ingest/rtp", content="v=0", headers=here.as_(who) | sdp),
        here.client.get(f"/api/v1/trees/{event.id}", headers=here.as_(who)),
    ]
    answers = await asyncio.gather(*requests)
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(403, "umbel.forbidden")}
    assert await here.system.catalogue.event(event.id) == event


async def test_a_change_needs_the_version_that_was_read(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}"
    city = here.as_("city")
    changed = await here.client.patch(path, json={"version": 1, "title": "New"}, headers=city)
    assert (changed.json()["title"], changed.json()["version"]) == ("New", 2)
    stale = await here.client.patch(path, json={"version": 1, "title": "Old"}, headers=city)
    assert (stale.status_code, stale.json()["code"]) == (409, "umbel.version_mismatch")
    assert stale.json()["details"]["current"] == (await here.client.get(path)).json()
    assert (await here.system.catalogue.event(event.id)).title == "New"


async def test_of_concurrent_changes_exactly_one_wins(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}"
    city = here.as_("city")
    answers = await asyncio.gather(
        *(
            here.client.patch(path, json={"version": 1, "title": f"T{n}"}, headers=city)
            for n in range(8)
        )
    )
    assert sorted(a.status_code for a in answers) == [200] + [409] * 7
    winner = next(a for a in answers if a.status_code == 200)
    assert (await here.system.catalogue.event(event.id)).title == winner.json()["title"]


async def test_the_hosts_of_encoders_without_a_key_are_named_and_kept(here: World) -> None:
    event = await here.event()
    path, city = f"/api/v1/events/{event.id}/ingest", here.as_("city")
    assert (await here.client.post(path, headers=city)).json()["sources"] == []
    named = {"sources": ["192.0.2.7", "2001:db8::/32", "192.0.2.7"]}
    answer = await here.client.post(path, json=named, headers=city)
    kept = ["192.0.2.7/32", "2001:db8::/32"]
    assert (answer.status_code, answer.json()["sources"]) == (200, kept)
    assert (await here.client.post(path, json={}, headers=city)).json()["sources"] == kept
    for wrong in (
        ["a host"],
        [False],
        ["192.0.2.7/24"],
        [f"10.0.0.{n}" for n in range(65)],
        "192.0.2.7",
    ):
        refused = await here.client.post(path, json={"sources": wrong}, headers=city)
        assert refused.status_code == 422, refused.text
    assert (await here.client.post(path, json={"sources": []}, headers=city)).json()[
        "sources"
    ] == []


async def test_ingest_tells_the_key_once(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}"
    city = here.as_("city")
    first = await here.client.post(f"{path}/ingest", headers=city)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    body = first.json()
    assert body == {
        "node": "pe1",
        "rtmp": f"rtmp://{NODES['pe1']}:1935/live",
        "srt": f"srt://{NODES['pe1']}:9000",
        "whip": f"http://{NODES['pe1']}:8080/whip/{event.id}",
        "rtp": {
            "address": NODES["pe1"],
            "port": 5004,
            "mpegts": {"address": NODES["pe1"], "port": 5006},
        },
        "sources": [],
        "stream_key": body["stream_key"],
    }
    key = body["stream_key"]
    assert key.startswith(f"{event.id}.")
    assert len(key.partition(".")[2]) >= 32
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert here.system.delivery.keys[event.id] == (digest,)
    again = await here.client.post(f"{path}/ingest", headers=city)
    assert again.json() == {**body, "stream_key": None}
    assert (await here.client.get(path)).json()["state"] == "open"
    assert (await here.client.get(path)).json()["stream"]["flowing"] is False


async def test_a_rotated_key_replaces_the_old_one_and_is_journalled(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}"
    city = here.as_("city")
    old = (await here.client.post(f"{path}/ingest", headers=city)).json()["stream_key"]
    answer = await here.client.post(f"{path}/stream-key", headers=city)
    assert answer.status_code == 201
    new = answer.json()["stream_key"]
    assert new != old
    digest = hashlib.sha256(new.encode()).hexdigest()
    assert await here.system.catalogue.key_hashes(event.id) == (digest,)
    last = (await here.system.journal.since(await here.system.journal.head() - 1))[0]
    assert (last.kind, last.subject, last.body["what"]) == ("event", event.id, "key")


async def test_a_key_that_could_not_be_told_is_told_next_time(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/ingest"
    here.system.delivery.down = True
    failed = await here.client.post(path, headers=here.as_("city"))
    assert failed.status_code == 503
    assert failed.headers["retry-after"] == "2"
    assert await here.system.catalogue.key_hashes(event.id) == ()
    here.system.delivery.down = False
    told = await here.client.post(path, headers=here.as_("city"))
    assert told.json()["stream_key"] is not None


async def test_rtp_is_described_in_sdp(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/ingest/rtp"
    sdp = here.as_("city") | {"Content-Type": "application/sdp; charset=utf-8"}
    answer = await here.client.post(path, content="v=0\r\n", headers=sdp)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/sdp")
    assert answer.text.startswith("v=0")
    bad = await here.client.post(path, content=b"\xff nonsense", headers=sdp)
    assert (bad.status_code, bad.json()["code"]) == (400, "umbel.malformed_sdp")
    assert bad.json()["details"]["line"] == 1
    json = await here.client.post(path, json={}, headers=here.as_("city"))
    assert (json.status_code, json.json()["code"]) == (415, "umbel.unsupported_media_type")


@pytest.mark.parametrize(
    ("so_far", "how", "status"),
    [
        ([], "end", "ended"),
        ([], "cancel", "cancelled"),
        ([EventEvent.OPEN], "cancel", "cancelled"),
        ([EventEvent.OPEN, EventEvent.START], "end", "ended"),
        ([EventEvent.OPEN, EventEvent.START], "cancel", None),
        ([EventEvent.END], "end", None),
        ([EventEvent.CANCEL], "end", None),
    ],
)
async def test_closing(here: World, so_far: list[EventEvent], how: str, status: str | None) -> None:
    event = await here.event()
    for step in so_far:
        await here.system.catalogue.transition(event.id, step)
    answer = await here.client.post(f"/api/v1/events/{event.id}/{how}", headers=here.as_("city"))
    if status is None:
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.illegal_transition")
    else:
        assert (answer.status_code, answer.json()["state"]) == (200, status)


async def test_what_is_over_stays_as_it_is(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}"
    city = here.as_("city")
    await here.client.post(f"{path}/end", headers=city)
    assert here.system.delivery.roots == {}
    version = (await here.client.get(path)).json()["version"]
    for request in (
        here.client.patch(path, json={"version": version, "title": "X"}, headers=city),
        here.client.post(f"{path}/ingest", headers=city),
        here.client.post(f"{path}/stream-key", headers=city),
    ):
        answer = await request
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.event_over")


async def test_a_live_event_has_a_small_picture_that_caches_may_keep(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}/thumbnail"
    early = await here.client.get(path)
    assert (early.status_code, early.json()["code"]) == (404, "umbel.no_thumbnail")
    assert "cache-control" not in early.headers
    await here.system.catalogue.transition(event.id, EventEvent.START)

    answer = await here.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "public, max-age=10"
    assert answer.content.startswith(b"\xff\xd8\xff")
    tag = answer.headers["etag"]
    again = await here.client.get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await here.client.get(path, headers={"if-none-match": '"other"'})
    assert other.status_code == 200

    await here.system.catalogue.transition(event.id, EventEvent.END)
    assert (await here.client.get(path)).status_code == 404


async def test_an_unknown_event_has_no_picture(here: World) -> None:
    answer = await here.client.get("/api/v1/events/ev_unknown/thumbnail")
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_event")
