"""Nodes that come and go where switches carry the streams: their ways follow. The whole platform,
with switches in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from support import added_switch
from support.added_switch import ALL, C9, PE9
from support.overlaid import TERMS, Overlaid, overlaid
from support.overlay_run import DRAWING, wires
from support.switchboard import MemoryBridges
from support.switchboard import World as Wires
from support.virtual import scenario, until
from umbel.compute.model import Node, NodeKind, Scheduling
from umbel.delivery.model import Ticket
from umbel.delivery.nodes.rules import InvalidLinks
from umbel.kit.clock import LoopClock
from umbel.kit.errors import Unavailable
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.model import Endpoint, Link
from umbel.network.service import InvalidSite, NoSwitch
from umbel.network.switching.program import Program
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
async def test_a_node_without_a_switch_is_refused(tmp_path: Path) -> None:
    async with overlaid(tmp_path) as over:
        await over.fabric.start()
        nodes = over.platform.delivery.nodes
        new = Node(name="pe9", kind=NodeKind.PROVIDER_EDGE, address="127.0.9.1")
        with pytest.raises(NoSwitch, match="a switch for pe9"):
            await nodes.add(new, [Link(a="pe9", b="c1")], by="op")
        await nodes.remove("pe4", by="op")
        with pytest.raises(InvalidSite) as refused:
            await nodes.add(PE4, [Link(a="pe4", b="c1")], by="op")
        assert refused.value.details["problems"] == [
            "link to c1: local.underlay: pe4 needs an address there",
            "link to c1: remote.underlay: c1 needs an address there",
        ]
        assert "pe4" not in {node.name for node in await nodes.list()}


class Watched(Wires):
    """Counts what comes at pe2 of a stream, once after each change of a tunnel."""

    to: Endpoint | None = None

    def __init__(self) -> None:
        super().__init__(ALL)
        self.came: list[int] = []

    def port_map(self, node: str, near: Sequence[str]) -> None:
        before = dict(self.wired[node])
        super().port_map(node, near)
        if self.to is not None and self.wired[node] != before:
            got, _ = self.send("pe1", self.to)
            self.came.append(got.total())


@asynccontextmanager
async def growing(folder: Path, wires: Wires | None = None) -> AsyncIterator[Overlaid]:
    """The network file describes neither pe9's switch nor c9's."""
    wires = wires or added_switch.wires()
    async with overlaid(folder, wires, added_switch.known(), policy="qos") as over:
        await over.fabric.start()
        yield over


async def add(over: Overlaid, node: Node) -> None:
    name = node.name
    added = (added_switch.links(name), added_switch.site(name))
    await over.platform.delivery.nodes.add(node, *added, by="op")


async def until_cleaned(over: Overlaid, name: str) -> None:
    """Until no bridges of the node's are known to be left."""
    store = over.platform.delivery.nodes.store

    async def holds() -> bool:
        return (await store.all())[name].site.site is None

    await until(holds, within_s=200, why=f"the bridges of {name} are removed")


def held(over: Overlaid) -> dict[str, Program]:
    return {name: switch.program for name, switch in over.wires.net.switches.items()}


@scenario
async def test_a_node_with_a_new_switch_is_served_there_and_leaves_nothing(tmp_path: Path) -> None:
    async with growing(tmp_path) as over:
        w, nodes = over.platform, over.platform.delivery.nodes
        event = await w.live("pe1")
        before, tunnels, sites = held(over), wires(over.wires), dict(over.fabric.sites)
        assert before["pe9"] == Program()
        for _ in range(2):
            await add(over, PE9)
            ticket = await w.watch(event, "pe9")
            assert ticket.session.edge_node == "pe9"
            await until_used(over, ticket, ("pe1", "c1"), ("c1", "pe9"))
            stream = over.fabric.stream(ticket.session.stream)
            to = Endpoint(node="pe9", address=stream.target, port=stream.port)
            got, _ = over.wires.send("pe1", to)
            assert {node for node, _, _ in got} == {"pe9"}
            await nodes.schedule("pe9", Scheduling.DRAINING, by="op", within_s=0)
            await w.until_functions("acquirer-pe1-1")
            await nodes.remove("pe9", by="op")
            await until_cleaned(over, "pe9")
            assert (held(over), wires(over.wires)) == (before, tunnels)
            assert dict(over.fabric.sites) == sites
        assert over.wires.removed == [ALL["pe9"], ALL["pe9"]]
        assert [c.body["what"] for c in await w.system.journal.since(0) if c.kind == "node"] == [
            *("added", "draining", "removed", "switch-removed"),
            *("added", "draining", "removed", "switch-removed"),
        ]


