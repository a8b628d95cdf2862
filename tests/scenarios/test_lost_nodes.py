"""A node that does not answer, with all that runs there, on fakes and virtual time."""

import asyncio
from pathlib import Path

from support.virtual import scenario, until
from support.world import World, world
from umbel.delivery.model import NodeAvailability, Tree
from umbel.delivery.prepared.model import Prepared


async def node_of(w: World, event: str, role: str) -> list[str]:
    tree: Tree = await w.delivery.tree(event)
    return [one.node for one in tree.branches if one.role == role]


def lose(w: World, node: str) -> None:
    """The machine is away: neither its VIM nor its functions are reached. They run on, unseen."""
    w.vim.cut_off(node)
    for id_, instance in w.vim.instances().items():
        if instance.node == node:
            w.media.cut(id_)


def find(w: World, node: str) -> None:
    w.vim.reconnect(node)
    for id_, instance in w.vim.instances().items():
        if instance.node == node:
            w.media.mend(id_)


@scenario
async def test_what_ran_on_a_lost_node_is_started_elsewhere_and_its_copies_are_ended(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        first = await w.watch(event, "pe2")
        assert first.session.edge_node == "pe2"
        await w.until_watched(first, within_s=30)
        await w.system.prepared.set(Prepared(node="pe3", edges=1), by="anna")
        await w.until_functions(*w.states(), "edge-pe3-1")
        lose(w, "pe2")
        began_s = w.clock.monotonic_s()

        async def is_served_elsewhere() -> bool:
            ticket = await w.delivery.open_session(event, "pe2")
            await w.connect(ticket)
            return ticket.session.edge_node != "pe2" and await w.arrives(ticket)

        await until(is_served_elsewhere, within_s=30, why="a viewer is served elsewhere")
        assert w.clock.monotonic_s() - began_s < 5.0
        assert "pe2" not in await node_of(w, event, "edge")
        assert "edge-pe2-1" in w.states()  # nobody reaches it: it may still run
        find(w, "pe2")

        async def is_fenced() -> bool:
            return "edge-pe2-1" not in w.states()

        await until(is_fenced, within_s=30, why="the copy that was left there is ended")

        async def is_used_again() -> bool:
            return (await w.system.nodes.get("pe2")).state is NodeAvailability.READY

        await until(is_used_again, within_s=30, why="the node is used again")


@scenario
async def test_a_node_whose_functions_answer_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        first = await w.watch(event, "pe2")
        await w.until_watched(first, within_s=30)
        w.vim.cut_off("pe2")  # its management is away, and nothing else
        await asyncio.sleep(10)
        assert await w.arrives(first)
        assert await node_of(w, event, "edge") == ["pe2"]
        w.vim.reconnect("pe2")
        await asyncio.sleep(5)
        assert await w.arrives(first)
        assert w.spawned.count("edge-pe2-1") == 1


@scenario
async def test_a_node_whose_functions_are_silent_for_a_moment_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        first = await w.watch(event, "pe2")
        await w.until_watched(first, within_s=30)
        for id_ in [one for one in w.states() if "-pe2-" in one]:
            w.media.cut(id_)  # its VIM sees that it runs
        await asyncio.sleep(10)
        assert await node_of(w, event, "edge") == ["pe2"]
