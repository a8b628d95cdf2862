"""Where playlists of recordings send their viewers: to the edge that was chosen for them, or to the
front end; from MyShare, from a link, from an event's page."""

from pathlib import Path
from typing import Any

import pytest

from api.test_recordings import MINE, call, recorded
from support.http import World, make_system, world
from umbel.kit.db import Database

EDGE = "http://127.0.4.1:8080"


async def replay_url(here: World, recording_id: str) -> str:
    answer = await call(here, "POST", f"{MINE}/{recording_id}/replay")
    url: str = answer.json()["url"]
    return url


async def pieces(here: World, url: str, **query: Any) -> list[str]:
    answer = await call(here, "GET", url, "", params=query)
    assert answer.status_code == 200, answer.text
    return [line for line in answer.text.splitlines() if not line.startswith("#")]


async def test_pieces_are_named_at_the_edge(here: World) -> None:
    here.system.replay_edges.edges["pe4"] = EDGE
    _, recording_id = await recorded(here)
    url = await replay_url(here, recording_id)
    folder = f"{EDGE}{url.rpartition('/')[0]}"
    answer = await call(here, "GET", url, "", params={"access_node": "pe4"})
    assert f'#EXT-X-MAP:URI="{folder}/init-0.mp4"' in answer.text
    assert answer.headers["content-encoding"] == "gzip"
    named = [f"{folder}/segment-{number}.m4s" for number in range(3)]
    assert await pieces(here, url, access_node="pe4") == named
    assert here.system.replay_edges.asked == 1, "who reads a playlist again keeps the edge"
    own = [f"segment-{number}.m4s" for number in range(3)]
    assert await pieces(here, url, access_node="pe4", direct="true") == own
    assert await pieces(here, url, access_node="pe1") == own, "there is no edge for that node"
    plain = await call(here, "GET", url, "", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "#EXTM3U" in plain.text


async def test_the_viewers_address_tells_the_node(here: World) -> None:
    node = await here.system.delivery.access_node_for("127.0.0.1")
    here.system.replay_edges.edges[node] = EDGE
    _, recording_id = await recorded(here)
    named = await pieces(here, await replay_url(here, recording_id))
    assert all(name.startswith(EDGE) for name in named)


async def test_links_and_events_lead_to_edges_too(here: World) -> None:
    here.system.replay_edges.edges["pe4"] = EDGE
    event_id, recording_id = await recorded(here)
    made = await call(here, "POST", f"{MINE}/{recording_id}/shares", json={"expires_in_s": 3600})
    secret = made.json()["url"].rpartition("/shared/")[2]
    enabled = await call(
        here, "PUT", f"/api/v1/events/{event_id}/replay-policy", "city", json={"enabled": True}
    )
    assert enabled.status_code == 200
    for answer in (
        await call(here, "GET", f"/api/v1/shared-recordings/{secret}", ""),
        await call(here, "POST", f"/api/v1/events/{event_id}/replay", ""),
    ):
        named = await pieces(here, answer.json()["url"], access_node="pe4")
        assert named
        assert all(name.startswith(EDGE) for name in named)


async def test_a_node_that_is_not_there_is_no_edges_fault(here: World) -> None:
    _, recording_id = await recorded(here)
    url = await replay_url(here, recording_id)
    answer = await call(here, "GET", url, "", params={"access_node": "nowhere"})
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_node")
    assert await pieces(here, url, access_node="nowhere", direct="true")


async def test_encrypted_pages_get_no_plain_pieces(here: World) -> None:
    here.system.replay_edges.edges["pe4"] = EDGE
    _, recording_id = await recorded(here)
    url = f"https://umbel{await replay_url(here, recording_id)}"
    named = await pieces(here, url, access_node="pe4")
    assert named == [f"segment-{number}.m4s" for number in range(3)]


async def test_what_edges_send_here_comes_from_another_origin(here: World) -> None:
    _, recording_id = await recorded(here)
    folder = (await replay_url(here, recording_id)).rpartition("/")[0]
    for name in ("init-0.mp4", "segment-0.m4s"):
        answer = await call(here, "GET", f"{folder}/{name}", "", headers={"Origin": "null"})
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_replays_take_nothing_of_what_live_viewers_may_open(
    sqlite: Database, tmp_path: Path
) -> None:
    system = make_system(sqlite, tmp_path, sessions_per_address=1)
    async with world(system, static=tmp_path / "no-build") as here:
        system.replay_edges.edges["pe4"] = EDGE
        _, recording_id = await recorded(here)
        event = await here.open_event()
        named = await pieces(here, await replay_url(here, recording_id), access_node="pe4")
        assert named[0].startswith(EDGE)
        for status in (201, 429):
            opened = await here.client.post(f"/api/v1/events/{event.id}/sessions")
            assert opened.status_code == status


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({"replay_cache_mb": 0}, [False, False, False]),
        ({"sessions_per_address": 1}, [True, False, True]),
    ],
)
async def test_operators_bound_it(
    sqlite: Database, tmp_path: Path, settings: dict[str, Any], served: list[bool]
) -> None:
    system = make_system(sqlite, tmp_path, **settings)
    async with world(system, static=tmp_path / "no-build") as here:
        system.replay_edges.edges["pe4"] = EDGE
        _, recording_id = await recorded(here)
        mine = await replay_url(here, recording_id)
        link = await call(here, "POST", f"{MINE}/{recording_id}/shares", json={"expires_in_s": 60})
        secret = link.json()["url"].rpartition("/shared/")[2]
        other = (await call(here, "GET", f"/api/v1/shared-recordings/{secret}", "")).json()["url"]
        named = [await pieces(here, url, access_node="pe4") for url in (mine, other, mine)]
        assert [one[0].startswith(EDGE) for one in named] == served
