"""The OpenFlow fabric over sites that come and go while it runs, with switches in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from support.overlay_run import DRAWING, LINKS, SITES, TERMS, Run, at, hops, running, wires
from support.switchboard import World
from umbel.kit.errors import Unavailable
from umbel.network import events
from umbel.network.overlay.spanning import Drawing
from umbel.network.switching.program import Program
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site

pytestmark = pytest.mark.looptime

NOW = replace(TERMS, adopt_s=0.0)
NEW = "pe5"  # its one neighbour is c2
PATH = {("pe1", "c1"), ("c1", "c2"), ("c2", NEW)}


def known_first() -> dict[str, Site]:
    """The sites without that of the node that comes, and without their ends toward it."""
    return {
        node: replace(site, underlay={k: v for k, v in site.underlay.items() if k != NEW})
        for node, site in SITES.items()
        if node != NEW
    }


def drawn(nodes: Mapping[str, Site]) -> Drawing:
    links = tuple(link for link in LINKS if nodes.keys() >= {*link})
    return Drawing(roles={n: r for n, r in DRAWING.roles.items() if n in nodes}, links=links)


@asynccontextmanager
async def without_the_new_one() -> AsyncIterator[tuple[Run, SiteRegistry]]:
    first = known_first()
    registry = SiteRegistry(first)
    async with running(World(SITES), NOW, drawn(first), registry) as run:
        yield run, registry


async def come(run: Run, registry: SiteRegistry) -> None:
    registry.set(SITES)
    await run.fabric.change(run.fabric.overlay.draw(DRAWING))


async def go(run: Run, registry: SiteRegistry) -> None:
    await run.fabric.change(run.fabric.overlay.draw(drawn(known_first())))
    registry.set(known_first())
    await run.fabric.change(run.fabric.overlay)


async def test_a_switch_that_comes_carries_streams_and_leaves_nothing_when_it_goes() -> None:
    async with without_the_new_one() as (run, registry):
        stays = await run.carry("old", hops("pe1", ("pe2", 7000)))
        before = {node: run.world.net.switches[node].program for node in known_first()}
        tunnels = wires(run.world)
        for _ in range(2):
            await come(run, registry)
            to = await run.carry("ev1", hops("pe1", (NEW, 7001)))
            got, crossed = run.world.send("pe1", to)
            assert got == at((NEW, 7001))
            assert set(crossed) == PATH
            await run.fabric.remove("ev1")
            await go(run, registry)
            assert wires(run.world) == tunnels
            assert {node: run.world.net.switches[node].program for node in before} == before
            assert run.world.send("pe1", stays)[0] == at(("pe2", 7000))
            assert NEW not in run.fabric.observed.switches
            assert NEW not in run.fabric.port_maps
        told = run.told(events.SwitchUp, events.SwitchDown)
        assert [type(one) for one in told if one.node == NEW] == [
            events.SwitchUp,
            events.SwitchDown,
            events.SwitchUp,
            events.SwitchDown,
        ]


async def test_a_foreign_switch_is_not_touched() -> None:
    async with without_the_new_one() as (run, _):
        assert SITES[NEW].datapath_id not in run.world.boards[0].switches
        assert run.world.net.switches[NEW].program == Program()
        assert run.world.wired[NEW] == {}


async def test_a_node_whose_switch_is_another_one_is_wired_and_programmed_anew() -> None:
    registry = SiteRegistry(SITES)
    world = World(SITES)
    async with running(world, NOW, sites=registry) as run:
        to = await run.carry("ev1", hops("pe1", (NEW, 7001)))
        world.deaf[NEW] = Unavailable("its database does not answer")
        other = replace(SITES[NEW], ovsdb="tcp:10.99.77.1:6640", datapath_id=0x77)
        registry.set({**SITES, NEW: other})
        await run.fabric.change(run.fabric.overlay)
        assert NEW not in run.fabric.port_maps
        assert run.world.send("pe1", to) == (Counter(), [])
        del world.deaf[NEW]
        registry.set(SITES)
        await asyncio.sleep(5)
        assert run.world.send("pe1", to)[0] == at((NEW, 7001))
