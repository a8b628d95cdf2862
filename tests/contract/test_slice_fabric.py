"""What every fabric does that can hold streams to slices, by the same words for all of them."""

from collections.abc import AsyncIterator, Mapping

import pytest

from support import switchboard
from support.slicing import LINE
from umbel.kit.clock import SystemClock
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Slice
from umbel.network.slices.admission import StreamDestination
from umbel.network.switching.counters import FabricCounts
from umbel.network.switching.program import Program
from umbel.network.switching.tables import Table

GOLD = Slice(number=1, kbps=10_000, burst_kb=1_000, dscp=32)
Sliced = FakeFabric | OpenFlowFabric
TARGET = Endpoint(node="pe4", address="127.0.4.1", port=5004)


@pytest.fixture(params=["fake", "openflow"])
async def fabric(request: pytest.FixtureRequest) -> AsyncIterator[Sliced]:
    if request.param == "fake":
        yield FakeFabric(LINE)
        return
    links = tuple((link.a, link.b) for link in LINE.links)
    world = switchboard.World(switchboard.sites(LINE.nodes, links))
    made = OpenFlowFabric(
        world.sites,
        Drawing(roles=dict.fromkeys(LINE.nodes, Role.LEAF), links=links),
        switchboard.MemoryBridges(world),
        world.board,
        OpenFlowSettings(host="127.0.0.1", adopt_s=0.0),
        SystemClock(),
    )
    await made.start()
    yield made
    await made.close()


def sliced(fabric: Sliced) -> Mapping[str, Slice]:
    """What is metered where the stream enters."""
    if isinstance(fabric, FakeFabric):
        return fabric.slices
    held = fabric.observed.switches["pe1"].held or Program()
    marks = {rule.meter for rule in held.rules if rule.table == Table.SLICES and rule.meter}
    meters = {meter.id: meter.kbps for meter in held.meters}
    assert marks == meters.keys()
    return {"ev_1": GOLD} if meters == {GOLD.number: GOLD.kbps} else {}


async def test_a_carried_streams_way_is_known(fabric: Sliced) -> None:
    assert fabric.stream_route("ev_1") == ((), None)
    await fabric.ensure("ev_1", [Hop(source_node="pe1", target=TARGET)])
    links, flow = fabric.stream_route("ev_1")
    assert links == (("pe1", "c1"), ("c1", "pe4"))
    assert isinstance(flow, StreamDestination)
    await fabric.remove("ev_1")
    assert fabric.stream_route("ev_1") == ((), None)


async def test_a_stream_is_sliced_before_it_is_carried_and_no_more_when_told(
    fabric: Sliced,
) -> None:
    for _ in range(2):
        await fabric.set_slice("ev_1", GOLD)
    await fabric.ensure("ev_1", [Hop(source_node="pe1", target=TARGET)])
    assert sliced(fabric) == {"ev_1": GOLD}
    for _ in range(2):
        await fabric.set_slice("ev_1", None)
    assert sliced(fabric) == {}


async def test_counters_are_answered(fabric: Sliced) -> None:
    assert isinstance(await fabric.counters(), FabricCounts)
