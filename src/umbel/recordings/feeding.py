"""Edges get the pieces of recordings that they lack.

In: which edges serve viewers of recordings, and what each of them says it lacks. Out: pieces, read
of the repository, once for each edge. The control plane asks and gives, as it does with recorders:
an edge needs no way to the front end. Neighbour: `media.io.replay_cache` at the other end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.db import Database
from umbel.kit.errors import UmbelError
from umbel.media.ports import ReplayCaches
from umbel.media.replay import grants
from umbel.media.replay.messages import Orders
from umbel.media.replay.pieces import Piece, PieceUnknown, Span
from umbel.recordings import store
from umbel.recordings.model import Extent, NoSuchPiece, NoSuchRecording, NothingRecorded
from umbel.recordings.ports import ReplayEdge, RunningReplayEdges
from umbel.recordings.replays import Replays

log = structlog.get_logger(__name__)

_KEY = "replays"
_LOOK_S = 1.0
_RETRY_S = 1.0
_SYNC_S = 15.0
_MOST_GIVEN = 4
"""Pieces that are read and sent at once, by one instance."""
_UNKNOWN = (NoSuchPiece, NoSuchRecording, NothingRecorded, PieceUnknown)


@dataclass(kw_only=True)
class Feeding:
    """`home` is the front end's URL for viewers, empty where the operator named none. `is_ended`
    says of a token whether its holder may not play any more."""

    database: Database
    replays: Replays
    edges: RunningReplayEdges
    caches: ReplayCaches
    clock: Clock
    home: str = ""
    is_ended: Callable[[str], Awaitable[bool]] = field(default=lambda _: _never())
    _known: Mapping[str, ReplayEdge] = field(default_factory=dict)
    _next: dict[str, Orders] = field(default_factory=dict)
    _looks: Controller = field(init=False)
    _feeds: Controller = field(init=False)
    _giving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_GIVEN))

    def __post_init__(self) -> None:
        self._looks = Controller(self._look)
        self._feeds = Controller(self._feed)

    async def run(self) -> None:
        """Feed edges, until cancelled."""
        try:
            await self._looks.run(_KEY)
        finally:
            await self._feeds.close()
            await self.caches.close()

    def look_again(self) -> None:
        """There is another edge, perhaps."""
        if self._looks.keys():
            self._looks.wake(_KEY)

    async def _look(self, _key: str) -> float:
        self._known = await self.edges.all()
        for function in self._known.keys() - self._feeds.keys():
            self._feeds.wake(function)
        return _LOOK_S

    async def _feed(self, function: str) -> float | None:
        edge = self._known.get(function)
        if edge is None:
            self._next.pop(function, None)
            await self.caches.forget(function)
            await self._feeds.forget(function)
            return None
        try:
            async with asyncio.timeout(_SYNC_S):
                await self.feed(function, edge)
        except (UmbelError, TimeoutError) as error:
            log.warning("edge not fed", function=function, reason=str(error))
            self.edges.forget(function)
            return _RETRY_S
        return 0.0

    async def feed(self, function: str, edge: ReplayEdge) -> None:
        """One turn: tell the edge, hear what it lacks, give it that. Raises Unavailable."""
        orders = self._next.pop(function, Orders(mbps=0.0))
        orders = replace(orders, mbps=edge.mbps, home=self.home)
        report = await self.caches.sync(edge.server, orders)
        giving = asyncio.gather(*(self._give(edge, piece) for piece in report.wanted))
        try:
            ended = await self._ended(report.used)
        finally:
            await giving
        dropped = await self.database.read(store.missing, report.captures)
        self._next[function] = Orders(mbps=0.0, dropped=dropped, ended=ended)
        used = [grants.id_of(token) for token in report.used]
        await self.edges.note(function, captures=report.captures, used=used)

    async def _ended(self, tokens: Sequence[str]) -> tuple[str, ...]:
        """The ids of grants whose holders may not play any more."""
        return tuple([grants.id_of(one) for one in tokens if await self.is_ended(one)])

    async def _give(self, edge: ReplayEdge, piece: Piece) -> None:
        async with self._giving:
            try:
                span, body = await self._read(piece)
            except _UNKNOWN:
                await self.caches.refuse(edge.server, piece, is_unknown=True)
            except UmbelError as error:
                log.warning("piece not read", capture=piece.capture_id, reason=error.message)
                await self.caches.refuse(edge.server, piece, is_unknown=False)
            else:
                await self.caches.put(edge.server, piece, span, body)

    async def _read(self, piece: Piece) -> tuple[Span, bytes]:
        extent = Extent(capture_id=piece.capture_id)
        if piece.kind == "init":
            return Span(), await self.replays.section(extent, piece.number)
        return await self.replays.whole(extent, piece.number)


async def _never() -> bool:
    return False
