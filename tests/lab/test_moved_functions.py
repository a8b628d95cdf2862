"""A function of a testbed that moves while a client talks to it: `umbel serve` whole, by REST."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import edge_lab, overlay_lab, ovs
from support.served_lab import Platform, platform
from support.testbed import Testbed
from support.waiting import until

ABSENT = ovs.absent("curl")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
FN, MAC = "10.202.1.20", "02:00:00:00:01:14"


@pytest.fixture
async def bed(three_nodes: Testbed) -> AsyncIterator[Testbed]:
    try:
        yield three_nodes
    finally:
        for node in three_nodes.nodes.values():
            node.run("ovs-vsctl", "--if-exists", "del-port", "br0", "tofn")
        await overlay_lab.bare(three_nodes)


@pytest.fixture
def function(bed: Testbed) -> Iterator[str]:
    """Its namespace. It answers as `cache`."""
    space = f"{bed.name}-fn"
    with ovs.network_namespace(space), edge_lab.answering(space, "cache,,80"):
        yield space


def plug(bed: Testbed, function: str, node: str) -> None:
    """As whoever runs functions would: it has a cable to that node's br0 alone."""
    edge_lab.unplug(function)
    for other in bed.nodes.values():
        other.run("ovs-vsctl", "--if-exists", "del-port", "br0", "tofn")
    edge_lab.plug(bed.nodes[node].namespace, "tofn", function, MAC, f"{FN}/24", "10.202.1.1")
    bed.nodes[node].run("ovs-vsctl", "add-port", "br0", "tofn")


async def way(umbel: Platform) -> tuple[list[str], str]:
    (told,) = await umbel.ask("GET", "/bindings")
    return told["path"], told["error"]


async def test_a_function_moves_on_and_around_a_dead_link_while_it_is_talked_to(
    bed: Testbed, function: str, tmp_path: Path
) -> None:
    client = bed.hosts["hb"]
    expected = f"cache {client.address.partition('/')[0]} {FN}"
    move = {"address": FN, "mac": MAC, "home_node": "a"}
    async with platform(bed, tmp_path) as umbel:
        await asyncio.to_thread(plug, bed, function, "a")
        with edge_lab.talking(client.namespace, FN) as talk:

            async def said() -> str:
                return await asyncio.to_thread(talk.get)

            assert await said() == expected
            await asyncio.to_thread(plug, bed, function, "c")
            told = await umbel.ask("PUT", "/bindings/cache", json={**move, "foreign_node": "c"})
            assert (told["path"], told["error"]) == (["a", "c"], "")
            assert await said() == expected
            with overlay_lab.cut(bed, ("a", "c")):

                async def is_around() -> bool:
                    return await way(umbel) == (["a", "b", "c"], "")

                await until(is_around, within_s=30)
                assert await said() == expected
                await asyncio.to_thread(plug, bed, function, "b")
                told = await umbel.ask("PUT", "/bindings/cache", json={**move, "foreign_node": "b"})
                assert told["path"] == ["a", "b"]
                assert await said() == expected
            await asyncio.to_thread(plug, bed, function, "a")
            await umbel.ask("DELETE", "/bindings/cache")
            assert await said() == expected
        assert await umbel.ask("GET", "/bindings") == []
