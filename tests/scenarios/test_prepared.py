"""Functions that run in advance, on fakes and virtual time, where a boot takes a second."""

from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.compute.model import NoSuchNode, Scheduling
from umbel.delivery.prepared.model import Prepared

BOOT_S = 1.0


async def prepare(w: World, node: str, **counts: int) -> None:
    await w.system.prepared.set(Prepared(node=node, **counts), by="anna")


async def until_ready(w: World, *functions: str) -> None:
    async def holds() -> bool:
        found = [one.ready for one in await w.system.prepared.list()]
        return {name for ready in found for name in ready} == set(functions)

    await until(holds, within_s=30, why=f"{functions} are ready: {w.states()}")


async def seconds_to_watch(w: World, event: str, node: str) -> tuple[str, float]:
    """Who serves a viewer at the node, and the seconds until its edge gets the stream."""
    began_s = w.clock.monotonic_s()
    ticket = await w.watch(event, node)
    await w.until_watched(ticket, within_s=30)
    return ticket.session.function, w.clock.monotonic_s() - began_s


@scenario
async def test_the_first_viewer_is_served_without_a_start(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        function, took_s = await seconds_to_watch(w, event, "pe3")
        assert (function, took_s >= BOOT_S) == ("edge-pe3-1", True)
        await prepare(w, "pe2", edges=1)
        await until_ready(w, "edge-pe2-1")
        function, took_s = await seconds_to_watch(w, event, "pe2")
        assert function == "edge-pe2-1"
        assert took_s < BOOT_S / 2
        # Another one takes its place, for the next event.
        await until_ready(w, "edge-pe2-2")
        assert sorted(set(w.spawned)) == sorted(w.spawned)


@scenario
async def test_an_edge_that_is_idle_again_is_kept_or_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await prepare(w, "pe2", edges=1)
        await until_ready(w, "edge-pe2-1")
        ticket = await w.watch(event, "pe2")
        await until_ready(w, "edge-pe2-2")
        await w.delivery.close_session(ticket.session.id)
        await until_ready(w, "edge-pe2-1")
        assert "edge-pe2-2" not in w.states()
        await prepare(w, "pe2")
        await w.until_functions("acquirer-pe1-1")
        assert await w.system.prepared.list() == []


@scenario
async def test_a_node_that_takes_nothing_has_none(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await prepare(w, "pe2", edges=2, forwarders=1)
        await until_ready(w, "edge-pe2-1", "edge-pe2-2", "forwarder-pe2-1")
        await w.system.nodes.schedule("pe2", Scheduling.DRAINING, by="anna")
        await w.until_functions()
        await w.system.nodes.schedule("pe2", Scheduling.OPEN, by="anna")
        await until_ready(w, "edge-pe2-1", "edge-pe2-2", "forwarder-pe2-1")
        with pytest.raises(NoSuchNode):
            await prepare(w, "nowhere", edges=1)


@scenario
async def test_a_node_that_goes_takes_its_counts_along(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await prepare(w, "pe2", edges=1)
        await until_ready(w, "edge-pe2-1")
        await w.system.nodes.schedule("pe2", Scheduling.DRAINING, by="anna")
        await w.until_functions()
        await w.system.nodes.remove("pe2", by="anna")
        assert await w.system.prepared.list() == []


@scenario
async def test_another_control_plane_keeps_those_that_run(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await prepare(w, "pe2", edges=2)
        await until_ready(w, "edge-pe2-1", "edge-pe2-2")
        await w.crash()
        await w.start()
        await until_ready(w, "edge-pe2-1", "edge-pe2-2")
        await w.kill("edge-pe2-1")
        await until_ready(w, "edge-pe2-1", "edge-pe2-2")
        assert w.spawned == ["edge-pe2-1", "edge-pe2-2", "edge-pe2-1"]


@scenario
async def test_only_so_many_as_fit_are_started(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        node, costs = w.system.compute.node("pe2"), w.delivery.collector.costs
        fit = int(node.memory_mb // costs.function_mb)
        assert fit < 32
        await prepare(w, "pe2", edges=32)
        await w.until_functions(*(f"edge-pe2-{number + 1}" for number in range(fit)))
