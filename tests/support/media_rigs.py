"""MediaPlanes to test, with hands to let things happen to the servers behind them."""

import asyncio
import itertools
from typing import Protocol

import httpx

from support.media_server import Ground, MediaProcess
from support.media_tree import request_keyframe
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.media.drivers.fake import FakeMedia
from umbel.media.drivers.fake_recorders import FakeRecorders
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.drivers.recorder_client import RecorderClient
from umbel.media.model import Server, StreamRole
from umbel.media.ports import MediaDriver, Recorders

KEY = "ev1.correct-horse"


class Rig(Protocol):
    """A plane, and hands to let things happen to the servers behind it."""

    changes: list[tuple[str, str]]

    @property
    def plane(self) -> MediaDriver: ...
    @property
    def recorders(self) -> Recorders: ...

    async def start(self, function_id: str, role: StreamRole) -> Server: ...
    async def publish(self, server: Server, stream: str, key: str) -> None: ...
    async def stop_publishing(self, server: Server, stream: str) -> None: ...
    async def watch_hls(self, server: Server, stream: str, session: str) -> None: ...
    async def request_picture(self, server: Server, stream: str) -> None: ...
    async def lose(self, server: Server) -> None: ...
    def another_client(self) -> MediaDriver: ...
    async def close(self) -> None: ...


class FakeRig:
    def __init__(self) -> None:
        self.plane = FakeMedia()
        self.recorders = FakeRecorders(self.plane, SystemClock())
        self.changes: list[tuple[str, str]] = []
        self.plane.watch(lambda function, stream: self.changes.append((function, stream)))
        self._numbers = itertools.count(1)

    async def start(self, function_id: str, role: StreamRole) -> Server:
        number = next(self._numbers)
        return Server(
            function_id=function_id, address=f"127.0.9.{number}", control_port=8888, secret="s"
        )

    async def publish(self, server: Server, stream: str, key: str) -> None:
        if key == KEY:
            self.plane.publish(server.function_id, stream)
        else:
            self.plane.refuse(server.function_id, stream, "the stream key is wrong")

    async def stop_publishing(self, server: Server, stream: str) -> None:
        self.plane.stop_publishing(server.function_id, stream)

    async def watch_hls(self, server: Server, stream: str, session: str) -> None:
        others = (await self.plane.observe(server))[stream].viewers
        self.plane.set_viewers(server.function_id, stream, {*others, session})

    async def request_picture(self, server: Server, stream: str) -> None:
        self.plane.request_picture(server.function_id, stream)

    async def lose(self, server: Server) -> None:
        self.plane.cut(server.function_id)

    def another_client(self) -> FakeMedia:
        return self.plane

    async def close(self) -> None:
        await self.plane.close()


class RealRig:
    def __init__(self, made: Ground) -> None:
        self.plane = JsonRpcMedia()
        self.recorders = RecorderClient()
        self.changes: list[tuple[str, str]] = []
        self.plane.watch(lambda function, stream: self.changes.append((function, stream)))
        self._ground = made
        self._numbers = itertools.count(1)
        self._clients: list[JsonRpcMedia] = [self.plane]

    async def start(self, function_id: str, role: StreamRole) -> Server:
        address = f"127.0.9.{next(self._numbers)}"
        return self._ground.start(function_id, role.value, address).server

    async def publish(self, server: Server, stream: str, key: str) -> None:
        port = self._process(server).ports["rtmp"]
        url = f"rtmp://{server.address}:{port}/live/{key}"
        self._ground.push("-f", "flv", url)

    async def stop_publishing(self, server: Server, stream: str) -> None:
        self._ground.encoders[-1].kill()

    async def watch_hls(self, server: Server, stream: str, session: str) -> None:
        url = f"{self._process(server).http}/hls/{stream}/index.m3u8"
        token = self._ground.token(session, stream)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            # Nothing flows yet, so the playlist is waited for in vain; but asking is watching.
            asking = asyncio.create_task(
                http.get(url, headers={"Authorization": f"Bearer {token}"})
            )

            async def is_seen() -> bool:
                viewers = (await self.plane.observe(server))[stream].viewers
                return asking.done() or session in viewers

            await until(is_seen)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def request_picture(self, server: Server, stream: str) -> None:
        await request_keyframe(server, stream, "WhepEndpoint")

    async def lose(self, server: Server) -> None:
        self._process(server).kill()

    def another_client(self) -> JsonRpcMedia:
        self._clients.append(JsonRpcMedia())
        return self._clients[-1]

    async def close(self) -> None:
        await self.recorders.close()
        for client in self._clients:
            await client.close()

    def _process(self, server: Server) -> MediaProcess:
        return next(p for p in self._ground.started if p.server == server)
