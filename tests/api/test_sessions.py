"""Viewers' sessions and the operator's view of what carries them."""

from dataclasses import replace

import httpx

from support.delivery import NODES
from support.http import World
from umbel.kit.tokens import VIEWER
from umbel.portal.app import create_app


async def test_an_anonymous_viewer_gets_a_place(here: World) -> None:
    event = await here.open_event()
    answer = await here.client.post(
        f"/api/v1/events/{event.id}/sessions", json={"access_node": "pe4"}
    )
    assert answer.status_code == 201
    body = answer.json()
    names = {"id", "quality", "edge", "whep", "hls", "hls_subtitled", "token", "expires_at"}
    assert set(body) == names
    assert (body["edge"], body["quality"]) == ("pe4", "source")
    assert body["whep"] == f"http://{NODES['pe4']}:8080/whep/{event.id}"
    claims = here.system.verifier.verify(body["token"], VIEWER, now_s=here.system.clock.now_s())
    assert (claims.subject, claims.scope) == (body["id"], event.id)


async def test_the_address_tells_the_node_when_nobody_does(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}/sessions"
    for address, node in (("127.0.1.9", "pe1"), ("127.0.0.1", "pe4")):
        transport = httpx.ASGITransport(here.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://umbel") as client:
            assert (await client.post(path)).json()["edge"] == node
            assert (await client.post(path, json={})).json()["edge"] == node


async def test_an_address_has_a_bounded_number_of_sessions_a_minute(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}/sessions"
    settings = here.system.settings.model_copy(update={"sessions_per_address": 3})
    app = create_app(replace(here.system, settings=settings))

    async def open_from(address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://umbel") as client:
            return await client.post(path)

    answers = [await open_from("192.0.2.7") for _ in range(4)]
    assert [one.status_code for one in answers] == [201, 201, 201, 429]
    assert answers[-1].json()["code"] == "umbel.too_many_sessions"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 20
    assert (await open_from("192.0.2.8")).status_code == 201


async def test_a_smaller_picture_is_a_stream_of_its_own(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}"
    seen = (await here.client.get(path)).json()["stream"]
    assert seen["qualities"] == ["source", "360p"]
    given = {"access_node": "pe4", "quality": "360p"}
    body = (await here.client.post(f"{path}/sessions", json=given)).json()
    assert (body["quality"], body["whep"].rpartition("/")[2]) == ("360p", f"{event.id}-360p")
    claims = here.system.verifier.verify(body["token"], VIEWER, now_s=here.system.clock.now_s())
    assert claims.scope == f"{event.id}-360p"
    session = f"/api/v1/sessions/{body['id']}"
    told = (await here.client.get(session, headers=here.as_("operator"))).json()
    assert (told["event_id"], told["quality"]) == (event.id, "360p")
    tree = f"/api/v1/trees/{event.id}"
    operator = here.as_("operator")
    made = (await here.client.get(f"{tree}?quality=360p", headers=operator)).json()
    assert (made["event_id"], made["quality"], made["root"]) == (event.id, "360p", "pe4")
    assert [b["role"] for b in made["branches"]] == ["transcoder", "edge"]
    for quality in ("720p", "tiny"):
        no = await here.client.post(f"{path}/sessions", json={"quality": quality})
        assert (no.status_code, no.json()["code"]) == (422, "umbel.no_such_quality")
        assert "360p" in no.json()["details"]["qualities"]
    no = await here.client.get(f"{tree}?quality=tiny", headers=operator)
    assert (no.status_code, no.json()["code"]) == (422, "umbel.no_such_quality")


async def test_vp8_is_on_offer_where_the_event_has_it_and_has_no_hls(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}"
    no = await here.client.post(f"{path}/sessions", json={"quality": "vp8"})
    assert (no.status_code, no.json()["code"]) == (422, "umbel.no_such_quality")
    body = {"version": event.version, "vp8": True}
    changed = (await here.client.patch(path, json=body, headers=here.as_("city"))).json()
    assert changed["stream"]["qualities"] == ["source", "360p", "vp8"]
    ticket = (await here.client.post(f"{path}/sessions", json={"quality": "vp8"})).json()
    assert (ticket["quality"], ticket["hls"]) == ("vp8", None)
    assert ticket["whep"].endswith(f"/whep/{event.id}-vp8")


async def test_where_there_is_nothing_to_watch(here: World) -> None:
    scheduled = await here.event()
    cases = {
        f"/api/v1/events/{scheduled.id}/sessions": (409, "umbel.event_not_open"),
        "/api/v1/events/ev_000000000000/sessions": (404, "umbel.no_such_event"),
        "/api/v1/events/%00/sessions": (404, "umbel.no_such_event"),
    }
    for path, wanted in cases.items():
        answer = await here.client.post(path, json={})
        assert (answer.status_code, answer.json()["code"]) == wanted


async def test_a_full_edge_says_when_to_come_back(here: World) -> None:
    event = await here.open_event()
    here.system.delivery.places = 1
    path = f"/api/v1/events/{event.id}/sessions"
    assert (await here.client.post(path)).status_code == 201
    full = await here.client.post(path)
    assert (full.status_code, full.json()["code"]) == (503, "umbel.no_capacity")
    assert full.headers["retry-after"] == "5"


async def test_a_session_belongs_to_its_holder(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}/sessions"
    mine, other = [(await here.client.post(path)).json() for _ in range(2)]
    session = f"/api/v1/sessions/{mine['id']}"

    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    for method in ("GET", "DELETE"):
        anonymous = await here.client.request(method, session)
        assert (anonymous.status_code, anonymous.json()["code"]) == (401, "umbel.token_missing")
        foreign = await here.client.request(method, session, headers=bearer(other["token"]))
        assert (foreign.status_code, foreign.json()["code"]) == (403, "umbel.token_foreign")
        user = await here.client.request(method, session, headers=here.as_("viewer"))
        assert (user.status_code, user.json()["code"]) == (403, "umbel.forbidden")
    told = (await here.client.get(session, headers=bearer(mine["token"]))).json()
    assert (told["id"], told["event_id"], told["edge"]) == (mine["id"], event.id, "pe4")
    assert told["expires_at"] == mine["expires_at"]
    assert (await here.client.get(session, headers=here.as_("operator"))).json() == told
    gone = await here.client.delete(session, headers=bearer(mine["token"]))
    assert gone.status_code == 204
    again = await here.client.delete(session, headers=bearer(mine["token"]))
    assert (again.status_code, again.json()["code"]) == (404, "umbel.no_such_session")


async def test_the_tree_as_nodes_and_hops(here: World) -> None:
    event = await here.open_event()
    for node in ("pe1", "pe4"):
        await here.client.post(f"/api/v1/events/{event.id}/sessions", json={"access_node": node})
    tree = await here.client.get(f"/api/v1/trees/{event.id}", headers=here.as_("city"))
    assert tree.json() == {
        "event_id": event.id,
        "quality": "source",
        "root": "pe1",
        "branches": [
            {"function": "acquirer-pe1-1", "role": "acquirer", "node": "pe1", "parent": None},
            {"function": "edge-pe1-1", "role": "edge", "node": "pe1", "parent": "acquirer-pe1-1"},
            {"function": "edge-pe4-1", "role": "edge", "node": "pe4", "parent": "acquirer-pe1-1"},
        ],
        "edges": [["pe1", "pe4"]],
        "links": [],
        "hops": 1,
    }
    empty = await here.event()
    tree = await here.client.get(f"/api/v1/trees/{empty.id}", headers=here.as_("operator"))
    assert tree.json() == {
        "event_id": empty.id,
        "quality": "source",
        "root": None,
        "branches": [],
        "edges": [],
        "links": [],
        "hops": 0,
    }


async def test_the_operators_view(here: World) -> None:
    event = await here.open_event()
    await here.client.post(f"/api/v1/events/{event.id}/sessions")
    operator = here.as_("operator")
    nodes = (await here.client.get("/api/v1/nodes", headers=operator)).json()
    assert [node["name"] for node in nodes] == list(NODES)
    assert set(nodes[0]) == {
        "name",
        "kind",
        "address",
        "cores",
        "cores_used",
        "memory_mb",
        "memory_used_mb",
        "mbps",
        "mbps_used",
        "state",
        "watts",
        "pool",
        "power",
        "promised",
        "functions",
        "viewers",
        "evict_at",
        "host",
    }
    links = (await here.client.get("/api/v1/links", headers=operator)).json()
    idle = {"a": "pe1", "b": "c1", "mbps": 1000.0, "used_mbps": 0.0, "foreign_mbps": 0.0}
    assert links == [{**idle, "a_sends_mbps": 2.5, "b_sends_mbps": None}]
    functions = (await here.client.get("/api/v1/functions", headers=operator)).json()
    assert [(f["id"], f["streams"], f["viewers"]) for f in functions] == [
        ("acquirer-pe1-1", [event.id], 0),
        ("edge-pe4-1", [event.id], 1),
    ]
