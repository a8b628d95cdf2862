"""The door to media: what delivery calls, over whichever MediaPlane was chosen.

In: servers and StreamSpecs. Out: StreamStates, and a wake-up when something changed by itself.
Also the port by which others pull what is recorded.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from umbel.kit.errors import Unavailable
from umbel.media.model import (
    CaptionTrack,
    CueBatch,
    Pulled,
    PulledSegment,
    Server,
    StreamSpec,
    StreamState,
    Thumbnail,
    WantedCues,
)
from umbel.media.ports import MediaDriver, Recorders

__all__ = ["Media", "Pulled", "PulledSegment", "Recorders"]

log = structlog.get_logger(__name__)


class Media:
    """Every media server, behind one door."""

    def __init__(self, plane: MediaDriver) -> None:
        self._plane = plane

    async def ensure(self, server: Server, spec: StreamSpec) -> StreamState:
        """Make the server do `spec`. Raises Unavailable, Invalid, Conflict."""
        return await self._plane.ensure(server, spec)

    async def remove(self, server: Server, stream: str) -> None:
        """Make the server drop the stream."""
        await self._plane.remove(server, stream)
        log.info("stream removed", function=server.function_id, stream=stream)

    async def observe(self, servers: Iterable[Server]) -> dict[str, dict[str, StreamState]]:
        """Every stream of every server that answers, by function id. The silent are absent."""
        asked = list(servers)
        answers = await asyncio.gather(*(self._observe(server) for server in asked))
        pairs = zip(asked, answers, strict=True)
        return {server.function_id: answer for server, answer in pairs if answer is not None}

    async def thumbnail(self, server: Server, stream: str) -> Thumbnail | None:
        """As Thumbnails.thumbnail."""
        return await self._plane.thumbnail(server, stream)

    async def read_cues(self, server: Server, stream: str, wanted: WantedCues) -> CueBatch | None:
        """As Captions.read_cues."""
        return await self._plane.read_cues(server, stream, wanted)

    async def put_captions(self, server: Server, stream: str, track: CaptionTrack) -> None:
        """As Captions.put_captions."""
        await self._plane.put_captions(server, stream, track)

    def watch(self, on_change: Callable[[str, str], None]) -> None:
        """As MediaPlane.watch."""
        self._plane.watch(on_change)

    async def forget(self, function_id: str) -> None:
        """The function is gone."""
        await self._plane.forget(function_id)

    async def close(self) -> None:
        """Let go of every server. Media goes on."""
        await self._plane.close()

    async def _observe(self, server: Server) -> dict[str, StreamState] | None:
        try:
            return await self._plane.observe(server)
        except Unavailable as error:
            log.warning("media server silent", function=server.function_id, reason=error.message)
            return None
