"""A recorder comes with the demand for a recording, moves, is lost and comes back, and goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from support.pulling import Puller
from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent
from umbel.compute.model import FunctionState, Scheduling
from umbel.delivery.policy.recorders import LONGEST_PULL_S
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.topology import document, files


async def recorders(w: World) -> list[str]:
    """Those that run."""
    return sorted(f for f, s in w.states().items() if "recorder" in f and s is FunctionState.ACTIVE)


async def until_recorded(puller: Puller, stream: str, seconds: float, within_s: float) -> float:
    async def holds() -> bool:
        return puller.length_s(stream) >= seconds

    return await until(holds, within_s=within_s, why=f"{seconds} s of {stream} are pulled")


async def until_gone(w: World, within_s: float) -> float:
    async def holds() -> bool:
        return not await recorders(w)

    return await until(holds, within_s=within_s, why="no recorder is left")


@asynccontextmanager
async def pulling(w: World, stream: str) -> AsyncIterator[Puller]:
    """A demand for the stream, and who pulls it."""
    puller = Puller(w)
    puller.want(stream)
    task = asyncio.create_task(puller.run(stream))
    try:
        yield puller
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def schedule(w: World, node: str, scheduling: Scheduling) -> None:
    await w.delivery.nodes.schedule(node, scheduling, by="op", within_s=None)


async def finish(w: World, event: str) -> None:
    await w.system.catalogue.transition(event, EventEvent.END)
    await w.delivery.end(event)


@pytest.mark.parametrize("policy", ["sls", "consolidation", "qos", "virca"])
@scenario
async def test_one_comes_records_and_goes_with_the_demand(tmp_path: Path, policy: str) -> None:
    async with world(tmp_path, policy=policy) as w:
        event = await w.live()
        ticket = await w.watch(event, "pe4")
        before = await w.delivery.tree(event)
        async with pulling(w, event) as puller:
            assert await until_recorded(puller, event, 20.0, within_s=30.0) < 25.0
            assert await recorders(w) == ["recorder-pe1-1"]
            assert max(map(abs, puller.gaps_s(event))) < 0.05
            tree = await w.delivery.tree(event)
            (branch,) = set(tree.branches) - set(before.branches)
            assert (branch.role, branch.node, branch.parent) == (
                "recorder",
                "pe1",
                before.branches[0].function,
            )
            assert await w.arrives(ticket)
            again = await w.watch(event, "pe4")
            assert again.session.function == ticket.session.function
            puller.stop(event)
            await until_gone(w, within_s=10.0)
            assert await w.delivery.tree(event) == before
            assert await w.arrives(ticket)


@scenario
async def test_nobody_wants_it_so_there_is_none(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await asyncio.sleep(10)
        assert await recorders(w) == []
        assert await w.delivery.recorders.all() == {}
        assert await w.delivery.recorders.lacking([event]) == {}


@scenario
async def test_its_tokens_are_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        one, other = await w.live(), await w.live()
        async with pulling(w, one), pulling(w, other) as puller:
            puller.demand.streams |= {one, other}
            await until_recorded(puller, other, 2.0, within_s=20.0)

            async def both() -> bool:
                return len(await w.delivery.recorders.all()) == 2

            await until(both, within_s=20.0, why="both have recorders")
            found = await w.delivery.recorders.all()
            assert found[one].function == found[other].function
            assert found[one].token != found[other].token
            assert found[one].token not in repr(found)


@scenario
async def test_a_lost_one_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            await w.kill("recorder-pe1-1")
            await until_recorded(puller, event, 12.0, within_s=30.0)
            assert await recorders(w) == ["recorder-pe1-1"]
            assert len(puller.lives) == 2
            assert 0.0 < max(puller.gaps_s(event)) < 10.0


@scenario
async def test_the_end_of_the_event_waits_for_the_rest(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            ticket = await w.watch(event, "pe4")
            await asyncio.sleep(1.5)
            began_s = puller.segments[event][0].wall_s
            ended_s = w.clock.now_s()
            await finish(w, event)
            took_s = await until_gone(w, within_s=20.0)
            assert took_s < 10.0
            assert puller.ended == set(puller.lives)
            assert puller.length_s(event) == pytest.approx(ended_s - began_s, abs=1.5)
            await w.until_functions()
            assert not await w.arrives(ticket)
            assert await w.delivery.store.trees() == {}


@scenario
async def test_who_never_pulls_keeps_it_no_longer_than_a_minute(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        puller = Puller(w)
        puller.want(event)
        await w.until_functions("acquirer-pe1-1", "recorder-pe1-1")
        await asyncio.sleep(10)
        await finish(w, event)
        await w.until_functions("recorder-pe1-1")
        assert (await w.delivery.recorders.all())[event].is_over
        assert await until_gone(w, within_s=80.0) == pytest.approx(LONGEST_PULL_S, abs=5.0)
        assert await w.delivery.store.trees() == {}


@scenario
async def test_the_demand_alone_decides_when_it_goes_after_the_end(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        puller = Puller(w)
        puller.want(event)
        await w.until_functions("acquirer-pe1-1", "recorder-pe1-1")
        await asyncio.sleep(10)
        await finish(w, event)
        await w.until_functions("recorder-pe1-1")
        puller.stop(event)
        assert await until_gone(w, within_s=10.0) < 5.0


@scenario
async def test_a_drained_node_hands_its_recorder_over_without_a_gap(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            await schedule(w, "pe1", Scheduling.DRAINING)
            await until_recorded(puller, event, 24.0, within_s=40.0)
            assert puller.places == ["recorder-pe1-1", "recorder-c1-1"]
            assert puller.ended == {puller.lives[0]}
            # Nothing is missed, and no more than a segment is there twice.
            assert max(puller.gaps_s(event)) < 0.05
            assert min(puller.gaps_s(event)) >= -2.05
            assert await recorders(w) == ["recorder-c1-1"]
            assert len(await w.delivery.recorders.all()) == 1


@scenario
async def test_no_room_is_said_and_viewers_are_unharmed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        ticket = await w.watch(event, "pe4")
        for node in w.delivery.collector.compute.nodes():
            await schedule(w, node.name, Scheduling.CORDONED)
        puller = Puller(w)
        puller.want(event)
        await asyncio.sleep(5)
        assert await recorders(w) == []
        reason = (await w.delivery.recorders.lacking([event]))[event]
        assert "No node has room for a recorder" in reason
        assert await w.arrives(ticket)
        for node in w.delivery.collector.compute.nodes():
            await schedule(w, node.name, Scheduling.OPEN)
        await until(
            lambda: _has(w, "recorder-pe1-1"), within_s=20.0, why="a recorder comes with the room"
        )
        assert await w.delivery.recorders.lacking([event]) == {}


async def _has(w: World, function: str) -> bool:
    return function in await recorders(w)


@scenario
async def test_an_encoder_that_pauses_leaves_a_discontinuity(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        acquirer = (await w.delivery.tree(event)).branches[0].function
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            w.media.stop_publishing(acquirer, event)
            await asyncio.sleep(12)
            assert await recorders(w) == ["recorder-pe1-1"]
            w.media.publish(acquirer, event)
            length_s = puller.length_s(event)
            await until_recorded(puller, event, length_s + 6.0, within_s=20.0)
            assert [one.discontinuity for one in puller.segments[event]].count(True) == 1
            assert len(puller.lives) == 1


@scenario
async def test_another_control_plane_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            await w.crash()
            await asyncio.sleep(5)
            await w.start()
            await until_recorded(puller, event, 20.0, within_s=40.0)
            assert len(puller.lives) == 1
            assert max(map(abs, puller.gaps_s(event))) < 0.05


@scenario
async def test_where_switches_copy_it_is_a_leaf_like_others(tmp_path: Path) -> None:
    fabric = FakeFabric(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        ticket = await w.watch(event, "pe4")
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            tree = await w.delivery.tree(event)
            roots = {b.parent for b in tree.branches if b.parent}
            assert roots == {tree.branches[0].function}
            assert await w.arrives(ticket)


@scenario
async def test_protected_packets_are_recorded_too(tmp_path: Path) -> None:
    async with world(tmp_path, settings={"srtp": True}) as w:
        event = await w.live()
        async with pulling(w, event) as puller:
            await until_recorded(puller, event, 6.0, within_s=20.0)
            state = (await w.carried("recorder-pe1-1"))[event]
            assert state.srtp_key_id


@scenario
async def test_the_rate_that_it_is_pulled_at_counts_on_its_node(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()

        async def free_mbps() -> float:
            view = w.delivery.collector.view(await w.delivery.store.trees())
            return view.nodes["pe1"].mbps_free

        before = await free_mbps()
        puller = Puller(w)
        puller.want(event)
        await w.until_functions("acquirer-pe1-1", "recorder-pe1-1")
        await asyncio.sleep(3)
        # Sent to the recorder, and from it.
        assert before - await free_mbps() == pytest.approx(4.0, abs=0.1)
