"""Room that waits for expected viewers is taken by who is there, on fakes and virtual time."""

import asyncio
from pathlib import Path

from support.expecting import edges, narrow, on_air, platform, scheduled, until_edges
from support.virtual import scenario, until
from support.world import world
from umbel.delivery.loop.ahead import YIELD_S
from umbel.delivery.prepared.model import Prepared


@scenario
async def test_a_viewer_who_is_there_comes_before_one_who_is_expected(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        live = await w.live()
        reserved = await scheduled(w, after_s=40, nodes=("pe2",), tag="b")
        await until_edges(w, "edge-pe2-1", within_s=20)
        controller = w.delivery.controller
        assert await controller.make_way(reserved, "pe2") is False  # nothing waits for others
        assert await controller.make_way(live, "pe2") is True
        assert edges(w) == []
        await asyncio.sleep(YIELD_S / 2)
        assert edges(w) == []
        await until_edges(w, "edge-pe2-1", within_s=YIELD_S)


@scenario
async def test_no_viewer_is_refused_for_one_who_is_expected(tmp_path: Path) -> None:
    async with world(tmp_path, **narrow(tmp_path)) as w:
        reserved = await scheduled(w, after_s=40, nodes=("pe1",), at="c1")
        await until_edges(w, "edge-pe1-1", within_s=20)
        await on_air(w, reserved)
        await asyncio.sleep(5)
        assert [b.node for b in (await w.delivery.tree(reserved)).branches] == ["c1", "pe1"]
        live = await w.live("c1")
        ticket = await w.watch(live, "pe1")
        await w.until_watched(ticket, within_s=10)
        assert [b.node for b in (await w.delivery.tree(reserved)).branches] == ["c1"]


@scenario
async def test_room_of_a_tree_that_was_just_stored_is_given_too(tmp_path: Path) -> None:
    async with world(tmp_path, **narrow(tmp_path)) as w:
        reserved = await scheduled(w, after_s=40, nodes=("pe1",), at="c1")
        live = await w.live("c1")
        await until_edges(w, "edge-pe1-1", within_s=20)
        await on_air(w, reserved)

        async def has_its_edge() -> bool:
            return [b.node for b in (await w.delivery.tree(reserved)).branches] == ["c1", "pe1"]

        await until(has_its_edge, within_s=10, why="the tree has the edge that waited")
        ticket = await w.watch(live, "pe1")
        await w.until_watched(ticket, within_s=10)


@scenario
async def test_who_comes_while_room_is_given_waits_for_it(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        live = await w.live()
        await scheduled(w, after_s=40, nodes=("pe2",), tag="b")
        await until_edges(w, "edge-pe2-1", within_s=20)
        controller = w.delivery.controller
        first = asyncio.create_task(controller.make_way(live, "pe2"))
        while controller.ahead.waiting_at("pe2"):
            await asyncio.sleep(0)
        assert edges(w) == ["edge-pe2-1"]
        assert await controller.make_way(live, "pe2") is True
        assert edges(w) == []
        assert await first is True
        assert await controller.make_way(live, "pe2") is False


@scenario
async def test_only_the_node_whose_room_is_needed_is_given(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        live = await w.live()
        await scheduled(w, after_s=40, nodes=("pe2", "pe4"))
        await until_edges(w, "edge-pe2-1", "edge-pe4-1", within_s=20)
        controller = w.delivery.controller
        assert await controller.make_way(live, "c1", is_bound=True) is False  # no edge is there
        assert await controller.make_way(live, "pe4") is True
        assert edges(w) == ["edge-pe2-1"]
        await asyncio.sleep(YIELD_S / 2)
        assert edges(w) == ["edge-pe2-1"]
        assert await controller.make_way(live, "pe4", every=True) is True
        assert edges(w) == []


@scenario
async def test_what_an_operator_wants_in_advance_is_not_waited_for(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        live = await w.live()
        await w.system.prepared.set(Prepared(node="pe2", edges=1), by="anna")
        await scheduled(w, after_s=40, nodes=("pe2",))
        await until_edges(w, "edge-pe2-1", within_s=20)
        await asyncio.sleep(15)
        began_s = w.clock.monotonic_s()
        assert await w.delivery.controller.make_way(live, "pe2") is True
        assert w.clock.monotonic_s() - began_s < 1
        assert edges(w) == ["edge-pe2-1"]


@scenario
async def test_viewers_of_others_find_room_elsewhere_first(tmp_path: Path) -> None:
    options = narrow(tmp_path, node_mbps=9, link_mbps=100, more=("pe2",))
    async with world(tmp_path, policy="qos", **options) as w:
        await scheduled(w, after_s=40, nodes=("pe1",) * 8, at="c1")  # three are expected
        await until_edges(w, "edge-pe1-1", within_s=20)
        live = await w.live("c1")
        await asyncio.sleep(2)
        served = []
        for _ in range(5):
            ticket = await w.watch(live, "pe1")
            served.append(ticket.session.edge_node)
        fit = served.count("pe2")
        assert fit >= 3
        assert served == ["pe2"] * fit + ["pe1"] * (5 - fit)
        assert fit < 5


@scenario
async def test_an_encoder_gets_the_room_of_what_waits(tmp_path: Path) -> None:
    async with world(tmp_path, **narrow(tmp_path)) as w:
        await scheduled(w, after_s=40, nodes=("pe1",), at="c1")
        await until_edges(w, "edge-pe1-1", within_s=20)
        w.vim.set_load("edge-pe1-1", cpu_cores=0.01, rss_mb=100.0)
        await asyncio.sleep(2)
        await w.live("pe1")
        assert edges(w) == []
