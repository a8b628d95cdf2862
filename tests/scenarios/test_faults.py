"""What breaks, and how soon viewers see the stream again. Fakes, virtual time, a real database."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent, EventState
from umbel.compute.model import FunctionState
from umbel.delivery.model import Ticket
from umbel.kit.db import DatabaseUnavailable

EVERYTHING = (
    "acquirer-pe1-1",
    "forwarder-c1-1",
    "forwarder-c2-1",
    "edge-pe2-1",
    "edge-pe4-1",
)


async def playing(w: World) -> tuple[str, Ticket, Ticket]:
    """A live event with a viewer at pe2 and one at pe4."""
    event = await w.live()
    near, far = await w.watch(event, "pe2"), await w.watch(event, "pe4")
    await w.until_functions(*EVERYTHING)
    assert await w.arrives(near)
    assert await w.arrives(far)
    return event, near, far


@scenario
async def test_control_plane_killed_no_viewer_notices_and_nothing_is_started_twice(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        before = (await w.delivery.tree(event)).branches
        await w.crash()
        for _ in range(30):
            assert await w.arrives(near)
            assert await w.arrives(far)
            await asyncio.sleep(1)
        await w.start()
        await asyncio.sleep(5)
        assert await w.arrives(near)
        assert (await w.delivery.tree(event)).branches == before
        assert sorted(w.spawned) == sorted(EVERYTHING)
        joiner = await w.watch(event, "pe4")
        assert joiner.whep == far.whep


@scenario
async def test_a_function_that_dies_with_the_control_plane_is_replaced_by_the_next(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        _, near, far = await playing(w)
        await w.crash()
        await w.kill("edge-pe4-1")
        await asyncio.sleep(3)
        assert await w.arrives(near)
        await w.start()
        await w.until_watched(far, within_s=5)


@scenario
async def test_orphans_of_an_event_that_ended_meanwhile_are_stopped(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, *_ = await playing(w)
        await w.system.catalogue.transition(event, EventEvent.END)
        await w.crash()
        await w.start()
        await w.until_functions(within_s=10)
        assert await w.system.delivery.store.trees() == {}


@scenario
async def test_edge_killed_is_replaced_within_five_seconds(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        _, near, far = await playing(w)
        address = far.whep
        await w.kill("edge-pe4-1")
        assert not await w.arrives(far)
        assert await w.arrives(near)
        await w.until_watched(far, within_s=5)
        assert (await w.watch(far.session.stream, "pe4")).whep == address
        assert w.spawned.count("edge-pe4-1") == 2


@pytest.mark.parametrize("forwarder", ["forwarder-c1-1", "forwarder-c2-1"])
def test_forwarder_killed_is_bridged_at_once_and_then_replaced(
    tmp_path: Path, forwarder: str
) -> None:
    @scenario
    async def run() -> None:
        async with world(tmp_path) as w:
            event, near, far = await playing(w)
            await w.kill(forwarder)
            assert await w.until_watched(near, within_s=2) < 0.5
            assert await w.until_watched(far, within_s=2) < 0.5
            await w.until_functions(*EVERYTHING)

            async def is_planned_again() -> bool:
                state = (await w.carried(forwarder)).get(event)
                return state is not None and bool(state.hops) and state.mbps_in > 0

            await until(is_planned_again, within_s=5, why="the forwarder carries again")
            assert await w.arrives(near)
            assert await w.arrives(far)

    run()


@scenario
async def test_acquirer_killed_takes_the_encoder_back_where_it_was(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        before = await w.delivery.open_ingest(event)
        await w.kill("acquirer-pe1-1")
        await w.until_functions(*EVERYTHING)
        assert await w.delivery.open_ingest(event) == before
        w.media.publish("acquirer-pe1-1", event)
        await w.until_watched(near, within_s=2)
        await w.until_watched(far, within_s=2)
        await w.until_state(event, EventState.LIVE)


@scenario
async def test_a_closed_session_watches_no_more_whoever_starts_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        edge = near.session.function
        left = await w.watch(event, "pe2")
        await w.delivery.close_session(left.session.id)

        async def tries() -> set[str]:
            w.media.set_viewers(edge, event, {near.session.id, left.session.id})
            return set((await w.carried(edge))[event].viewers)

        async def is_refused() -> bool:
            return event in await w.carried(edge) and await tries() == {near.session.id}

        await until(is_refused, within_s=2, why="the edge was told")
        await w.kill(edge)
        await w.until_watched(near, within_s=30)
        await until(is_refused, within_s=0.1, why="a new edge was told, too")
        await w.crash()
        w.media.lose(edge)
        await w.start()
        await w.until_watched(near, within_s=30)
        await until(is_refused, within_s=0.1, why="by a new control plane, too")
        assert await w.arrives(far)


@scenario
async def test_an_acquirer_that_starts_again_takes_its_publisher_from_the_same_hosts(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        event, *_ = await playing(w)

        async def has(*sources: str) -> bool:
            carried = await w.carried("acquirer-pe1-1")
            return event in carried and carried[event].sources == sources

        point = await w.delivery.open_ingest(event, ("192.0.2.0/24",))
        assert point.sources == ("192.0.2.0/24",)
        await until(lambda: has("192.0.2.0/24"), within_s=2, why="the acquirer has them")
        await w.kill("acquirer-pe1-1")
        await w.until_functions(*EVERYTHING)
        await until(lambda: has("192.0.2.0/24"), within_s=5, why="it has them again")
        assert (await w.delivery.open_ingest(event)).sources == ("192.0.2.0/24",)
        await w.delivery.open_ingest(event, ())
        await until(has, within_s=2, why="any host may publish")


@scenario
async def test_encoder_stops_and_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, _ = await playing(w)
        w.media.stop_publishing("acquirer-pe1-1", event)
        await w.until_state(event, EventState.OPEN)
        assert set(w.states()) == set(EVERYTHING)
        waiting = await w.delivery.open_session(event, "pe4")
        w.media.publish("acquirer-pe1-1", event)
        await w.until_state(event, EventState.LIVE)
        assert await w.arrives(near)
        assert await w.arrives(waiting)


@scenario
async def test_a_short_silence_of_the_encoder_is_no_stop(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, *_ = await playing(w)
        w.media.stop_publishing("acquirer-pe1-1", event)
        await asyncio.sleep(w.timing.silence_s / 2)
        w.media.publish("acquirer-pe1-1", event)
        await asyncio.sleep(2 * w.timing.silence_s)
        assert (await w.system.catalogue.event(event)).state is EventState.LIVE


@scenario
async def test_database_locked_media_goes_on_and_nothing_written_is_lost(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        other = sqlite3.connect(tmp_path / "umbel.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(DatabaseUnavailable):
                await w.delivery.open_session(event, "pe2")
            assert await w.arrives(near)
            assert await w.arrives(far)
        finally:
            other.execute("ROLLBACK")
            other.close()
        for ticket in (near, far):
            assert await w.delivery.session(ticket.session.id) == ticket.session
        assert await w.watch(event, "pe2")


@scenario
async def test_a_cut_control_channel_harms_no_viewer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        w.media.cut("forwarder-c1-1")
        await asyncio.sleep(5)
        w.media.mend("forwarder-c1-1")
        await asyncio.sleep(3)
        assert await w.arrives(near)
        assert await w.arrives(far)
        assert sorted(w.spawned) == sorted(EVERYTHING)
        assert len((await w.delivery.tree(event)).branches) == len(EVERYTHING)


@scenario
async def test_a_lost_node_is_gone_around(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        w.vim.lose_node("pe4")
        w.media.lose("edge-pe4-1")
        assert await w.arrives(near)

        async def served_elsewhere() -> bool:
            again = await w.delivery.open_session(event, "pe4")
            return again.session.edge_node != "pe4" and await w.arrives(again)

        await until(served_elsewhere, within_s=30, why="pe4's viewers are served elsewhere")
        assert far.session.edge_node == "pe4"


@scenario
async def test_a_lost_core_node_is_gone_around(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, near, far = await playing(w)
        w.vim.lose_node("c1")
        w.media.lose("forwarder-c1-1")
        await w.until_watched(near, within_s=2)
        await w.until_watched(far, within_s=2)

        async def is_replanned() -> bool:
            return (await w.delivery.tree(event)).branch("forwarder-c1-1") is None

        await until(is_replanned, within_s=60, why="the tree does without c1")
        assert await w.arrives(near)
        assert await w.arrives(far)


@scenario
async def test_two_hundred_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, *kept = await playing(w)
        tasks = len(asyncio.all_tasks())
        for _ in range(4):
            opened = [await w.delivery.open_session(event, f"pe{n % 5 + 1}") for n in range(50)]
            for ticket in opened:
                await w.delivery.close_session(ticket.session.id)
        await w.until_functions(*EVERYTHING)
        assert sum(one.count for one in await w.delivery.store.counts()) == len(kept)

        async def is_quiet() -> bool:
            return len(asyncio.all_tasks()) <= tasks

        await until(is_quiet, within_s=10, why="no task was left behind")
        assert all(state is FunctionState.ACTIVE for state in w.states().values())


@scenario
async def test_two_control_planes_share_a_database_and_one_takes_over(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        second = World(folder=tmp_path, timing=w.timing, clock=w.clock, media=w.media)
        second.vim = w.vim
        await second.start()
        try:
            event, near, _ = await playing(w)
            joiner = await second.delivery.open_session(event, "pe2")
            assert joiner.whep == near.whep
            await w.crash()
            await asyncio.sleep(2 * w.timing.lease_s)
            w.vim.kill("edge-pe2-1")
            w.media.lose("edge-pe2-1")
            await second.until_watched(near, within_s=2 * w.timing.lease_s)
            assert w.spawned.count("edge-pe2-1") == 2
        finally:
            await second.stop()
        await w.start()
