"""What every fabric does that can hold streams to slices, by the same words for all of them."""

import pytest

from support.slicing import LINE
from umbel.network.carriage import Slice
from umbel.network.counters import FabricCounts
from umbel.network.drivers.fake import FakeFabric
from umbel.network.model import Endpoint, Hop
from umbel.network.slices import Flow

GOLD = Slice(number=1, kbps=10_000, burst_kb=1_000, dscp=32)
TARGET = Endpoint(node="pe4", address="127.0.4.1", port=5004)


@pytest.fixture(params=["fake"])
def fabric() -> FakeFabric:
    return FakeFabric(LINE)


async def test_a_carried_streams_way_is_known(fabric: FakeFabric) -> None:
    assert fabric.way("ev_1") == ((), None)
    await fabric.ensure("ev_1", [Hop(source_node="pe1", target=TARGET)])
    links, flow = fabric.way("ev_1")
    assert links == (("pe1", "c1"), ("c1", "pe4"))
    assert isinstance(flow, Flow)
    await fabric.remove("ev_1")
    assert fabric.way("ev_1") == ((), None)


async def test_a_stream_is_sliced_before_it_is_carried_and_no_more_when_told(
    fabric: FakeFabric,
) -> None:
    for _ in range(2):
        await fabric.slice("ev_1", GOLD)
    assert fabric.slices == {"ev_1": GOLD}
    for _ in range(2):
        await fabric.slice("ev_1", None)
    assert fabric.slices == {}


async def test_counters_are_answered(fabric: FakeFabric) -> None:
    assert isinstance(await fabric.counted(), FabricCounts)
