"""Edges get the pieces of recordings that they lack.

In: which edges serve viewers of recordings, and what each of them says it lacks. Out: pieces, read
of the repository, once for each edge. The control plane asks and gives, as it does with recorders:
an edge needs no way to the front end. Neighbour: `media.io.replay_cache` at the other end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from umbel.kit.controller import Controller
from umbel.kit.db import Database
from umbel.kit.errors import UmbelError, Unavailable
from umbel.media.ports import ReplayCaches
from umbel.media.replay import grants
from umbel.media.replay.messages import MOST_USED, Orders, Report
from umbel.media.replay.pieces import NoSuchPiece, Piece, Span
from umbel.recordings import store
from umbel.recordings.giving import Giving
from umbel.recordings.model import Extent, NoSuchRecording, NothingRecorded
from umbel.recordings.ports import ReplayEdge, RunningReplayEdges
from umbel.recordings.replays import Replays

log = structlog.get_logger(__name__)

IsEnded = Callable[[str], Awaitable[bool]]
"""Whether the holder of a token may not play any more. Raises Unavailable if that is unknown."""
_KEY = "replays"
_LOOK_S = 1.0
_RETRY_S = 1.0
_SYNC_S = 15.0
_MOST_UNCHECKED = 4_000
_UNKNOWN = (NoSuchPiece, NoSuchRecording, NothingRecorded)


@dataclass(kw_only=True)
class _Fed:
    """An edge that is fed: its next orders, and the tokens whose holders' rights are not looked up
    yet, by the grants' ids."""

    giving: Giving
    dropped: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    unchecked: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Feeding:
    """`home` is the front end's URL for viewers, empty where the operator named none."""

    database: Database
    replays: Replays
    edges: RunningReplayEdges
    caches: ReplayCaches
    home: str = ""
    _known: Mapping[str, ReplayEdge] = field(default_factory=dict)
    _fed: dict[str, _Fed] = field(default_factory=dict)
    _is_ended: IsEnded = field(init=False)
    _looks: Controller = field(init=False)
    _feeds: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._looks = Controller(self._look)
        self._feeds = Controller(self._feed)

    async def run(self, is_ended: IsEnded) -> None:
        """Feed edges, until cancelled. Rights are looked up by `is_ended`."""
        self._is_ended = is_ended
        try:
            await self._looks.run(_KEY)
        finally:
            await self._feeds.close()
            await asyncio.gather(*(one.giving.close() for one in self._fed.values()))
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
            await self._forget(function)
            return None
        fed = self._fed.get(function)
        if fed is None:
            giving = Giving(lambda piece: self._give(function, piece))
            fed = self._fed[function] = _Fed(giving=giving)
        orders = Orders(mbps=edge.mbps, home=self.home, dropped=fed.dropped, ended=fed.ended)
        try:
            async with asyncio.timeout(_SYNC_S):
                report = await self.caches.sync(edge.server, orders)
        except (UmbelError, TimeoutError) as error:
            self._not_fed(function, error)
            return _RETRY_S
        for piece in report.wanted:
            fed.giving.begin(piece)
        await self._answer(function, fed, report)
        return 0.0

    async def _answer(self, function: str, fed: _Fed, report: Report) -> None:
        """Note what the edge reports, and prepare the next orders. Raises Unavailable: the
        rest is looked up in the next round."""
        used = {grants.id_of(token): token for token in report.used}
        fed.unchecked = dict([*fed.unchecked.items(), *used.items()][-_MOST_UNCHECKED:])
        await self.edges.note(function, captures=report.captures, used=list(used))
        fed.dropped = await self.database.read(store.missing, report.captures)
        fed.ended = ()
        for id_, token in list(fed.unchecked.items())[:MOST_USED]:
            del fed.unchecked[id_]
            try:
                is_ended = await self._is_ended(token)
            except Unavailable:
                fed.unchecked[id_] = token
                raise
            if is_ended:
                fed.ended = (*fed.ended, id_)

    async def _forget(self, function: str) -> None:
        fed = self._fed.pop(function, None)
        if fed is not None:
            await fed.giving.close()
        await self.caches.forget(function)
        await self._feeds.forget(function)

    def _not_fed(self, function: str, error: Exception) -> None:
        log.warning("edge not fed", function=function, reason=str(error))
        self.edges.forget(function)

    async def _give(self, function: str, piece: Piece) -> None:
        edge = self._known.get(function)
        if edge is None:
            return
        try:
            span, body = await self._read(piece)
        except UmbelError as error:
            is_unknown = isinstance(error, _UNKNOWN)
            if not is_unknown:
                log.warning("piece not read", capture=piece.capture_id, reason=error.message)
            sending = self.caches.refuse(edge.server, piece, is_unknown=is_unknown)
        else:
            sending = self.caches.put(edge.server, piece, span, body)
        try:
            await sending
        except UmbelError as error:
            self._not_fed(function, error)

    async def _read(self, piece: Piece) -> tuple[Span, bytes]:
        extent = Extent(capture_id=piece.capture_id)
        if piece.kind == "init":
            return Span(), await self.replays.section(extent, piece.number)
        return await self.replays.whole(extent, piece.number)
