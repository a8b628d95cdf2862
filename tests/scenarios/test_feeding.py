"""Edges get what they lack, each for itself; whose right ended is refused, also where something
takes long or fails; an edge that took no pieces is tried again."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.test_replays import edges, found, grant, opened, play, recorded
from support.virtual import scenario, standing_still, until
from support.world import World, world
from umbel.delivery.replays.model import IDLE_S, ReplayEdgeAt
from umbel.delivery.replays.service import UNFED_S
from umbel.kit.errors import Unavailable
from umbel.media.drivers.fake_replays import FakeReplays
from umbel.media.io.replay_cache import WAIT_S
from umbel.media.model import Server
from umbel.media.replay.grants import GrantEnded, ReplayGrant
from umbel.media.replay.pieces import Piece
from umbel.recordings.feeding import Feeding
from umbel.recordings.model import Extent


@dataclass
class Edges:
    """The edges that there are; `unfed` are those that took nothing."""

    there: set[str]
    unfed: list[str] = field(default_factory=list)

    async def all(self) -> Mapping[str, ReplayEdgeAt]:
        return {one: edge_at(one) for one in self.there}

    async def note(
        self, function: str, *, captures: Collection[str], used: Collection[str]
    ) -> None:
        pass

    def forget(self, function: str) -> None:
        self.unfed.append(function)


def edge_at(function: str) -> ReplayEdgeAt:
    server = Server(function_id=function, address="127.0.9.1", control_port=1, secret="x")
    return ReplayEdgeAt(server=server, mbps=1_000.0)


@dataclass
class Rig:
    """Feeding of its own, next to the world's. Rights are unknown while `is_down`."""

    extent: Extent
    caches: FakeReplays
    edges: Edges
    ended: set[str] = field(default_factory=set)
    is_down: bool = False

    async def is_ended(self, token: str) -> bool:
        if self.is_down:
            raise Unavailable
        return token in self.ended

    async def play(self, function: str, who: ReplayGrant, number: int) -> bytes:
        cache = self.caches.at(function)
        piece = Piece(capture_id=self.extent.capture_id, kind="segment", number=number)
        reading = await cache.open(who, piece)
        try:
            with standing_still():
                return b"".join([chunk async for chunk in cache.read(reading)])
        finally:
            cache.close(reading)

    async def until_refused(self, function: str, who: ReplayGrant, within_s: float) -> None:
        async def is_refused() -> bool:
            try:
                await self.play(function, who, 0)
            except GrantEnded:
                return True
            return False

        await until(is_refused, within_s=within_s, why="the right ended")


@asynccontextmanager
async def rig(w: World, *functions: str) -> AsyncIterator[Rig]:
    extent = await recorded(w)
    made = Rig(extent, FakeReplays(w.clock), Edges(set(functions)))
    feeding = Feeding(
        database=w.system.database,
        replays=w.system.recordings.replays,
        edges=made.edges,
        caches=made.caches,
    )
    running = asyncio.create_task(feeding.run(made.is_ended))
    try:
        await asyncio.sleep(1)
        yield made
        assert feeding._fed.keys() == made.edges.there
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for function in list(made.caches.caches):
            made.caches.lose(function)


@scenario
async def test_an_edge_that_takes_pieces_slowly_holds_up_no_other(tmp_path: Path) -> None:
    async with world(tmp_path) as w, rig(w, "slow", "quick") as made:
        made.caches.slow.add("slow")
        ann, bob = await grant(w, "ann", made.extent), await grant(w, "bob", made.extent)
        waiting = [asyncio.create_task(made.play("slow", ann, n)) for n in range(6)]
        await asyncio.sleep(1)
        began_s = w.clock.monotonic_s()
        assert await made.play("quick", bob, 1)
        assert w.clock.monotonic_s() - began_s < 1.0
        await asyncio.gather(*waiting, return_exceptions=True)


@scenario
async def test_a_right_ends_at_an_edge_that_takes_pieces_slowly(tmp_path: Path) -> None:
    async with world(tmp_path) as w, rig(w, "edge") as made:
        ann = await grant(w, "ann", made.extent)
        assert await made.play("edge", ann, 0)
        made.caches.slow.add("edge")
        waiting = asyncio.create_task(made.play("edge", await grant(w, "bob", made.extent), 3))
        await asyncio.sleep(1)
        made.ended.add(ann.token)
        await made.until_refused("edge", ann, within_s=WAIT_S + 2)
        assert made.edges.unfed == []
        await asyncio.gather(waiting, return_exceptions=True)


@scenario
async def test_rights_that_nobody_knew_are_looked_up_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w, rig(w, "edge") as made:
        ann = await grant(w, "ann", made.extent)
        made.is_down = True
        assert await made.play("edge", ann, 0)
        await asyncio.sleep(WAIT_S)
        made.ended.add(ann.token)
        made.is_down = False
        await asyncio.sleep(WAIT_S)
        await made.until_refused("edge", ann, within_s=0.1)
        assert made.edges.unfed == [], "it is no fault of the edge"


@scenario
async def test_nothing_is_left_of_an_edge_that_went(tmp_path: Path) -> None:
    async with world(tmp_path) as w, rig(w, "one", "two") as made:
        made.caches.slow.add("one")
        waiting = asyncio.create_task(made.play("one", await grant(w, "ann", made.extent), 0))
        await asyncio.sleep(1)
        made.edges.there.remove("one")
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(WAIT_S + 2)


@scenario
async def test_an_edge_that_took_no_pieces_is_tried_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        event = await w.live()
        await w.watch(event, "pe2")
        await opened(w, "ann", extent, "pe2")
        assert edges(w) == ["edge-pe2-1"]
        w.replays.silent.add("edge-pe2-1")

        async def is_left() -> bool:
            return await found(w, "ann", extent, "pe2") == ""

        await until(is_left, within_s=30, why="it is seen that it takes none")
        began = w.spawned.count("edge-pe2-1")
        await asyncio.sleep(IDLE_S + 10)
        # Whoever played there has gone, and it runs on for its live viewer.
        w.replays.silent.clear()
        await asyncio.sleep(UNFED_S)
        assert w.spawned.count("edge-pe2-1") == began
        assert await opened(w, "bob", extent, "pe2")
        assert edges(w) == ["edge-pe2-1"]
        assert await play(w, "edge-pe2-1", "bob", extent, 1)
