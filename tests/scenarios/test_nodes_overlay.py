"""Nodes that come and go where switches carry the streams: their ways follow. The whole platform,
with switches in memory."""

import asyncio
from pathlib import Path

import pytest

from support.overlaid import Overlaid, overlaid
from support.virtual import scenario, until
from umbel.compute.model import Node, NodeKind, Scheduling
from umbel.delivery.model import Ticket
from umbel.network.model import Link
from umbel.network.service import NoSwitch
from umbel.network.topology.paths import NotInTopology

C1 = Node(name="c1", kind=NodeKind.CORE, address="127.0.6.1", cores=4)
C1_LINKS = [Link(a="c1", b=name) for name in ("pe1", "pe2", "pe3", "c2")]
PE4 = Node(name="pe4", kind=NodeKind.PROVIDER_EDGE, address="127.0.4.1", cores=2)


async def used(over: Overlaid, ticket: Ticket) -> set[frozenset[str]]:
    links = over.platform.system.network.operator.inspection.links_of(ticket.session.stream)
    return {frozenset(link) for link in links}


async def until_used(over: Overlaid, ticket: Ticket, *links: tuple[str, str]) -> None:
    async def holds() -> bool:
        return await used(over, ticket) == {frozenset(link) for link in links}

    await until(holds, within_s=20, why=f"the stream goes over {links}")


@scenario
async def test_a_node_that_comes_back_to_its_switch_is_served_there(tmp_path: Path) -> None:
    async with overlaid(tmp_path, policy="qos") as over:
        await over.fabric.start()
        w = over.platform
        nodes, event = w.delivery.nodes, await w.live("pe1")
        await nodes.remove("pe4", by="op")
        assert not over.fabric.overlay.has("pe4")
        with pytest.raises(NotInTopology):
            w.system.network.topology.path("pe1", "pe4")
        await nodes.add(PE4, [Link(a="pe4", b="c2")], by="op")
        ticket = await w.watch(event, "pe4")
        assert ticket.session.edge_node == "pe4"
        await until_used(over, ticket, ("pe1", "c1"), ("c1", "c2"), ("c2", "pe4"))
        await nodes.schedule("pe4", Scheduling.DRAINING, by="op", within_s=0)
        await w.until_functions("acquirer-pe1-1")
        await nodes.remove("pe4", by="op")
        assert await used(over, ticket) == set()


@scenario
async def test_streams_go_around_a_switch_whose_node_is_removed(tmp_path: Path) -> None:
    async with overlaid(tmp_path, policy="qos") as over:
        await over.fabric.start()
        w = over.platform
        event = await w.live("pe3")
        ticket = await w.watch(event, "pe2")
        await until_used(over, ticket, ("pe3", "c1"), ("c1", "pe2"))
        far = await w.watch(event, "pe5")
        await w.delivery.nodes.remove("c1", by="op")
        assert await used(over, far) == {frozenset(("pe3", "c2")), frozenset(("c2", "pe5"))}
        await w.delivery.nodes.add(C1, C1_LINKS, by="op")
        await asyncio.sleep(10)
        assert frozenset(("c1", "pe2")) in await used(over, ticket)


@scenario
async def test_a_restart_draws_the_nodes_there_are(tmp_path: Path) -> None:
    async with overlaid(tmp_path, policy="qos") as over:
        await over.fabric.start()
        w = over.platform
        await w.delivery.nodes.remove("pe4", by="op")
        await w.delivery.nodes.add(PE4, [Link(a="pe4", b="c2")], by="op")
        await w.delivery.nodes.remove("pe5", by="op")
        await w.crash()
        await w.start()
        drawn = over.fabric.overlay.link_state.drawing
        assert {"pe4"} <= drawn.roles.keys()
        assert "pe5" not in drawn.roles
        assert not any("pe5" in link for link in drawn.links)


@scenario
async def test_a_node_without_a_switch_in_the_file_is_refused(tmp_path: Path) -> None:
    async with overlaid(tmp_path) as over:
        await over.fabric.start()
        nodes = over.platform.delivery.nodes
        new = Node(name="pe9", kind=NodeKind.PROVIDER_EDGE, address="127.0.9.1")
        with pytest.raises(NoSwitch, match="no switch for pe9"):
            await nodes.add(new, [Link(a="pe9", b="c1")], by="op")
        await nodes.remove("pe4", by="op")
        with pytest.raises(NoSwitch, match="no underlay address toward c1"):
            await nodes.add(PE4, [Link(a="pe4", b="c1")], by="op")
        assert "pe4" not in {node.name for node in await nodes.list()}
