"""A viewer that decodes, and comes back by the web player's rules (web/src/player/machine.ts).

In: an event and an access node. Out: `Seen`, which frames it decoded and when.
"""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from av import VideoFrame

from support.platform import Platform
from support.storm.encoder import time_ms
from support.webrtc_peer import Watcher
from umbel.demo.stage import LiveEvent

OPEN_S, ANSWER_S, LINK_S, FIRST_PICTURE_S = 12.0, 3.0, 4.0, 3.0
DOUBT_S, STALL_S, STALL_MOST_S = 0.75, 1.5, 4.0
PROBE_S, WAIT_PROBE_S, ALIVE_S = 1.0, 2.0, 1.0
BACKOFF_FIRST_S, BACKOFF_MOST_S, STEADY_S = 0.25, 5.0, 5.0


@dataclass
class Seen:
    """The frames that were decoded: each new one's own time, and when it was decoded, both in
    seconds since the epoch. A frame that comes twice (from an edge's cache) counts once."""

    drawn_s: list[float] = field(default_factory=list)
    decoded_s: list[float] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)

    def note(self, drawn_ms: int, now_s: float) -> None:
        """A decoded frame."""
        if drawn_ms not in self._known:
            self._known.add(drawn_ms)
            self.drawn_s.append(drawn_ms / 1000)
            self.decoded_s.append(now_s)


class Viewer:
    """Watches until `stop`. `story` says what it did, for people who look for a reason."""

    def __init__(self, made: Platform, event: LiveEvent, node: str, seed: int) -> None:
        self.seen = Seen()
        self.story: list[tuple[float, str]] = []
        self._made = made
        self._event = event
        self._node = node
        self._rng = random.Random(f"{seed} {node}")
        self._frame_s = 0.0
        self._attempt = 0
        self._http = httpx.AsyncClient(timeout=OPEN_S)
        self._task = asyncio.create_task(self._run(), name=f"viewer {node}")

    async def stop(self) -> None:
        """Leave."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._http.aclose()

    async def _run(self) -> None:
        while True:
            session = await self._open()
            if session is not None:
                trouble = await self._watch(session)
                self._say(trouble)
                closing = asyncio.create_task(self._close(session))
                closing.add_done_callback(lambda task: task.cancelled() or task.exception())
            wait_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0 ** (self._attempt - 1))
            await asyncio.sleep(wait_s * self._rng.uniform(0.5, 1) if self._attempt else 0)
            self._attempt += 1

    async def _open(self) -> dict[str, Any] | None:
        asked = {"access_node": self._node}
        try:
            answer = await self._made.api.post(
                f"/api/v1/events/{self._event.id}/sessions", json=asked, timeout=OPEN_S
            )
        except httpx.HTTPError as error:
            self._say(f"no session: {type(error).__name__}")
            return None
        if answer.status_code != 201:
            self._say(f"no session: {answer.text}")
            return None
        found: dict[str, Any] = answer.json()
        self._say(f"session at {found['edge']}")
        return found

    async def _close(self, session: dict[str, Any]) -> None:
        bearer = {"Authorization": f"Bearer {session['token']}"}
        with suppress(httpx.HTTPError):
            await self._made.api.delete(f"/api/v1/sessions/{session['id']}", headers=bearer)

    async def _watch(self, session: dict[str, Any]) -> str:
        """Watch until it cannot go on; the result is why."""
        watcher = Watcher(
            http=self._http, url=session["whep"], token=session["token"], on_frame=self._on_frame
        )
        self._frame_s = 0.0
        began_s = _now_s()
        try:
            try:
                async with asyncio.timeout(ANSWER_S):
                    if (await watcher.ask()).status_code != 201:
                        return "the edge refuses"
                async with asyncio.timeout(LINK_S):
                    while watcher.peer.connectionState != "connected":
                        await asyncio.sleep(0.01)
            except (TimeoutError, httpx.HTTPError) as error:
                return f"not connected: {type(error).__name__}"
            self._say("connected")
            return await self._follow(watcher, began_s)
        finally:
            # A lost edge says no goodbye: the closing must not keep the next connection waiting.
            ending = asyncio.create_task(watcher.close())
            ending.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _follow(self, watcher: Watcher, began_s: float) -> str:
        linked_s = _now_s()
        while self._silent_s(linked_s) < FIRST_PICTURE_S or self._frame_s:
            if self._frame_s and _now_s() - began_s > STEADY_S:
                self._attempt = 0
            silent_s = self._silent_s(linked_s)
            if not self._frame_s or silent_s < DOUBT_S:
                await asyncio.sleep(0.05)
                continue
            if not await self._is_alive(watcher):
                return "the edge has lost the connection"
            if silent_s >= STALL_S and (trouble := await self._stalled(watcher)):
                return trouble
            await asyncio.sleep(min(0.25, STALL_S - DOUBT_S))
        return await self._stalled(watcher) or "no first picture"

    async def _stalled(self, watcher: Watcher) -> str:
        """Find out why no picture comes; empty once one does."""
        since_s, before_s = _now_s(), self._frame_s
        self._say("stalled")
        while self._frame_s == before_s:
            if not await self._is_alive(watcher):
                return "the edge has lost the connection"
            is_flowing = await self._is_flowing()
            if is_flowing is False:
                since_s = _now_s()
            elif _now_s() - since_s >= STALL_MOST_S:
                return "the edge sends no video"
            end_s = _now_s() + (WAIT_PROBE_S if is_flowing is False else PROBE_S)
            while _now_s() < end_s and self._frame_s == before_s:
                await asyncio.sleep(0.05)
        return ""

    async def _is_alive(self, watcher: Watcher) -> bool:
        try:
            async with asyncio.timeout(ALIVE_S):
                return await watcher.is_known()
        except (TimeoutError, httpx.HTTPError):
            return False

    async def _is_flowing(self) -> bool | None:
        try:
            answer = await self._made.api.get(f"/api/v1/events/{self._event.id}", timeout=ALIVE_S)
            stream = answer.json().get("stream") if answer.status_code == 200 else None
        except httpx.HTTPError:
            return None
        return stream["flowing"] if stream else None

    def _silent_s(self, linked_s: float) -> float:
        return _now_s() - max(self._frame_s, linked_s)

    def _on_frame(self, frame: VideoFrame) -> None:
        self._frame_s = _now_s()
        drawn_ms = time_ms(frame)
        if drawn_ms is not None:
            self.seen.note(drawn_ms, self._frame_s)

    def _say(self, what: str) -> None:
        self.story.append((_now_s(), f"{self._node}: {what}"))


def _now_s() -> float:
    return time.time()
