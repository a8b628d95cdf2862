"""Nodes that come, go, are cordoned and drained while viewers watch, on virtual time."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventState
from umbel.compute.model import (
    Description,
    Function,
    Node,
    NodeKind,
    PowerDraw,
    Resources,
    Scheduling,
)
from umbel.compute.service import NodeCordoned, NodeExists, NodeInUse, NoSuchNode, NoSuchPool
from umbel.delivery.model import NodeAvailability
from umbel.delivery.nodes.model import NodeAction, NodeChange
from umbel.delivery.store import NoSuchSession
from umbel.delivery.trees.view import NoCapacity
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
GUEST = Function(
    id="guest-1", node="pe4", description=Description(name="guest", resources=Resources(cores=0.1))
)


async def at(w: World, node: str) -> list[str]:
    return [f.id for f in await w.delivery.functions() if f.node == node]


async def drains(w: World, head: int) -> set[str]:
    return {c.subject for c in await w.system.journal.since(head) if c.kind == "drain"}


async def schedule(
    w: World, node: str, scheduling: Scheduling, within_s: float | None = None
) -> None:
    await w.delivery.nodes.schedule(node, scheduling, by="op", within_s=within_s)


async def state(w: World, node: str) -> NodeAvailability:
    return (await w.delivery.nodes.get(node)).state


async def names(w: World) -> set[str]:
    return {node.name for node in await w.delivery.nodes.list()}


async def until_state(w: World, node: str, wanted: NodeAvailability, *, within_s: float) -> None:
    async def holds() -> bool:
        return await state(w, node) is wanted

    await until(holds, within_s=within_s, why=f"{node} is {wanted.value}")


@scenario
async def test_a_new_node_serves_viewers_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe1")
        made = await w.delivery.nodes.add(NEW, LINKS, by="op")
        assert (made.name, made.state) == ("pe9", NodeAvailability.READY)
        assert await w.delivery.access_node_for("127.0.9.7") == "pe9"
        ticket = await w.watch(event, "pe9")
        assert ticket.session.edge_node == "pe9"
        await w.until_watched(ticket, within_s=20)
        assert "pe9" in w.system.network.operator.inspection.topology().nodes


@scenario
async def test_watts_are_the_operators_own_or_unknown(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        measured = replace(NEW, watts=PowerDraw(idle=6, busy=16))
        assert (await w.delivery.nodes.add(measured, LINKS, by="op")).watts == 6.0
        # By the planner's model an idle node of the paper draws kilowatts.
        assert (await w.delivery.nodes.get("pe1")).watts is None


@scenario
async def test_a_cordoned_node_keeps_its_viewers_and_takes_no_new_ones(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos", owners=("mano",)) as w:
        event = await w.live("pe1")
        first = await w.watch(event, "pe4")
        compute, head = w.system.compute, await w.system.journal.head()
        await schedule(w, "pe4", Scheduling.CORDONED)
        assert await state(w, "pe4") is NodeAvailability.CORDONED
        second = await w.watch(event, "pe4")
        assert (first.session.edge_node, second.session.edge_node != "pe4") == ("pe4", True)
        with pytest.raises(NodeCordoned):
            compute.reserve("mano", [GUEST])
        await asyncio.sleep(30)
        assert await w.arrives(first)
        assert await drains(w, head) == set()
        await schedule(w, "pe4", Scheduling.OPEN)
        assert await state(w, "pe4") is NodeAvailability.READY
        assert (await w.watch(event, "pe4")).session.edge_node == "pe4"
        compute.reserve("mano", [GUEST])


@scenario
async def test_a_drained_node_becomes_empty_without_a_gap_and_is_removed(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe1")
        old = await w.watch(event, "pe4")
        await w.until_watched(old, within_s=20)
        with pytest.raises(NodeInUse, match="drain it first"):
            await w.delivery.nodes.remove("pe4", by="op")
        head = await w.system.journal.head()
        await schedule(w, "pe4", Scheduling.DRAINING)
        assert await state(w, "pe4") is NodeAvailability.DRAINING

        async def is_announced() -> bool:
            return await drains(w, head) == {"pe4"}

        await until(is_announced, within_s=15, why="viewers hear that they should leave")
        new = await w.watch(event, "pe4")  # as the player does: first the new edge, then the old
        assert new.session.edge_node != "pe4"
        await w.until_watched(new, within_s=20)
        assert await w.arrives(old), "the old edge left before the viewer did"
        await w.delivery.close_session(old.session.id)
        await until_state(w, "pe4", NodeAvailability.DRAINED, within_s=60)
        assert await at(w, "pe4") == []
        await w.delivery.nodes.remove("pe4", by="op")
        assert "pe4" not in await names(w)
        assert all("pe4" not in (link.a, link.b) for link in await w.delivery.links())
        assert await w.arrives(new)
        with pytest.raises(NoSuchNode):
            await schedule(w, "pe4", Scheduling.OPEN)


@scenario
async def test_a_drained_core_node_gives_its_forwarder_away(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        await w.until_watched(ticket, within_s=20)
        assert await at(w, "c2") != []
        await schedule(w, "c2", Scheduling.DRAINING)

        async def is_empty() -> bool:
            assert await w.arrives(ticket), "the viewer was cut off"
            return await at(w, "c2") == []

        await until(is_empty, within_s=60, why="the core node is empty")


@scenario
async def test_what_stays_on_a_draining_node_is_ended_at_its_deadline(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos", owners=("mano",)) as w:
        event = await w.live("pe1")
        stays, other = await w.watch(event, "pe4"), await w.watch(event, "pe3")
        for ticket in (stays, other):
            await w.until_watched(ticket, within_s=20)
        compute = w.system.compute
        await compute.ensure("mano", {GUEST.id: GUEST})
        await schedule(w, "pe4", Scheduling.DRAINING, within_s=30)
        await asyncio.sleep(25)
        assert await w.arrives(stays), "it was ended before its time"
        await until_state(w, "pe4", NodeAvailability.DRAINED, within_s=15)
        with pytest.raises(NoSuchSession):
            await w.delivery.session(stays.session.id)
        refused = (await compute.ensure("mano", {GUEST.id: GUEST})).refused
        assert isinstance(refused[GUEST.id], NodeCordoned)
        assert await at(w, "pe4") == []
        assert await w.arrives(other)
        again = await w.watch(event, "pe4")
        assert again.session.edge_node != "pe4"
        await w.until_watched(again, within_s=20)
        await compute.ensure("mano", {})
        await w.delivery.nodes.remove("pe4", by="op")


@scenario
async def test_an_encoder_that_stays_at_the_deadline_publishes_elsewhere(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe2")
        catalogue = w.system.catalogue
        provider = (await catalogue.event(event)).provider_id
        await w.watch(event, "pe4")
        await schedule(w, "pe2", Scheduling.DRAINING, within_s=0)
        await until_state(w, "pe2", NodeAvailability.DRAINED, within_s=15)
        await w.until_state(event, EventState.OPEN)
        with pytest.raises(NoCapacity):
            await w.delivery.open_ingest(event)
        with pytest.raises(NodeInUse, match="publishes at pe2"):
            await w.delivery.nodes.remove("pe2", by="op")
        await catalogue.change_provider(provider, access_node="pe3")
        await w.delivery.nodes.remove("pe2", by="op")
        point = await w.delivery.open_ingest(event)
        assert point.node == "pe3"
        w.media.publish(point.function, event)
        await w.until_watched(await w.watch(event, "pe4"), within_s=20)


@scenario
async def test_a_node_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        nodes = w.delivery.nodes
        with pytest.raises(Unprocessable):
            await nodes.add(NEW, [], by="op")
        with pytest.raises(Unprocessable):
            await nodes.add(NEW, [Link(a="pe9", b="nowhere")], by="op")
        with pytest.raises(Unprocessable):
            await nodes.add(NEW, [LINKS[0], LINKS[0]], by="op")
        with pytest.raises(NoSuchPool):
            await nodes.add(replace(NEW, pool="clouds"), LINKS, by="op")
        with pytest.raises(NodeExists):
            await nodes.add(replace(NEW, address="127.0.1.1"), LINKS, by="op")
        assert "pe9" not in await names(w)
        assert all("pe9" not in (link.a, link.b) for link in await w.delivery.links())
        with pytest.raises(NodeInUse, match="default access"):
            await nodes.remove(w.delivery.default_access_node, by="op")
        await nodes.add(NEW, LINKS, by="op")
        with pytest.raises(NodeExists):
            await nodes.add(NEW, LINKS, by="op")
        await nodes.remove("pe9", by="op")
        assert "pe9" not in await names(w)


@scenario
async def test_a_restart_changes_no_node(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe1")
        nodes = w.delivery.nodes
        await nodes.add(NEW, LINKS, by="op")
        await nodes.remove("pe5", by="op")
        await schedule(w, "pe3", Scheduling.CORDONED)
        await schedule(w, "pe4", Scheduling.DRAINING, within_s=3600)
        ticket = await w.watch(event, "pe9")
        await w.until_watched(ticket, within_s=20)
        before = [(n.name, n.state, n.evict_at_s) for n in await nodes.list()]
        topology = w.system.network.operator.inspection.topology()
        await w.crash()
        await w.start()
        assert await w.arrives(ticket)
        after = [(n.name, n.state, n.evict_at_s) for n in await w.delivery.nodes.list()]
        assert after == before
        assert w.system.network.operator.inspection.topology() == topology
        assert w.spawned == sorted(set(w.spawned), key=w.spawned.index), "a function started twice"


@scenario
async def test_a_second_instance_sees_what_the_first_one_changes(tmp_path: Path) -> None:
    async with world(tmp_path / "a", policy="qos") as w:
        url = w.system.settings.database
        other = World(
            folder=tmp_path / "b",
            policy="qos",
            clock=w.clock,
            media=w.media,
            settings={"database_url": url},
        )
        other.vim = w.vim
        await other.start()
        try:
            event = await w.live("pe1")
            await w.delivery.nodes.add(NEW, LINKS, by="op")
            await schedule(w, "pe4", Scheduling.CORDONED)

            async def sees() -> bool:
                known = "pe9" in await names(other)
                return known and await state(other, "pe4") is NodeAvailability.CORDONED

            await until(sees, within_s=5, why="the second instance knows the nodes")
            assert (await other.watch(event, "pe9")).session.edge_node == "pe9"
            assert (await other.watch(event, "pe4")).session.edge_node != "pe4"
            await other.delivery.nodes.remove("pe5", by="op")

            async def is_gone() -> bool:
                return "pe5" not in await names(w)

            await until(is_gone, within_s=5, why="the first instance knows, too")
            with pytest.raises(NodeExists):
                await other.delivery.nodes.add(NEW, LINKS, by="op")
        finally:
            await other.stop()


@scenario
async def test_no_tree_is_stored_on_a_node_that_another_instance_removed(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w:
        event = await w.live("pe1")
        nodes = w.delivery.nodes
        # The other instance's change is stored, and this one has not read it yet.
        await nodes.store.change(
            lambda had: replace(had.get("pe4", _gone("pe4")), removed=True),
            NodeAction.REMOVED,
            by="op",
            at_s=w.clock.now_s(),
        )
        with pytest.raises(NoSuchNode):
            await w.watch(event, "pe4")
        branches = (await w.delivery.tree(event)).branches
        assert [branch.node for branch in branches] == ["pe1"]
        assert "pe4" not in await names(w)


def _gone(name: str) -> NodeChange:
    return NodeChange(name=name, removed=True)
