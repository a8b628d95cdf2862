"""Events with expected viewers, on fakes and virtual time, where a boot takes a second: edges are
there before the start, wait for a while, and go; whatever dies, moves or is cancelled."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from support.expecting import (
    GRACE_S,
    LEAD_S,
    SETTINGS,
    edges,
    narrow,
    on_air,
    platform,
    scheduled,
    until_edges,
)
from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent, EventPatch
from umbel.catalogue.service_levels.model import MOST_VIEWERS, ServiceLevel
from umbel.delivery.policy import service_levels
from umbel.delivery.policy.service_levels import Claim
from umbel.delivery.trees.view import EDGE

POLICIES = ("sls", "consolidation", "qos", "virca")


@pytest.mark.parametrize("policy", POLICIES)
@scenario
async def test_edges_wait_before_the_start_and_go_after_the_grace(
    tmp_path: Path, policy: str
) -> None:
    async with platform(tmp_path, policy=policy) as w:
        event = await scheduled(w, after_s=200, nodes=("pe2",) * 3)
        starts_s = (await w.system.catalogue.event(event)).starts_s
        await asyncio.sleep(starts_s - LEAD_S - 5 - w.clock.now_s())
        assert edges(w) == []
        await until_edges(w, "edge-pe2-1", within_s=10)
        # Before the provider comes, then with a tree: the same edge, watched by nobody.
        await on_air(w, event)
        await asyncio.sleep(5)
        before = await w.delivery.tree(event)
        await asyncio.sleep(GRACE_S / 2)
        assert edges(w) == ["edge-pe2-1"]
        tree = await w.delivery.tree(event)
        assert (tree, tree.version) == (before, before.version)  # kept, not made again and again
        assert [b.function for b in tree.branches if b.role == EDGE] == ["edge-pe2-1"]
        assert w.spawned.count("edge-pe2-1") == 1
        await asyncio.sleep(starts_s + GRACE_S - 5 - w.clock.now_s())
        assert edges(w) == ["edge-pe2-1"]
        await until_edges(w, within_s=5 + w.timing.linger_s + 10)


@scenario
async def test_the_first_viewer_of_a_reserved_event_finds_its_edge(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        event = await scheduled(w, after_s=40, nodes=("pe2", "pe4"))
        await until_edges(w, "edge-pe2-1", "edge-pe4-1", within_s=20)
        await asyncio.sleep(5)
        await on_air(w, event)
        await asyncio.sleep(3)
        began_s = w.clock.monotonic_s()
        ticket = await w.watch(event, "pe4")
        await w.until_watched(ticket, within_s=5)
        assert ticket.session.function == "edge-pe4-1"
        assert w.clock.monotonic_s() - began_s < 0.2
        # Who came is not waited for any more; who did not, is, until the grace is over.
        await asyncio.sleep(40 + GRACE_S + w.timing.linger_s + 10)
        await w.connect(ticket)
        assert edges(w) == ["edge-pe4-1"]


@scenario
async def test_another_control_plane_keeps_what_waits(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        event = await scheduled(w, after_s=50, nodes=("pe2", "pe4"))
        await until_edges(w, "edge-pe2-1", "edge-pe4-1", within_s=20)
        await w.crash()
        await w.start()
        await asyncio.sleep(5)
        await on_air(w, event)
        await asyncio.sleep(5)
        await w.crash()
        await asyncio.sleep(5)
        await w.start()
        await asyncio.sleep(20)
        assert edges(w) == ["edge-pe2-1", "edge-pe4-1"]
        started = [name for name in w.spawned if name.startswith(EDGE)]
        assert sorted(started) == ["edge-pe2-1", "edge-pe4-1"]
        await w.kill("edge-pe2-1")
        await until_edges(w, "edge-pe2-1", "edge-pe4-1", within_s=30)


@scenario
async def test_what_is_cancelled_or_moved_is_given_up(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        catalogue = w.system.catalogue
        one = await scheduled(w, after_s=50, nodes=("pe2",))
        two = await scheduled(w, after_s=50, nodes=("pe4",), tag="b")
        await until_edges(w, "edge-pe2-1", "edge-pe4-1", within_s=20)
        await catalogue.transition(one, EventEvent.CANCEL)
        await until_edges(w, "edge-pe4-1", within_s=5)
        event = await catalogue.event(two)
        patch = EventPatch(starts_s=event.starts_s + 600, ends_s=event.ends_s + 600)
        moved = await catalogue.change_event(two, event.version, patch)
        await until_edges(w, within_s=5)
        await asyncio.sleep(moved.starts_s - LEAD_S - 5 - w.clock.now_s())
        assert edges(w) == []
        await until_edges(w, "edge-pe4-1", within_s=15)


@scenario
async def test_the_prediction_of_before_the_start_is_kept(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        catalogue = w.system.catalogue
        event = await catalogue.event(await scheduled(w, after_s=30, nodes=("pe2",) * 5))
        soon = await w.system.demand.of(event)
        assert soon.prediction is not None
        assert soon.prediction.viewers == pytest.approx({"pe2": 3.0})
        await asyncio.sleep(40)
        await on_air(w, event.id)
        ticket = await w.watch(event.id, "pe2")
        later = await w.system.demand.of(await catalogue.event(event.id))
        assert later.prediction is not None
        assert later.prediction.made_s < event.starts_s
        assert later.prediction.viewers == pytest.approx({"pe2": 3.0})
        assert later.present == {"pe2": 1}
        await w.delivery.close_session(ticket.session.id)
        await catalogue.transition(event.id, EventEvent.END)
        over = await w.system.demand.of(await catalogue.event(event.id))
        assert over.prediction == later.prediction


@scenario
async def test_a_reservation_that_became_a_session_is_not_counted_twice(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        event = await scheduled(w, after_s=40, nodes=("pe2",) * 12)  # four are expected
        ahead, claim = w.delivery.controller.ahead, Claim(provider_id="another")
        await until_edges(w, "edge-pe2-1", within_s=20)
        await on_air(w, event)
        node = w.system.compute.node("pe2")

        async def promised() -> float:
            """Viewers for whom room is taken or kept at the node."""
            trees = await w.delivery.store.trees()
            await ahead.refresh(trees)
            view = w.delivery.collector.view(trees)
            left = ahead.without(view, "another", claim)
            return (node.mbps - left.nodes["pe2"].mbps_free) / view.mbps(event)

        async def until_promised(viewers: float) -> None:
            """A session that is stored while others are read counts twice until the next look."""

            async def holds() -> bool:
                return await promised() == pytest.approx(viewers, abs=0.2)

            await until(holds, within_s=20, why=f"room is kept for {viewers}")

        await until_promised(4)
        tickets = []
        for count in range(1, 7):
            at = "pe4" if count == 3 else "pe2"  # one came at another node
            tickets.append(await w.delivery.open_session(event, at))
            there = sum(t.session.edge_node == "pe2" for t in tickets)
            await until_promised(there + max(0, 4 - count))


@scenario
async def test_two_events_are_not_promised_the_same_room(tmp_path: Path) -> None:
    async with world(tmp_path, **narrow(tmp_path, node_mbps=10, link_mbps=100)) as w:
        costs = w.delivery.collector.costs
        fit = int(10 // costs.stream_mbps)
        for tag in ("a", "b"):  # two are expected of each
            await scheduled(w, after_s=40, nodes=("pe1",) * 5, at="c1", tag=tag)
        await until_edges(w, "edge-pe1-1", within_s=20)
        await asyncio.sleep(15)  # both are predicted
        ahead, trees = w.delivery.controller.ahead, await w.delivery.store.trees()
        assert len(ahead.events) == 2
        view = w.delivery.collector.view(trees)
        left = ahead.without(view, "another", Claim(provider_id="another"))
        taken = view.nodes["pe1"].mbps_free - left.nodes["pe1"].mbps_free
        assert fit == 3
        assert taken == pytest.approx(fit * costs.stream_mbps)


@scenario
async def test_two_instances_make_and_keep_the_same_edges(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        second = World(folder=tmp_path, settings=SETTINGS, clock=w.clock, media=w.media)
        second.vim, second.spawned = w.vim, w.spawned
        await second.start()
        try:
            event = await scheduled(w, after_s=50, nodes=("pe2", "pe4"))
            await until_edges(w, "edge-pe2-1", "edge-pe4-1", within_s=20)
            await on_air(second, event)
            await asyncio.sleep(10)
            ticket = await second.watch(event, "pe4")
            await second.until_watched(ticket, within_s=5)
            await asyncio.sleep(20)
            assert edges(w) == ["edge-pe2-1", "edge-pe4-1"]
            started = [name for name in w.spawned if name.startswith(EDGE)]
            assert sorted(started) == ["edge-pe2-1", "edge-pe4-1"]
            known = [set(one.delivery.controller.ahead.events) for one in (w, second)]
            assert known == [{event}, {event}]
        finally:
            await second.stop()


@scenario
async def test_the_planner_reads_the_same_series(tmp_path: Path) -> None:
    async with platform(tmp_path, policy="virca") as w:
        planning = w.delivery.planning
        assert planning is not None
        event = await scheduled(w, after_s=200, nodes=("pe2",) * 10)

        async def planned() -> dict[tuple[str, str, str], float]:
            view = w.delivery.collector.view(await w.delivery.store.trees())
            return dict((await planning._audience(view)).watching)

        async def reads() -> bool:
            return await planned() == {(event, "pe2", ""): 4.0}

        await until(reads, within_s=30, why="the planner knows of them")
        await on_air(w, event)
        await w.watch(event, "pe2")
        await asyncio.sleep(2)
        assert await planned() == {(event, "pe2", "pe2"): 1.0, (event, "pe2", ""): 3.0}


@scenario
async def test_the_planner_counts_who_arrives_once(tmp_path: Path) -> None:
    async with platform(tmp_path, policy="virca") as w:
        planning = w.delivery.planning
        assert planning is not None
        event = await scheduled(w, after_s=40, nodes=("pe2",) * 10)
        await until_edges(w, "edge-pe2-1", within_s=20)
        await on_air(w, event)
        ticket = await w.watch(event, "pe2")
        await asyncio.sleep(2)

        async def planned() -> tuple[float, float]:
            """Viewers in all, and those who are only expected."""
            view = w.delivery.collector.view(await w.delivery.store.trees())
            watching = (await planning._audience(view)).watching
            return sum(watching.values()), watching[event, "pe2", ""]

        assert await planned() == (4.0, 3.0)
        # Another instance let somebody in, and nothing was looked at since.
        await w.delivery.store.open_session(replace(ticket.session, id="se_other"), None)
        assert await planned() == (4.0, 2.0)
        # One waits for a node to come up, and one was refused: neither is expected any more.
        planning._waiting[event, "pe2", ""] += 1
        planning._refused[event, "pe2", ""] = 1.0
        assert await planned() == (4.0, 2.0)


@scenario
async def test_a_service_level_and_reservations_are_one_promise(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        catalogue, collector = w.system.catalogue, w.delivery.collector
        event = await catalogue.event(await scheduled(w, after_s=40, nodes=("pe2",) * 12))
        await until_edges(w, "edge-pe2-1", within_s=20)
        await on_air(w, event.id)
        ahead, nodes = w.delivery.controller.ahead, w.system.compute.nodes()

        async def kept(promised: int) -> float:
            """Viewers of the event for whom room is kept from another provider's."""
            level = ServiceLevel(provider_id=event.provider_id, viewers=promised)
            await catalogue.service_levels.set_level(level)
            commitments = tuple(await catalogue.service_levels.commitments())
            claim = Claim(provider_id="another", commitments=commitments)
            trees = await w.delivery.store.trees()
            await ahead.refresh(trees)
            view = collector.view(trees)
            hard = service_levels.without_reserved(view, claim, "pe2", 0)
            soft = ahead.without(hard, "another", claim)
            less = (view.nodes[n.name].mbps_free - soft.nodes[n.name].mbps_free for n in nodes)
            return sum(less) / view.mbps(event.id)

        async def is_expected() -> bool:
            return await kept(0) == pytest.approx(4, abs=0.1)

        await until(is_expected, within_s=20, why="four are expected")
        # The level keeps room for as many as it promises, and reservations for the rest.
        for promised in (2, 4, 7):
            assert await kept(promised) == pytest.approx(max(4, promised), abs=0.1)


@scenario
async def test_nothing_is_made_of_room_that_is_promised_to_others(tmp_path: Path) -> None:
    async with platform(tmp_path) as w:
        live = await w.system.catalogue.event(await w.live("pe4"))
        level = ServiceLevel(provider_id=live.provider_id, viewers=MOST_VIEWERS)
        await w.system.catalogue.service_levels.set_level(level)
        await scheduled(w, after_s=40, nodes=("pe2",))
        await asyncio.sleep(30)
        assert edges(w) == []
        await w.system.catalogue.service_levels.set_level(replace(level, viewers=0))
        await until_edges(w, "edge-pe2-1", within_s=20)
