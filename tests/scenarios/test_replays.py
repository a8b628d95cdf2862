"""Viewers of recordings on the whole platform: edges come for them, get each piece once, and go
with the last; functions, nodes and the control plane may die in the middle."""

import asyncio
from pathlib import Path

import pytest

from support.virtual import scenario, standing_still, until
from support.world import World, world
from umbel.catalogue.model import EventEvent, UserRole
from umbel.compute.model import FunctionState, Scheduling
from umbel.delivery.replays.model import IDLE_S
from umbel.delivery.replays.service import READY_S
from umbel.kit.tokens import REPLAY
from umbel.media.io.replay_cache import WAIT_S
from umbel.media.replay.grants import GrantEnded, ReplayGrant, parse
from umbel.media.replay.pieces import Piece
from umbel.portal import grants
from umbel.recordings.model import Extent
from umbel.recordings.rights import Right, RightKind

PASSWORD = "correct horse battery"
EXPIRES_S = 1_700_040_000.0


async def recorded(w: World, seconds: float = 20.0) -> Extent:
    """What ann recorded of an event that is over; no edge is left of it."""
    await w.system.catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
    event = await w.live()
    made = await w.system.recordings.start("ann", event, from_start=True)

    async def is_long_enough() -> bool:
        return (await w.system.recordings.the("ann", made.recording.id)).duration_s >= seconds

    await until(is_long_enough, within_s=60, why="it is recorded")
    await w.system.catalogue.transition(event, EventEvent.END)
    await w.delivery.end(event)
    await until_edges(w, [], within_s=90)
    _, extent = await w.system.recordings.extent("ann", made.recording.id)
    return extent


def edges(w: World) -> list[str]:
    return sorted(f for f, s in w.states().items() if "edge" in f and s is FunctionState.ACTIVE)


async def until_edges(w: World, expected: list[str], within_s: float) -> None:
    async def holds() -> bool:
        return edges(w) == expected

    await until(holds, within_s=within_s, why=f"{expected} are the edges, not {edges(w)}")


async def grant(w: World, who: str, extent: Extent) -> ReplayGrant:
    """What somebody has whom ann gave her recording's playlist."""
    (kept,), _ = await w.system.recordings.of("ann")
    right = Right(kind=RightKind.RECORDING, of=kept.recording.id, username=who)
    token, _ = grants.grant(w.system, extent, right, until_s=EXPIRES_S)
    claims = w.system.verifier.verify(token, REPLAY, now_s=w.clock.now_s())
    return parse(claims, token)


async def opened(w: World, who: str, extent: Extent, node: str) -> str:
    id_ = (await grant(w, who, extent)).id
    base = await w.system.replay_edges.open(id_, extent.capture_id, node, 3.0)
    assert base == await w.system.replay_edges.find(id_, node)
    return base


async def found(w: World, who: str, extent: Extent, node: str) -> str:
    """The edge that serves them already."""
    return await w.system.replay_edges.find((await grant(w, who, extent)).id, node)


async def play(w: World, function: str, who: str, extent: Extent, number: int) -> bytes:
    """A segment, as the edge gives it to a viewer."""
    cache = w.replays.at(function)
    piece = Piece(capture_id=extent.capture_id, kind="segment", number=number)
    reading = await cache.open(await grant(w, who, extent), piece)
    try:
        with standing_still():
            return b"".join([chunk async for chunk in cache.read(reading)])
    finally:
        cache.close(reading)


