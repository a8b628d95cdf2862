"""Nodes that come, go, are cordoned and drained while viewers watch, on virtual time."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.compute.model import Description, Function, Node, NodeKind, Resources, Scheduling
from umbel.compute.service import NodeCordoned, NodeExists, NodeInUse, NoSuchNode
from umbel.kit.errors import Unprocessable
from umbel.network.model import Link

NEW = Node(
    name="pe9",
    kind=NodeKind.PROVIDER_EDGE,
    address="127.0.9.1",
    cores=2,
    prefixes=("127.0.9.0/24",),
)
LINKS = [Link(a="pe9", b="c1"), Link(a="pe9", b="c2")]


async def at(w: World, node: str) -> list[str]:
    return [f.id for f in await w.delivery.functions() if f.node == node]


async def drains(w: World, head: int) -> set[str]:
    return {c.subject for c in await w.system.journal.since(head) if c.kind == "drain"}


@scenario
async def test_a_new_node_serves_viewers_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe1")
        w.delivery.add_node(NEW, LINKS)
        assert await w.delivery.access_node_for("127.0.9.7") == "pe9"
        ticket = await w.watch(event, "pe9")
        assert ticket.session.edge_node == "pe9"
        await w.until_watched(ticket, within_s=20)
        assert "pe9" in {node.name for node in await w.delivery.nodes()}


@scenario
async def test_a_cordoned_node_keeps_its_viewers_and_takes_no_new_ones(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos", owners=("mano",)) as w:
        event = await w.live("pe1")
        first = await w.watch(event, "pe4")
        compute, head = w.system.compute, await w.system.journal.head()
        compute.schedule("pe4", Scheduling.CORDONED)
        second = await w.watch(event, "pe4")
        assert (first.session.edge_node, second.session.edge_node != "pe4") == ("pe4", True)
        guest = Function(
            id="guest-1",
            node="pe4",
            description=Description(name="guest", resources=Resources(cores=0.1)),
        )
        with pytest.raises(NodeCordoned):
            compute.reserve("mano", [guest])
        await asyncio.sleep(30)
        assert await w.arrives(first)
        assert await drains(w, head) == set()
        compute.schedule("pe4", Scheduling.OPEN)
        assert (await w.watch(event, "pe4")).session.edge_node == "pe4"
        compute.reserve("mano", [guest])


@scenario
async def test_a_drained_node_becomes_empty_without_a_gap_and_is_removed(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe1")
        old = await w.watch(event, "pe4")
        await w.until_watched(old, within_s=20)
        with pytest.raises(NodeInUse, match="drain it first"):
            await w.delivery.remove_node("pe4")
        head = await w.system.journal.head()
        w.system.compute.schedule("pe4", Scheduling.DRAINING)

        async def is_announced() -> bool:
            return await drains(w, head) == {"pe4"}

        await until(is_announced, within_s=15, why="viewers hear that they should leave")
        new = await w.watch(event, "pe4")  # as the player does: first the new edge, then the old
        assert new.session.edge_node != "pe4"
        await w.until_watched(new, within_s=20)
        assert await w.arrives(old), "the old edge left before the viewer did"
        await w.delivery.close_session(old.session.id)

        async def is_empty() -> bool:
            return await at(w, "pe4") == []

        await until(is_empty, within_s=60, why="the drained node is empty")
        await w.delivery.remove_node("pe4")
        assert "pe4" not in {node.name for node in await w.delivery.nodes()}
        assert all("pe4" not in (link.a, link.b) for link in await w.delivery.links())
        assert await w.arrives(new)
        with pytest.raises(NoSuchNode):
            w.system.compute.schedule("pe4", Scheduling.OPEN)


@scenario
async def test_a_drained_core_node_gives_its_forwarder_away(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        await w.until_watched(ticket, within_s=20)
        assert await at(w, "c2") != []
        w.system.compute.schedule("c2", Scheduling.DRAINING)

        async def is_empty() -> bool:
            assert await w.arrives(ticket), "the viewer was cut off"
            return await at(w, "c2") == []

        await until(is_empty, within_s=60, why="the core node is empty")


@scenario
async def test_a_node_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(Unprocessable):
            w.delivery.add_node(NEW, [])
        with pytest.raises(Unprocessable):
            w.delivery.add_node(NEW, [Link(a="pe9", b="nowhere")])
        with pytest.raises(NodeExists):
            w.delivery.add_node(replace(NEW, address="127.0.1.1"), LINKS)
        assert "pe9" not in {n.name for n in await w.delivery.nodes()}
        assert all("pe9" not in (link.a, link.b) for link in await w.delivery.links())
        with pytest.raises(NodeInUse, match="default access"):
            await w.delivery.remove_node(w.delivery.default_access_node)
        w.delivery.add_node(NEW, LINKS)
        await w.delivery.remove_node("pe9")
