"""Small pictures of live streams: read from what takes them in, and kept for all who ask.

In: a tree. Out: the newest picture. However many viewers ask, an acquirer is asked once in
READ_AGAIN_S seconds, and decodes still fewer pictures.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog

from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Tree
from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, UmbelError
from umbel.media.model import Thumbnail

log = structlog.get_logger(__name__)

READ_AGAIN_S = 5.0
_MOST_KEPT = 512  # of at most 60 kB


class NoThumbnail(NotFound):
    """There is no picture of the event: it is not live, or its first picture comes in a moment."""

    code = "umbel.no_thumbnail"


@dataclass(frozen=True, kw_only=True)
class _Read:
    thumbnail: Thumbnail | None
    at_s: float


class Thumbnails:
    """The newest picture of each stream that somebody asked for; the longest unread is forgotten
    first."""

    def __init__(self, collector: Collector, clock: Clock) -> None:
        self._collector = collector
        self._clock = clock
        self._kept: dict[str, _Read] = {}
        self._reading: dict[str, asyncio.Task[_Read]] = {}

    async def get(self, tree: Tree) -> Thumbnail:
        """The picture with its age now. Raises NoThumbnail."""
        known = self._kept.get(tree.stream)
        if known is None or self._clock.monotonic_s() - known.at_s >= READ_AGAIN_S:
            known = await self._read_once(tree)
        if known.thumbnail is None:
            raise NoThumbnail
        since_s = self._clock.monotonic_s() - known.at_s
        return replace(known.thumbnail, age_s=known.thumbnail.age_s + since_s)

    async def _read_once(self, tree: Tree) -> _Read:
        """All who ask at the same time wait for one answer."""
        task = self._reading.get(tree.stream)
        if task is None:
            task = self._reading[tree.stream] = asyncio.create_task(self._read(tree))
            task.add_done_callback(lambda _: self._reading.pop(tree.stream))
        return await asyncio.shield(task)

    async def _read(self, tree: Tree) -> _Read:
        thumbnail = None
        if tree.root is not None:
            try:
                server = self._collector.server(tree.root.function)
                thumbnail = await self._collector.media.thumbnail(server, tree.stream)
            except UmbelError as error:
                log.info("thumbnail not read", stream=tree.stream, reason=error.message)
        read = _Read(thumbnail=thumbnail, at_s=self._clock.monotonic_s())
        self._kept.pop(tree.stream, None)
        self._kept[tree.stream] = read
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return read
