"""Media servers driven by Kurento JSON-RPC over WebSocket: the real MediaPlane.

In: StreamSpecs. Out: transactions of roles.py over one channel per function, which is opened when
first needed and, once lost, again and again with a growing pause. Finds everything by asking:
pipelines are named by their stream, so nothing needs to be remembered here.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from umbel.kit.errors import Conflict, UmbelError, Unavailable
from umbel.media import roles
from umbel.media.api import values
from umbel.media.api.values import StreamInfo
from umbel.media.client import Channel, ChannelLost
from umbel.media.model import (
    CaptionTrack,
    CueBatch,
    Server,
    StreamSpec,
    StreamState,
    Thumbnail,
    WantedCues,
)
from umbel.media.rpc.faults import OperationUnknown
from umbel.media.rpc.requester import Notification

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0

OnChange = Callable[[str, str], None]


class ChannelPlain(Unavailable):
    """An earlier version started the function, and its control channel is plain text: it gets no
    key that protects packets."""

    code = "umbel.media_channel_plain"


class JsonRpcMedia:
    """A MediaDriver over the network. `deadline_s` bounds every request."""

    def __init__(self, *, deadline_s: float = 3.0) -> None:
        self._deadline_s = deadline_s
        self._links: dict[str, _Link] = {}
        self._watchers: list[OnChange] = []

    async def ensure(self, server: Server, spec: StreamSpec) -> StreamState:
        roles.check(spec)
        if spec.srtp_key and not server.is_private:
            raise ChannelPlain(function=server.function_id)
        link = await self._link(server)
        try:
            return await _ensure(link, spec)
        except roles.RoleFixed:
            raise
        except Conflict:
            # Someone made the stream between our look and our transaction: now it is there.
            return await _ensure(link, spec)

    async def remove(self, server: Server, stream: str) -> None:
        link = await self._link(server)
        for info in await link.streams(stream):
            await link.release(info)
        link.revoked.pop(stream, None)

    async def observe(self, server: Server) -> dict[str, StreamState]:
        link = await self._link(server)
        return {info.state.stream: info.state for info in await link.streams()}

    async def thumbnail(self, server: Server, stream: str) -> Thumbnail | None:
        link = await self._link(server)
        for info in await link.streams(stream):
            return await link.thumbnail(info)
        return None

    async def read_cues(self, server: Server, stream: str, wanted: WantedCues) -> CueBatch | None:
        link = await self._link(server)
        for info in await link.streams(stream):
            return await link.read_cues(info, wanted)
        return None

    async def put_captions(self, server: Server, stream: str, track: CaptionTrack) -> None:
        link = await self._link(server)
        for info in await link.streams(stream):
            await link.put_captions(info, track)

    def watch(self, on_change: OnChange) -> None:
        self._watchers.append(on_change)

    async def forget(self, function_id: str) -> None:
        link = self._links.pop(function_id, None)
        if link is not None:
            await link.close()

    async def close(self) -> None:
        for function_id in list(self._links):
            await self.forget(function_id)

    async def _link(self, server: Server) -> "_Link":
        link = self._links.get(server.function_id)
        if link is not None and link.server == server:
            return link
        fresh = self._links[server.function_id] = _Link(server, self._deadline_s, self._notify)
        if link is not None:
            await link.close()
        return fresh

    def _notify(self, function_id: str, stream: str) -> None:
        for on_change in self._watchers:
            on_change(function_id, stream)


class _Link:
    """The way to one function: a channel when there is one, and the task that brings it back."""

    def __init__(self, server: Server, deadline_s: float, notify: OnChange) -> None:
        self.server = server
        self._deadline_s = deadline_s
        self._notify = notify
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._retry: asyncio.Task[None] | None = None
        self._closed = False
        # By stream: its pipeline there, and the sessions that it refuses.
        self.revoked: dict[str, tuple[str, frozenset[str]]] = {}

    async def channel(self) -> Channel:
        """The open channel; opens one when there is none. Raises ChannelLost."""
        async with self._opening:
            if self._closed:
                raise ChannelLost
            if self._channel is None or not self._channel.is_open:
                self._channel = await self._open()
            return self._channel

    async def streams(self, stream: str = "") -> list[StreamInfo]:
        """What the server has: every stream, or the one."""
        operation = roles.get_streams(stream)
        channel = await self.channel()
        result = await channel.request(operation.method, operation.params)
        return values.infos_from_json(result.get("value"))

    async def release(self, info: StreamInfo) -> None:
        operation = roles.release(info)
        channel = await self.channel()
        await channel.request(operation.method, operation.params)

    async def read_cues(self, info: StreamInfo, wanted: WantedCues) -> CueBatch | None:
        operation = roles.get_cues(info, wanted)
        if operation is None:
            return None
        channel = await self.channel()
        try:
            result = await channel.request(operation.method, operation.params)
        except OperationUnknown:
            return None  # a media server that started before an update
        return values.cues_from_json(result.get("value"))

    async def put_captions(self, info: StreamInfo, track: CaptionTrack) -> None:
        operation = roles.put_captions(info, track)
        if operation is None:
            return
        channel = await self.channel()
        with suppress(OperationUnknown):  # a media server that started before an update
            await channel.request(operation.method, operation.params)

    async def thumbnail(self, info: StreamInfo) -> Thumbnail | None:
        operation = roles.get_thumbnail(info)
        if operation is None:
            return None
        channel = await self.channel()
        try:
            result = await channel.request(operation.method, operation.params)
        except OperationUnknown:
            return None  # a media server that started before an update
        return values.thumbnail_from_json(result.get("value"))

    async def close(self) -> None:
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
            await asyncio.gather(self._retry, return_exceptions=True)
        async with self._opening:
            if self._channel is not None:
                await self._channel.close()
                self._channel = None

    async def _open(self) -> Channel:
        channel = await Channel.open(
            self.server, deadline_s=self._deadline_s, on_event=self._on_event, on_lost=self._on_lost
        )
        topic = {"object": roles.MANAGER, "type": "IngestStateChanged"}
        try:
            await channel.request("subscribe", topic)
        except UmbelError:
            await channel.close()
            raise
        return channel

    def _on_event(self, event: Notification) -> None:
        self._notify(self.server.function_id, str(event.data.get("stream", "")))

    def _on_lost(self) -> None:
        self._channel = None
        if self._closed:
            return
        log.warning("control channel lost", function=self.server.function_id)
        self._notify(self.server.function_id, "")
        if self._retry is not None and not self._retry.done():
            return
        self._retry = asyncio.create_task(self._reopen(), name=f"reopen:{self.server.function_id}")

    async def _reopen(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                await self.channel()
            except UmbelError:
                continue
            # Events of the meantime are lost, and it may have forgotten everything.
            self._notify(self.server.function_id, "")
            return


async def _ensure(link: _Link, spec: StreamSpec) -> StreamState:
    info = next(iter(await link.streams(spec.stream)), None)
    if info is not None and not roles.is_whole(spec, info):
        await link.release(info)
        info = None
    if info is not None and info.state.role is not spec.role:
        raise roles.RoleFixed
    spec = _unsent(link, spec, info)
    operations = roles.build(spec) if info is None else roles.adjust(spec, info)
    channel = await link.channel()
    outcome = await channel.transaction(operations)
    if outcome.error is not None:
        if info is None and outcome.values:
            await channel.request("release", {"object": outcome.values[0]})
        raise outcome.error
    found = values.infos_from_json(outcome.values[-1])
    if not found:
        raise Unavailable(f"the media server lost {spec.stream} while it was made")
    _, before = link.revoked.get(spec.stream, ("", frozenset()))
    link.revoked[spec.stream] = (found[0].pipeline, before | dict(spec.revoked).keys())
    return found[0].state


def _unsent(link: _Link, spec: StreamSpec, info: StreamInfo | None) -> StreamSpec:
    """The spec with those revoked sessions that the stream's pipeline does not know yet."""
    pipeline, sent = link.revoked.get(spec.stream, ("", frozenset()))
    if info is None or info.pipeline != pipeline:
        link.revoked.pop(spec.stream, None)
        return spec
    # Those that are not in the spec any more have expired.
    link.revoked[spec.stream] = (pipeline, sent & dict(spec.revoked).keys())
    return replace(spec, revoked=tuple(r for r in spec.revoked if r[0] not in sent))
