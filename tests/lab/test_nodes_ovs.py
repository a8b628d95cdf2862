"""A node comes over REST with a real switch that the network file does not describe, while a
stream runs: it carries the stream, and goes without a trace."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import overlay_lab, served_lab, testbed
from support.overlay_lab import dumped, groups
from support.overlay_traffic import Taker, came, sending, taking
from support.served_lab import Platform
from support.testbed import Testbed
from support.waiting import until
from umbel.network.model import Endpoint, Hop

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
]

NEW = "c"
RATE = 200.0
NOTICED_S = 3 * overlay_lab.PATIENT_BFD_MS / 1000
"""Switches notice no dead tunnel sooner (BFD): what was rerouted before is not interrupted for as
long."""


@pytest.fixture
async def bed(three_nodes: Testbed) -> AsyncIterator[Testbed]:
    try:
        yield three_nodes
    finally:
        await overlay_lab.bare(three_nodes)


@pytest.fixture
async def umbel(bed: Testbed, tmp_path: Path) -> AsyncIterator[Platform]:
    """The network file knows nothing of the node that comes."""
    file = tmp_path / "network.yaml"
    file.write_text(yaml.safe_dump(without_the_new_one(bed.document)))
    bfd_ms = overlay_lab.PATIENT_BFD_MS
    async with served_lab.platform(bed, tmp_path, network_file=file, bfd_ms=bfd_ms) as made:
        yield made


def without_the_new_one(document: Mapping[str, Any]) -> dict[str, Any]:
    sites = [
        {
            key: {k: v for k, v in part.items() if k != NEW} if isinstance(part, dict) else part
            for key, part in site.items()
        }
        for site in document["sites"]
        if site["node"] != NEW
    ]
    return {
        **document,
        "nodes": [one for one in document["nodes"] if one["name"] != NEW],
        "links": [one for one in document["links"] if NEW not in {one["a"], one["b"]}],
        "hosts": [one for one in document["hosts"] if one["node"] != NEW],
        "sites": sites,
    }


def given(bed: Testbed) -> dict[str, Any]:
    """The node with its switch, as an operator describes it."""
    site = bed.nodes[NEW].site

    def end(node: str, near: str) -> dict[str, str]:
        of = bed.nodes[node].site
        return {"underlay": of.underlay[near], "cable": of.cables[near], "queue": of.queues[near]}

    return {
        "name": NEW,
        "kind": "core",
        "address": bed.nodes[NEW].management,
        "site": {
            "ovsdb": site.ovsdb,
            "datapath_id": f"{site.datapath_id:#x}",
            "gateway": site.gateway,
            "hosts": list(site.hosts),
        },
        "links": [
            {"to": near, "local": end(NEW, near), "remote": end(near, NEW)} for near in ("a", "b")
        ],
    }


def has(bed: Testbed, node: str) -> dict[str, list[str]]:
    """The ports of each bridge of a node's switch."""
    switch = bed.nodes[node]
    names = switch.run("ovs-vsctl", "list-br").split()
    return {name: switch.run("ovs-vsctl", "list-ports", name).split() for name in names}


def routes(bed: Testbed, node: str) -> list[str]:
    return sorted(bed.nodes[node].run("ip", "route", "show", "table", "203").splitlines())


def all_of(bed: Testbed, *nodes: str) -> object:
    """What the switches of the nodes have and hold, and the nodes' own routes over their links."""
    return {n: (has(bed, n), dumped(bed, n), groups(bed, n), routes(bed, n)) for n in nodes}


async def carry(umbel: Platform, *takers: Taker) -> Endpoint:
    hops = [Hop(source_node="a", target=taker.end) for taker in takers]
    return next(iter((await umbel.system.network.overlay.ensure("ev1", hops)).values()))


async def until_over(umbel: Platform, *links: tuple[str, str]) -> None:
    async def used() -> set[tuple[str, ...]]:
        return {*map(tuple, umbel.system.network.operator.inspection.links_of("ev1"))}

    await until(used, lambda found: found == {*links}, within_s=60)


async def ask(umbel: Platform, method: str, path: str, status: int, **more: Any) -> Any:
    answer = await umbel.operator.request(method, f"/api/v1/nodes{path}", **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def up(umbel: Platform, a: str, b: str) -> None:
    """The link is up, as the control plane knows."""

    async def state() -> list[str]:
        links = await umbel.ask("GET", "/links")
        return [one["state"] for one in links if {one["a"], one["b"]} == {a, b}]

    await until(state, lambda found: found == ["up"], within_s=60)


async def newer(taker: Taker, took: Counter[int]) -> int:
    """Wait for more datagrams, which join those it took. Returns the newest."""
    took.update(await came(taker, max(took, default=0) + int(RATE / 4)))
    return max(took)


def gap_s(took: Counter[int], first: int, last: int) -> float:
    """For how long nothing arrived between the two datagrams, at most."""
    came_in_order = sorted(number for number in took if first <= number <= last)
    return max(b - a for a, b in pairwise(came_in_order)) / RATE


async def test_a_node_with_a_new_switch_comes_and_goes_under_a_stream(
    bed: Testbed, umbel: Platform
) -> None:
    with taking(bed, "b", NEW) as (at_b, at_new):
        to = await carry(umbel, at_b)
        await until_over(umbel, ("a", "b"))
        await up(umbel, "a", "b")
        before, took = all_of(bed, "a", "b"), Counter[int]()
        assert has(bed, NEW) == {}
        with sending(bed, "a", to, rate=RATE) as sender:
            sender.begin()
            first = await newer(at_b, took)
            await ask(umbel, "POST", "", 201, json=given(bed))
            await carry(umbel, at_b, at_new)
            await came(at_new)
            await up(umbel, "a", NEW)
            await up(umbel, "b", NEW)
            added = await newer(at_b, took)
            assert gap_s(took, first, added) < NOTICED_S

            with overlay_lab.cut(bed, ("a", "b")):
                await until_over(umbel, ("a", NEW), (NEW, "b"))
                await newer(at_b, took)
            await up(umbel, "a", "b")
            await carry(umbel, at_b)
            await until_over(umbel, ("a", NEW), (NEW, "b"))  # what is back moves nothing
            through = await newer(at_b, took)

            await ask(umbel, "DELETE", f"/{NEW}", 204)
            await until_over(umbel, ("a", "b"))
            removed = await newer(at_b, took)
            assert gap_s(took, through, removed) < NOTICED_S

            async def left() -> object:
                return await asyncio.to_thread(has, bed, NEW)

            await until(left, lambda found: found == {}, within_s=60)
            assert all_of(bed, "a", "b") == before
            await sender.stop()
