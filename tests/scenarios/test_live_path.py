"""From an event to viewers and back to nothing, on fakes and virtual time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventEvent, EventState
from umbel.delivery.admission import EventNotOpen
from umbel.delivery.service import NotReady
from umbel.delivery.trees.grafting import edges_of
from umbel.delivery.trees.view import NoCapacity
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.model import Endpoint, Hop
from umbel.network.topology import document, files

PROVIDER_EDGES = {"pe1", "pe2", "pe3", "pe4", "pe5"}


@scenario
async def test_an_ingest_point_is_an_acquirer_at_the_provider(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.event("pe3")
        point = await w.delivery.open_ingest(event)
        assert (point.node, point.function) == ("pe3", "acquirer-pe3-1")
        assert point.urls["rtmp"].startswith("rtmp://127.0.3.1:")
        assert await w.delivery.open_ingest(event) == point
        assert (await w.system.catalogue.event(event)).state is EventState.OPEN
        assert w.spawned == ["acquirer-pe3-1"]


@scenario
async def test_two_viewers_at_two_edges_and_a_third_who_joins(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        first, far = await w.watch(event, "pe2"), await w.watch(event, "pe4")
        joiner = await w.watch(event, "pe2")
        assert [t.session.edge_node for t in (first, far, joiner)] == ["pe2", "pe4", "pe2"]
        assert joiner.whep == first.whep
        assert joiner.token != first.token
        for ticket in (first, far, joiner):
            assert await w.arrives(ticket)
        tree = await w.delivery.tree(event)
        assert sorted(edges_of(tree)) == [("c1", "c2"), ("c1", "pe2"), ("c2", "pe4"), ("pe1", "c1")]


@scenario
async def test_where_switches_copy_no_forwarder_runs(tmp_path: Path) -> None:
    fabric = FakeFabric(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        near, far = await w.watch(event, "pe2"), await w.watch(event, "pe4")
        assert await w.arrives(near)
        assert await w.arrives(far)
        assert set(w.spawned) == {"acquirer-pe1-1", "edge-pe2-1", "edge-pe4-1"}
        acquirer = w.vim.instances()["acquirer-pe1-1"]
        assert {hop.source_address for hop in fabric.streams[event]} == {acquirer.address}
        used = {(link.a, link.b): link.used_mbps > 0 for link in await w.delivery.links()}
        assert sum(used.values()) == 4
        await w.delivery.close_session(far.session.id)
        await w.until_functions("acquirer-pe1-1", "edge-pe2-1")
        assert [hop.target.node for hop in fabric.streams[event]] == ["pe2"]
        assert await w.arrives(near)


@scenario
async def test_a_viewer_whose_switch_refuses_is_served_elsewhere(tmp_path: Path) -> None:
    fabric = FakeFabric(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        fabric.full.add("pe4")
        first = await w.watch(event, "pe4")
        assert first.session.edge_node != "pe4"
        assert await w.arrives(first)
        # What one viewer found out, the next ones need not wait for.
        began_s = w.clock.monotonic_s()
        second = await w.watch(event, "pe4")
        assert second.session.function == first.session.function
        assert w.clock.monotonic_s() - began_s < 1
        # Once no edge is wanted there, the node gets another chance.
        await asyncio.sleep(w.timing.linger_s + 90)
        assert not w.delivery.controller.refused_nodes(event)


@scenario
async def test_a_switch_that_refuses_holds_up_no_other_and_is_asked_again(tmp_path: Path) -> None:
    fabric = FakeFabric(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        fabric.full |= PROVIDER_EDGES
        waiting = asyncio.create_task(w.watch(event, "pe4"))
        await until_refused(w, event, PROVIDER_EDGES)
        assert not waiting.done()
        fabric.full.clear()
        # Nobody asks again: the hop is tried again, and the viewer's edge is fed.
        assert await w.arrives(await waiting)


@scenario
async def test_where_all_refuse_a_viewer_waits_and_gets_an_answer(tmp_path: Path) -> None:
    fabric = FakeFabric(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        fabric.full |= PROVIDER_EDGES
        with pytest.raises(NotReady):
            await w.watch(event, "pe4")
        assert not fabric.streams.get(event)


async def until_refused(w: World, event: str, nodes: set[str]) -> None:
    """Until switches refuse the ways to all these nodes."""

    async def is_refused() -> bool:
        return nodes <= w.delivery.controller.refused_nodes(event)

    await until(is_refused, within_s=20, why="every way was refused")


class Branching(FakeFabric):
    """As real switches have it: every hop of a stream begins at the same address, and the way is
    there some time after the functions are."""

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        await asyncio.sleep(1)
        await super().ensure(stream, hops)
        return {hop: replace(hop.target, address="10.203.0.1", port=5004) for hop in hops}


@scenario
async def test_a_way_that_only_the_network_lays_is_waited_for_no_longer_than_it_takes(
    tmp_path: Path,
) -> None:
    fabric = Branching(document.parse(files.builtin("sls")), copies=True)
    async with world(tmp_path, fabric=fabric) as w:
        event = await w.live()
        for node in ("pe2", "pe4"):
            began_s = w.clock.monotonic_s()
            ticket = await w.delivery.open_session(event, node)
            assert ticket.session.edge_node == node
            assert w.clock.monotonic_s() - began_s < w.timing.ready_s / 3


@scenario
async def test_the_event_follows_the_encoder(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        w.media.stop_publishing("acquirer-pe1-1", event)
        assert await w.until_state(event, EventState.OPEN) >= w.timing.silence_s
        w.media.publish("acquirer-pe1-1", event)
        await w.until_state(event, EventState.LIVE)


@scenario
async def test_the_last_viewer_tears_the_branch_down_after_the_linger_time(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        near, far = await w.watch(event, "pe2"), await w.watch(event, "pe4")
        await w.delivery.close_session(far.session.id)
        gone_s = await w.until_functions("acquirer-pe1-1", "forwarder-c1-1", "edge-pe2-1")
        assert w.timing.linger_s <= gone_s <= w.timing.linger_s + 4
        assert await w.arrives(near)
        await w.delivery.close_session(near.session.id)
        await w.until_functions("acquirer-pe1-1")


@scenario
async def test_a_viewer_who_vanishes_is_swept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        ticket = await w.watch(event, "pe2")
        await asyncio.sleep(w.timing.session_idle_s + 2 * w.timing.sweep_s)
        assert await w.delivery.session(ticket.session.id)
        w.media.set_viewers("edge-pe2-1", event, ())
        await w.until_functions("acquirer-pe1-1", within_s=90)


@scenario
async def test_the_end_tears_everything_down(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await w.watch(event, "pe5")
        await w.system.catalogue.transition(event, EventEvent.END)
        await w.delivery.end(event)
        await w.until_functions()
        assert (await w.delivery.tree(event)).branches == ()
        with pytest.raises(EventNotOpen):
            await w.delivery.open_session(event, "pe5")


@scenario
async def test_an_event_ends_by_its_calendar(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.event(lasts_s=60)
        await w.delivery.open_ingest(event)
        await asyncio.sleep(58)
        assert w.states()
        await w.until_functions(within_s=5)
        assert (await w.system.catalogue.event(event)).state is EventState.ENDED


@scenario
async def test_two_events_share_functions_and_end_apart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        one, two = await w.live(), await w.live()
        await w.watch(one, "pe2")
        kept = await w.watch(two, "pe2")
        assert sorted(w.spawned) == ["acquirer-pe1-1", "edge-pe2-1", "forwarder-c1-1"]
        await w.system.catalogue.transition(one, EventEvent.END)
        await w.delivery.end(one)

        async def carries_one() -> bool:
            return set(await w.carried("edge-pe2-1")) == {two}

        await until(carries_one, within_s=5, why="the edge carries the other event alone")
        assert await w.arrives(kept)


@scenario
async def test_many_at_once_get_one_edge(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        tickets = await asyncio.gather(*(w.delivery.open_session(event, "pe4") for _ in range(20)))
        assert {t.session.function for t in tickets} == {"edge-pe4-1"}
        assert w.spawned.count("edge-pe4-1") == 1


@pytest.mark.parametrize("policy", ["sls", "consolidation", "qos", "virca"])
def test_an_edge_whose_core_is_busy_gets_no_more_viewers(tmp_path: Path, policy: str) -> None:
    """A media server is one process with one busy core; the node's other core takes an edge."""

    @scenario
    async def run() -> None:
        async with world(tmp_path, policy=policy) as w:
            event = await w.live("pe4")
            first = (await w.delivery.open_session(event, "pe4")).session
            w.vim.set_load(first.function, cpu_cores=1.0, rss_mb=100)
            await asyncio.sleep(2)
            others = [(await w.delivery.open_session(event, "pe4")).session for _ in range(3)]
            assert {one.function for one in others} == {"edge-pe4-2"}

    run()


@scenario
async def test_full_nodes_refuse_with_a_frozen_code(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        for number in range(1, 6):
            await w.live(f"pe{number}")
        for function in w.states():
            w.vim.set_load(function, cpu_cores=2.0, rss_mb=100)
        await asyncio.sleep(2)
        with pytest.raises(NoCapacity) as refusal:
            await w.delivery.open_session(event, "pe1")
        assert refusal.value.code == "umbel.no_capacity"


@pytest.mark.parametrize(
    ("policy", "functions"),
    [
        ("sls", {"acquirer-pe1-1", "forwarder-c1-1", "forwarder-c2-1", "edge-pe4-1"}),
        ("qos", {"acquirer-pe1-1", "edge-pe4-1"}),
        ("consolidation", {"acquirer-pe1-1", "edge-pe1-1"}),
    ],
)
def test_each_policy_runs_the_whole_path(tmp_path: Path, policy: str, functions: set[str]) -> None:
    @scenario
    async def run() -> None:
        async with world(tmp_path, policy=policy) as w:
            event = await w.live()
            ticket = await w.watch(event, "pe4")
            assert await w.arrives(ticket)
            assert set(w.states()) == functions

    run()