@scenario
async def test_streams_go_through_a_new_switch_and_around_it_when_it_goes(tmp_path: Path) -> None:
    watched = Watched()
    async with growing(tmp_path, watched) as over:
        w = over.platform
        ticket = await w.watch(await w.live("pe1"), "pe2")
        await until_used(over, ticket, ("pe1", "c1"), ("c1", "pe2"))
        await add(over, C9)
        over.wires.lose("c1", "pe2")
        await until_used(over, ticket, ("pe1", "c1"), ("c1", "c9"), ("c9", "pe2"))
        over.wires.restore("c1", "pe2")
        await asyncio.sleep(10)
        stream = over.fabric.stream(ticket.session.stream)
        watched.to = Endpoint(node="pe2", address=stream.target, port=stream.port)
        assert watched.send("pe1", watched.to)[0].total() == 1
        await w.delivery.nodes.remove("c9", by="op")
        assert await used(over, ticket) == {frozenset(("pe1", "c1")), frozenset(("c1", "pe2"))}
        await until_cleaned(over, "c9")
        assert set(watched.came) == {1}, "tunnels went before the stream went around them"
        assert not [link for link in wires(over.wires) if "c9" in link]


@scenario
async def test_a_switch_whose_database_does_not_answer_is_refused(tmp_path: Path) -> None:
    async with growing(tmp_path) as over:
        over.wires.deaf["pe9"] = Unavailable("its database does not answer")
        with pytest.raises(Unavailable, match="database"):
            await add(over, PE9)
        assert "pe9" not in {node.name for node in await over.platform.delivery.nodes.list()}
        assert "pe9" not in over.fabric.sites
        with pytest.raises(InvalidLinks):  # what is wrong with the request is said first
            links = [Link(a="pe9", b="nowhere")]
            await over.platform.delivery.nodes.add(PE9, links, added_switch.site("pe9"), by="op")


@scenario
async def test_a_restart_does_not_interrupt_a_stream_at_a_new_switch(tmp_path: Path) -> None:
    async with growing(tmp_path) as over:
        w = over.platform
        await add(over, PE9)
        ticket = await w.watch(await w.live("pe1"), "pe9")
        await until_used(over, ticket, ("pe1", "c1"), ("c1", "pe9"))
        stream = over.fabric.stream(ticket.session.stream)
        to = Endpoint(node="pe9", address=stream.target, port=stream.port)
        await over.fabric.close()
        await w.crash()
        again = OpenFlowFabric(
            added_switch.known(),
            DRAWING,
            MemoryBridges(over.wires),
            over.wires.board,
            replace(TERMS, adopt_s=30.0),
            LoopClock(),
        )

        async def arrives() -> None:
            for _ in range(400):
                await asyncio.sleep(0.1)
                got, _ = over.wires.send("pe1", to)
                assert {node for node, _, _ in got} == {"pe9"}

        async def connect() -> None:
            await again.start()
            looks.append(asyncio.create_task(arrives()))
            await asyncio.sleep(1)  # a machine that is busy takes so long to do the rest

        looks: list[asyncio.Task[None]] = []
        w.fabric, w.switches, w.connect_switches = again, again, connect
        await w.start()
        try:
            await looks[0]
            assert again.overlay.has("pe9")
        finally:
            await again.close()


@scenario
async def test_a_second_control_plane_knows_the_new_switch(tmp_path: Path) -> None:
    async with growing(tmp_path) as over:
        await add(over, PE9)
        known, wired = added_switch.known(), added_switch.wires()
        async with overlaid(tmp_path, wired, known, policy="qos") as other:
            assert known["pe9"] == ALL["pe9"]
            assert known["c1"].underlay["pe9"] == ALL["c1"].underlay["pe9"]
            await other.fabric.start()
            await over.platform.delivery.nodes.remove("pe9", by="op")

            async def is_forgotten() -> bool:
                return "pe9" not in known and "pe9" not in known["c1"].underlay

            await until(is_forgotten, within_s=5, why="the other control plane forgets the switch")
            await add(other, PE9)

            async def is_known() -> bool:
                return over.fabric.sites.get("pe9") == ALL["pe9"]

            await until(is_known, within_s=5, why="the first control plane knows it again")


@scenario
async def test_bridges_of_a_switch_that_is_away_are_removed_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with growing(tmp_path) as over:
        w = over.platform
        await add(over, PE9)
        over.wires.deaf["pe9"] = Unavailable("its database does not answer")
        await w.delivery.nodes.remove("pe9", by="op")
        assert not [link for link in wires(over.wires) if link[0] == "c1" and link[1] == "pe9"]
        await asyncio.sleep(30)
        await w.crash()
        await w.start()
        assert over.wires.removed == []
        del over.wires.deaf["pe9"]
        await until_cleaned(over, "pe9")
        assert over.wires.removed == [ALL["pe9"]]


@scenario
@pytest.mark.parametrize("is_away", [True, False])
async def test_a_switch_that_comes_again_is_not_removed(tmp_path: Path, *, is_away: bool) -> None:
    async with growing(tmp_path) as over:
        w = over.platform
        await add(over, PE9)
        over.wires.removable.clear()
        if is_away:
            over.wires.deaf["pe9"] = Unavailable("its database does not answer")
        await w.delivery.nodes.remove("pe9", by="op")
        await asyncio.sleep(10)
        over.wires.deaf.clear()
        await add(over, PE9)  # while they are removed, or before they are tried again
        ticket = await w.watch(await w.live("pe1"), "pe9")
        await until_used(over, ticket, ("pe1", "c1"), ("c1", "pe9"))
        over.wires.removable.set()
        await asyncio.sleep(200)
        assert over.wires.removed == []
