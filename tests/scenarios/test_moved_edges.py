"""Edges and their viewers move to other nodes, on the whole platform and virtual time."""

import asyncio
from itertools import pairwise
from pathlib import Path

from support.moving_functions import over, state
from support.virtual import scenario
from support.world import world
from umbel.mobility.model import MigrationState
from umbel.mobility.service import Request

S = MigrationState


@scenario
async def test_an_edge_moves_with_its_viewer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        edge = ticket.session.function
        started = list(w.spawned)
        asked = Request(function=edge, target="pe5")
        migration = await w.system.mobility.start(asked, by="anna")
        done = await over(w, migration)
        assert (done.state, done.reason) == (S.COMMITTED, "")
        tree = await w.delivery.tree(event)
        branch = tree.branch(edge)
        assert branch is not None
        assert branch.node == "pe5"
        assert (await w.delivery.session(ticket.session.id)).edge_node == "pe5"
        await w.until_watched(ticket, within_s=10)
        await asyncio.sleep(60)
        assert w.spawned == started, "something was started again"
        assert await w.arrives(ticket)
        accounts = w.system.compute.ledger.by_owner()["delivery"]
        assert accounts["pe5"].mbps > 0
        assert "pe4" not in accounts


@scenario
async def test_a_control_plane_that_dies_in_the_copy_goes_on_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        started = list(w.spawned)
        asked = Request(function=ticket.session.function, target="pe5")
        migration = await w.system.mobility.start(asked, by="anna")
        await state(w, migration, S.COPYING)
        await w.crash()
        await w.start()
        assert (await over(w, migration)).state is S.COMMITTED
        await w.until_watched(ticket, within_s=10)
        await asyncio.sleep(60)
        assert w.spawned == started, "something was started again"
        assert w.vim.instances()[ticket.session.function].node == "pe5"


@scenario
async def test_the_free_rate_is_that_of_the_fullest_link(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ticket = await w.watch(await w.live("pe1"), "pe4")
        way = w.system.network.topology.path("pe4", "pe5").nodes
        passed = {frozenset(pair) for pair in pairwise(way)}
        free = [
            link.mbps - link.used_mbps
            for link in await w.delivery.links()
            if frozenset((link.a, link.b)) in passed
        ]
        assert len(set(free)) > 1, "all links are equally full: the test proves nothing"
        asked = Request(function=ticket.session.function, target="pe5")
        _, verdict = await w.system.mobility.check(asked)
        assert verdict.prediction is not None
        assert verdict.prediction.free_mbps == min(free)
