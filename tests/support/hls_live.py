"""A live stream of HLS in virtual time."""

import asyncio

from support import camera, hls_player
from support.camera import Camera
from support.hls_player import PlaylistView
from umbel.kit.clock import LoopClock
from umbel.media.io.hls_stream import HlsResponse, HlsStream


class Live:
    """A stream that is fed in its own time by a task of the loop."""

    def __init__(self) -> None:
        self.stream = HlsStream(LoopClock())
        self._tasks: list[asyncio.Task[None]] = []

    def play(self, timed: list[tuple[float, bytes]]) -> "asyncio.Task[None]":
        self._tasks.append(asyncio.create_task(self._feed(timed)))
        return self._tasks[-1]

    async def _feed(self, timed: list[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        for at_s, data in timed:
            await asyncio.sleep(start_s + at_s - loop.time())
            self.stream.packets([data], loop.time())

    async def view(self, **query: object) -> PlaylistView:
        answer = await self.get("media.m3u8", **query)
        assert answer.status == 200, answer
        assert answer.content_type == "application/vnd.apple.mpegurl"
        assert answer.cache_control == "no-cache"
        return hls_player.parse(answer.body.decode())

    async def get(self, path: str, **query: object) -> HlsResponse:
        return await self.stream.get(path, {name: str(value) for name, value in query.items()})

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def recording(seconds: float = 12.0) -> list[tuple[float, bytes]]:
    return Camera().video(camera.pictures(seconds)).audio(camera.sounds(seconds)).timed()