@scenario
async def test_an_edge_comes_for_replays_and_goes_with_the_last(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        first = await opened(w, "ann", extent, "pe2")
        assert first
        assert edges(w) == ["edge-pe2-1"]
        _, body = await w.system.recordings.replays.whole(extent, 1)
        assert await play(w, "edge-pe2-1", "ann", extent, 1) == body
        assert await opened(w, "bob", extent, "pe2") == first, "it has the recording"
        assert await play(w, "edge-pe2-1", "bob", extent, 1) == body
        counts = w.replays.at("edge-pe2-1").counts
        assert (counts.misses, counts.hits) == (1, 1)
        for _ in range(6):
            # Who goes on to watch keeps the edge.
            await asyncio.sleep(IDLE_S / 2)
            await play(w, "edge-pe2-1", "bob", extent, 1)
        assert edges(w) == ["edge-pe2-1"]
        assert await found(w, "bob", extent, "pe2") == first
        await until_edges(w, [], within_s=IDLE_S + 30)
        assert await found(w, "bob", extent, "pe2") == ""


@scenario
async def test_who_has_no_right_any_more_is_refused_within_a_round(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        await opened(w, "ann", extent, "pe2")
        assert await play(w, "edge-pe2-1", "ann", extent, 1)
        lost = await grant(w, "ann", extent)
        (kept,), _ = await w.system.recordings.of("ann")
        await w.system.recordings.delete("ann", kept.recording.id)
        cache = w.replays.at("edge-pe2-1")
        piece = Piece(capture_id=extent.capture_id, kind="segment", number=1)

        async def is_refused() -> bool:
            try:
                cache.close(await cache.open(lost, piece))
            except GrantEnded:
                return True
            return False

        await until(is_refused, within_s=WAIT_S + 2, why="the right ended")

        async def is_gone() -> bool:
            return cache.kept_bytes == 0

        await until(is_gone, within_s=90, why="nobody keeps anything of it")


@scenario
async def test_a_viewer_takes_the_neighbour_that_runs(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        first = await opened(w, "ann", extent, "pe2")
        assert await opened(w, "bob", extent, "pe1") == first
        assert edges(w) == ["edge-pe2-1"]


@scenario
async def test_live_viewers_and_replays_share_an_edge(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        await opened(w, "ann", extent, "pe2")
        event = await w.live()
        ticket = await w.watch(event, "pe2")
        assert ticket.session.function == "edge-pe2-1"
        await w.delivery.close_session(ticket.session.id)
        await asyncio.sleep(60)
        assert edges(w) == ["edge-pe2-1"], "the viewer of the recording is still there"
        assert await play(w, "edge-pe2-1", "ann", extent, 0)


@scenario
async def test_an_edge_that_dies_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        base = await opened(w, "ann", extent, "pe2")
        assert base
        assert await play(w, "edge-pe2-1", "ann", extent, 0)
        w.replays.lose("edge-pe2-1")
        await w.kill("edge-pe2-1")

        async def is_gone() -> bool:
            return await found(w, "ann", extent, "pe2") == ""

        await until(is_gone, within_s=5, why="the front end serves as soon as the edge is gone")

        async def is_back() -> bool:
            return await found(w, "ann", extent, "pe2") != ""

        await until(is_back, within_s=15, why="the edge is back")
        assert await play(w, "edge-pe2-1", "ann", extent, 0)


@scenario
async def test_a_control_plane_that_dies_keeps_the_edge(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        base = await opened(w, "ann", extent, "pe2")
        assert await play(w, "edge-pe2-1", "ann", extent, 0)
        await w.crash()
        await asyncio.sleep(5)
        assert await play(w, "edge-pe2-1", "ann", extent, 0), "the edge goes on by itself"
        await w.start()
        await asyncio.sleep(5)
        assert edges(w) == ["edge-pe2-1"]
        assert await opened(w, "ann", extent, "pe2") == base
        assert await play(w, "edge-pe2-1", "ann", extent, 2)


@scenario
async def test_a_node_that_drains_is_left(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        await opened(w, "ann", extent, "pe2")
        await w.system.nodes.schedule("pe2", Scheduling.DRAINING, by="test")
        await until_edges(w, [], within_s=30)
        assert await found(w, "ann", extent, "pe2") == ""
        assert await opened(w, "ann", extent, "pe2")
        assert [name for name in edges(w) if "pe2" in name] == []


@scenario
async def test_a_cordoned_node_keeps_its_viewers_and_gets_no_others(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        first = await opened(w, "ann", extent, "pe2")
        await w.system.nodes.schedule("pe2", Scheduling.CORDONED, by="test")
        await asyncio.sleep(30)
        assert await found(w, "ann", extent, "pe2") == first
        assert await play(w, "edge-pe2-1", "ann", extent, 0)
        assert await opened(w, "bob", extent, "pe2") != first
        assert len(edges(w)) == 2


@scenario
async def test_an_edge_that_takes_no_pieces_serves_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.replays.silent.add("edge-pe2-1")
        extent = await recorded(w)
        await opened(w, "ann", extent, "pe2")

        async def is_left() -> bool:
            return await found(w, "ann", extent, "pe2") == ""

        await until(is_left, within_s=5, why="it is seen that it takes none")
        other = await opened(w, "ann", extent, "pe2")
        assert other
        assert await play(w, edges(w)[-1], "ann", extent, 1)
        w.replays.silent.clear()
        assert await opened(w, "ann", extent, "pe2") == other, "who is served stays"


@scenario
async def test_who_waited_for_an_edge_once_does_not_wait_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        await opened(w, "ann", extent, "pe2")
        await w.kill("edge-pe2-1")
        began_s = w.clock.monotonic_s()
        for _ in range(3):
            # As a player does that reads a growing playlist again.
            await w.system.replay_edges.open(
                (await grant(w, "ann", extent)).id, extent.capture_id, "pe2", 3.0
            )
        assert w.clock.monotonic_s() - began_s < READY_S


@scenario
async def test_where_live_viewers_need_all_replays_send_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        extent = await recorded(w)
        await opened(w, "ann", extent, "pe2")
        free = w.delivery.collector.view({}).nodes["pe2"].mbps_free
        assert await allowed(w) == {"edge-pe2-1": free}
        event = await w.live(mbps=free / 2)
        for left in (free / 2, 0.0):
            await w.watch(event, "pe2")
            await until_allowed(w, left)


async def allowed(w: World) -> dict[str, float]:
    """What replays may send, by edge."""
    found = await w.system.feeding.edges.all()
    return {one.server.function_id: one.mbps for one in found.values()}


async def until_allowed(w: World, mbps: float) -> None:
    """A session that is stored while others are read counts twice until the next look."""

    async def holds() -> bool:
        return await allowed(w) == {"edge-pe2-1": pytest.approx(mbps, abs=0.1)}

    await until(holds, within_s=3, why=f"replays may send {mbps} Mbit/s")
