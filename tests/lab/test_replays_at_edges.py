"""The real platform: a recording is played from an edge, once given to it; other people's are not;
a killed edge ends nothing."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import mp4
from support.platform import Platform, platform
from support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

MINE = "/api/v1/me/recordings"
NODE = "pe2"


@dataclass
class Player:
    """Plays one replay: reads its playlist, then piece after piece. Where a piece does not come it
    reads the front end's playlist instead, as the web app's player does."""

    made: Platform
    url: str
    node: str = NODE
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(timeout=60, trust_env=False)
    )

    async def playlist(self, **query: Any) -> list[str]:
        answer = await self.made.api.get(self.url, params={"access_node": self.node, **query})
        assert answer.status_code == 200, answer.text
        section = re.search(r'#EXT-X-MAP:URI="([^"]+)"', answer.text)
        assert section is not None
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return [
            str(httpx.URL(self.made.url).join(self.url).join(one)) for one in (section[1], *lines)
        ]

    async def playlist_at_edge(self) -> list[str]:
        """The same, once an edge serves: while a new one starts, the front end does."""

        def is_at_edge(names: list[str]) -> bool:
            return not any(name.startswith(self.made.url) for name in names)

        return await until(self.playlist, is_at_edge, within_s=90)

    async def play(self, names: list[str], first: int = 0) -> tuple[list[bytes], int]:
        """The pieces from `first` on, and how often it had to turn to the front end."""
        found, turned = [], 0
        for number in range(first, len(names)):
            try:
                answer = await self.client.get(names[number])
            except httpx.TransportError:
                turned += 1
                names = await self.playlist(direct=True)
                answer = await self.client.get(names[number])
            assert answer.status_code == 200, answer.text
            found.append(answer.content)
        return found, turned


async def recorded(made: Platform, seconds: float = 12.0) -> tuple[str, str]:
    """An event, and a whole recording of it."""
    event, _ = await made.live()
    answer = await made.api.post(MINE, json={"event_id": event.id, "begin": "start"})
    assert answer.status_code == 201, answer.text
    recording_id = answer.json()["id"]
    path = f"me/recordings/{recording_id}"
    await until(lambda: made.get(path), lambda one: one["duration_s"] >= seconds, within_s=60)
    assert (await made.api.post(f"/api/v1/events/{event.id}/end")).status_code == 200
    await until(lambda: made.get(path), lambda one: one["state"] == "ready", within_s=90)
    return event.id, recording_id


@asynccontextmanager
async def playing(made: Platform, recording_id: str) -> AsyncIterator[Player]:
    """Each has a grant of its own: a token says until when, in seconds."""
    before_s = int(time.time())
    await until(_now, lambda now_s: now_s > before_s, within_s=5)
    answer = await made.api.post(f"{MINE}/{recording_id}/replay")
    assert answer.status_code == 200, answer.text
    player = Player(made, answer.json()["url"])
    try:
        yield player
    finally:
        await player.client.aclose()


async def _now() -> int:
    return int(time.time())


async def counted(made: Platform, function: str) -> dict[str, float]:
    record = made.records()[function]
    url = f"http://{record['address']}:{record['ports']['control']}/metrics"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        text = (await client.get(url)).text
    found = re.findall(r"^umbel_media_replay_(\w+) ([0-9.e+]+)$", text, re.M)
    return {name: float(value) for name, value in found}


async def edges(made: Platform) -> list[str]:
    return [one["id"] for one in await made.get("functions") if one["role"] == "edge"]


async def test_a_recording_is_played_from_an_edge(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        _, recording_id = await recorded(made)
        async with playing(made, recording_id) as first:
            names = await first.playlist_at_edge()
            (edge,) = await edges(made)
            assert edge.startswith(f"edge-{NODE}-")
            record = made.records()[edge]
            at = f"http://{record['address']}:{record['ports']['http']}/replay/"
            assert all(name.startswith(at) for name in names)
            pieces, turned = await first.play(names)
            assert turned == 0
            assert len(mp4.decode(b"".join(pieces)).shown_s) > 150
            own, _ = await first.play(await first.playlist(direct=True))
            assert own == pieces, "the same bytes as the front end's"
        missed = await counted(made, edge)
        assert (missed["misses_total"], missed["hits_total"]) == (len(names), 0)
        assert missed["kept_bytes"] == sum(map(len, pieces))

        async with playing(made, recording_id) as second:
            names = await second.playlist_at_edge()
            assert all(name.startswith(at) for name in names)
            assert (await second.play(names))[0] == pieces
        hit = await counted(made, edge)
        assert (hit["misses_total"], hit["hits_total"]) == (len(names), len(names))
        assert await edges(made) == [edge]

        await refused_without_a_grant(names[1])
        await a_revoked_link_ends(made, recording_id, at)
        assert (await made.api.delete(f"{MINE}/{recording_id}")).status_code == 204
        await until_status(names[1], 403)


async def refused_without_a_grant(name: str) -> None:
    folder, _, piece = name.rpartition("/")
    edge, _, token = folder.rpartition("/")
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for wrong, status in (("x", 401), (token[:-6] + "AAAAAA", 401)):
            answer = await client.get(f"{edge}/{wrong}/{piece}")
            assert answer.status_code == status, answer.text
        for unknown in ("segment-99999.m4s", "init-77.mp4", "media.m3u8", "segment-0.mp4"):
            assert (await client.get(f"{folder}/{unknown}")).status_code == 404


async def a_revoked_link_ends(made: Platform, recording_id: str, at: str) -> None:
    path = f"{MINE}/{recording_id}/shares"
    link = (await made.api.post(path, json={"expires_in_s": 3600})).json()
    secret = link["url"].rpartition("/shared/")[2]
    url = (await made.api.get(f"/api/v1/shared-recordings/{secret}")).json()["url"]
    names = await Player(made, url).playlist_at_edge()
    assert names[0].startswith(at)
    await until_status(names[1], 200)
    assert (await made.api.delete(f"{path}/{link['id']}")).status_code == 204
    assert (await made.api.get(url)).status_code == 403
    await until_status(names[1], 403)


async def until_status(name: str, status: int) -> None:
    async def asked() -> int:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return (await client.get(name)).status_code

    await until(asked, lambda found: found == status, within_s=30)


async def test_a_killed_edge_ends_nothing(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        _, recording_id = await recorded(made)
        async with playing(made, recording_id) as player:
            names = await player.playlist_at_edge()
            assert len(names) > 3
            before, _ = await player.play(names[:2])
            (edge,) = await edges(made)
            made.kill(edge)
            rest, turned = await player.play(names, first=2)
            assert turned >= 1
            assert len(mp4.decode(b"".join([*before, *rest])).shown_s) > 150
            again, turned = await player.play(await player.playlist_at_edge())
            assert (again, turned) == ([*before, *rest], 0)


async def test_where_edges_keep_nothing_the_front_end_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_REPLAY_CACHE_MB", "0")
    async with platform(tmp_path) as made:
        _, recording_id = await recorded(made)
        async with playing(made, recording_id) as player:
            names = await player.playlist()
            assert all(name.startswith(made.url) for name in names)
            assert await edges(made) == []
            pieces, turned = await player.play(names)
            assert len(mp4.decode(b"".join(pieces)).shown_s) > 150
            assert turned == 0
