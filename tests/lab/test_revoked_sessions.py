"""A closed session's token opens nothing at a real edge, before and after restarts."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from support.platform import Platform, platform
from support.waiting import until
from support.webrtc_peer import Watcher, on_loopback

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
EDGE = "edge-pe2-1"


async def answers(http: httpx.AsyncClient, session: dict[str, Any]) -> list[tuple[int, str]]:
    """Status and error code for the session's token: WHEP, with a bad offer; both HLS playlists."""
    headers = {"Authorization": f"Bearer {session['token']}", "Content-Type": "application/sdp"}
    asked = [
        await http.post(session["whep"], content="v=0", headers=headers),
        await http.get(session["hls"]),
        await http.get(session["hls"].replace("index.m3u8?token=", "") + "/media.m3u8"),
    ]
    is_json = ["json" in answer.headers.get("content-type", "") for answer in asked]
    return [
        (answer.status_code, answer.json()["code"] if has_code else "")
        for answer, has_code in zip(asked, is_json, strict=True)
    ]


REFUSED = [(401, "umbel.token_revoked")] * 3
LET_IN = [(400, "umbel.malformed_sdp"), (200, ""), (200, "")]


async def until_answers(
    http: httpx.AsyncClient, session: dict[str, Any], expected: list[tuple[int, str]]
) -> None:
    async def asked() -> list[tuple[int, str]]:
        try:
            return await answers(http, session)
        except httpx.TransportError:
            return []  # the edge is being started

    await until(asked, lambda found: found == expected, within_s=60)


async def kill_edge(made: Platform) -> None:
    before = made.records()[EDGE]["pid"]
    made.kill(EDGE)

    async def is_replaced() -> bool:
        return bool(made.records().get(EDGE, {}).get("pid", before) != before)

    await until(is_replaced, within_s=60)


async def test_a_closed_sessions_token_opens_neither_whep_nor_hls(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, httpx.AsyncClient(timeout=30) as http:
        event, _ = await made.live()
        left, stays = [await made.session(event, "pe2") for _ in range(2)]
        await until_answers(http, left, LET_IN)
        with on_loopback():
            watcher = Watcher(http=http, url=left["whep"], token=left["token"])
            try:
                await watcher.start()
                await closed_under(made, watcher, left)
            finally:
                await watcher.close()
        await until_answers(http, left, REFUSED)
        assert await answers(http, stays) == LET_IN
        await kill_edge(made)
        await until_answers(http, stays, LET_IN)
        assert await answers(http, left) == REFUSED
        await made.kill_control_plane()
        assert await answers(http, left) == REFUSED
        made.kill(EDGE)
        await made.restart()
        await until_answers(http, stays, LET_IN)
        assert await answers(http, left) == REFUSED


async def test_an_event_that_is_closed_ends_its_viewers(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, httpx.AsyncClient(timeout=30) as http:
        event, _ = await made.live()
        session = await made.session(event, "pe2")
        with on_loopback():
            watcher = Watcher(http=http, url=session["whep"], token=session["token"])
            try:
                await watcher.start()
                await pictures(watcher)
                await made.change(event, visibility="invited")
                await ended(watcher)
            finally:
                await watcher.close()
        await until_answers(http, session, REFUSED)
        # An operator may watch every event, and opens another.
        await until_answers(http, await made.session(event, "pe2"), LET_IN)


async def closed_under(made: Platform, watcher: Watcher, session: dict[str, Any]) -> None:
    """Close the session of a viewer who has pictures: its connection ends, too."""
    await pictures(watcher)
    headers = {"Authorization": f"Bearer {session['token']}"}
    closed = await made.api.delete(f"/api/v1/sessions/{session['id']}", headers=headers)
    assert closed.status_code == 204
    await ended(watcher)


async def pictures(watcher: Watcher) -> None:
    async def frames() -> int:
        return watcher.frames.get("video", 0)

    await until(frames, within_s=60)


async def ended(watcher: Watcher) -> None:
    async def state() -> str:
        return watcher.peer.connectionState

    await until(state, lambda now: now == "closed", within_s=30)
