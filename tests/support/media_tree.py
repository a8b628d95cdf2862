"""Real media servers as a tree of three processes, which carries a stream to viewers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from support.media_server import Ground, MediaProcess, key_hash
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.media import roles
from umbel.media.api import values
from umbel.media.client import Channel
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import Server, StreamRole, StreamSpec, StreamState, Target

KEY = "ev1.correct-horse"


@dataclass
class Tree:
    """Acquirer -> forwarder -> edge, carrying the stream ev1."""

    ground: Ground
    plane: JsonRpcMedia
    acquirer: MediaProcess
    forwarder: MediaProcess
    edge: MediaProcess

    async def grow(self) -> None:
        leaf = await self.plane.ensure(self.edge.server, spec(StreamRole.EDGE))
        to_leaf = Target(address=self.edge.server.address, port=leaf.port)
        middle = await self.plane.ensure(self.forwarder.server, spec(StreamRole.FORWARDER, to_leaf))
        to_middle = Target(address=self.forwarder.server.address, port=middle.port)
        await self.plane.ensure(self.acquirer.server, spec(StreamRole.ACQUIRER, to_middle))

    def push_rtmp(self, key: str = KEY) -> None:
        port = self.acquirer.ports["rtmp"]
        self.ground.push("-f", "flv", f"rtmp://{self.acquirer.server.address}:{port}/live/{key}")

    async def at(self, process: MediaProcess) -> StreamState:
        return (await self.plane.observe(process.server))["ev1"]

    async def flows(self) -> None:
        await until(lambda: self.at(self.edge), lambda state: state.flowing, within_s=30)

    def watcher(self, http: httpx.AsyncClient, session: str = "session-1") -> Watcher:
        token = self.ground.token(session, "ev1")
        return Watcher(http, f"{self.edge.http}/whep/ev1", token)


async def request_keyframe(server: Server, stream: str, kind: str) -> None:
    """Ask the stream's element of that kind for a key picture, over a channel of its own."""
    channel = await Channel.open(
        server, deadline_s=10, on_event=lambda _event: None, on_lost=lambda: None
    )
    try:
        look = roles.get_streams(stream)
        (info,) = values.infos_from_json((await channel.request(look.method, look.params))["value"])
        body = {"object": info.parts[kind], "operation": "requestKeyframe"}
        await channel.request("invoke", {**body, "operationParams": {}})
    finally:
        await channel.close()


def spec(role: StreamRole, *hops: Target) -> StreamSpec:
    keys = (key_hash(KEY),) if role is StreamRole.ACQUIRER else ()
    return StreamSpec(stream="ev1", role=role, hops=hops, key_hashes=keys)


def value(frames: dict[str, int]) -> Callable[[], Awaitable[dict[str, int]]]:
    async def read() -> dict[str, int]:
        return dict(frames)

    return read


def has_frames(frames: dict[str, int]) -> bool:
    return frames.get("video", 0) >= 15 and frames.get("audio", 0) >= 15
