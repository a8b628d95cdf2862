"""Machines and links that carry others' work have less room, for every policy."""

import asyncio
from pathlib import Path

import pytest

from support.virtual import scenario
from support.world import World, world
from umbel.compute.model import HostUsage
from umbel.delivery.trees.view import NoCapacity
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.switching.counters import Count, FabricCounts

POLICIES = ["sls", "consolidation", "qos", "virca"]
ACCESS = [f"pe{number}" for number in range(1, 6)]


def machine(node: str, cores_used: float) -> HostUsage:
    return HostUsage(
        host=f"machine of {node}", cores=4, memory_mb=8000, cores_used=cores_used, memory_used_mb=1
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_a_busy_machine_gets_no_viewers(tmp_path: Path, policy: str) -> None:
    @scenario
    async def run() -> None:
        async with world(tmp_path, policy=policy) as w:
            event = await w.live("pe1")
            for node in ACCESS:
                w.vim.set_host(node, machine(node, 0.0 if node == "pe3" else 4.0))
            await asyncio.sleep(2)
            ticket = await w.delivery.open_session(event, "pe2")
            assert ticket.session.edge_node == "pe3"
            w.vim.set_host("pe3", machine("pe3", 4.0))
            await asyncio.sleep(2)
            with pytest.raises(NoCapacity) as refusal:
                await w.delivery.open_session(event, "pe2")
            assert refusal.value.details["reason"] == "cpu"
            shown = {node.name: node.host for node in await w.delivery.nodes.list()}
            assert shown["pe3"] == machine("pe3", 4.0)
            assert shown["c1"] is None

    run()


async def fill(w: World, mbps: float, a: str, b: str) -> None:
    """Switches count so much from `a` to `b` from now on, of whomever."""
    traffic = w.system.network.traffic
    fabric = FakeFabric(w.system.network.topology.current())
    for sent in (0, int(mbps * 1e6 / 8)):
        fabric.counted = FabricCounts(links={(a, b): Count(bytes=sent)})
        await traffic.measure(fabric)
        await asyncio.sleep(1)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_link_that_others_fill_carries_no_new_stream(tmp_path: Path, policy: str) -> None:
    @scenario
    async def run() -> None:
        async with world(tmp_path, policy=policy) as w:
            event = await w.live("pe1")
            for node in ("pe1", "pe3", "pe4", "pe5"):
                w.vim.set_host(node, machine(node, 4.0))
            (whole,) = [k.mbps for k in await w.delivery.links() if {k.a, k.b} == {"pe2", "c1"}]
            await fill(w, whole - 1, "c1", "pe2")
            (link,) = [k for k in await w.delivery.links() if {k.a, k.b} == {"pe2", "c1"}]
            sent = {link.a: link.a_sends_mbps, link.b: link.b_sends_mbps}
            assert sent == {"c1": pytest.approx(whole - 1), "pe2": None}
            assert link.foreign_mbps == pytest.approx(whole - 1)
            with pytest.raises(NoCapacity):
                await w.delivery.open_session(event, "pe2")
            await fill(w, 0, "c1", "pe2")
            assert (await w.delivery.open_session(event, "pe2")).session.edge_node == "pe2"

    run()
