"""Viewers who watch over WHEP and count what they decode."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from support.waiting import until
from support.webrtc_peer import Watcher, on_loopback


@asynccontextmanager
async def watching(
    session: Mapping[str, Any], address: str = "127.0.0.1"
) -> AsyncIterator[Watcher]:
    """The viewer of a session, once it has decoded a second of video. `address` is its own."""
    with on_loopback(address):
        async with httpx.AsyncClient(timeout=30) as http:
            watcher = Watcher(http=http, url=session["whep"], token=session["token"])
            try:
                await watcher.start()
                await goes_on(watcher)
                yield watcher
            finally:
                await watcher.close()


async def goes_on(watcher: Watcher, frames: int = 30, *, within_s: float = 60.0) -> None:
    """Wait until so many more frames were decoded than now."""
    goal = watcher.frames.get("video", 0) + frames

    async def decoded() -> int:
        return watcher.frames.get("video", 0)

    await until(decoded, lambda count: count >= goal, within_s=within_s)
