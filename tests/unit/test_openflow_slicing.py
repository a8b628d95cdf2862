"""Slices on the overlay: ways as its trees go, meters where a function sends, counters of whoever
answers."""

from dataclasses import dataclass, field, replace

import pytest

from umbel.kit.errors import Unavailable
from umbel.network.carriage import Path, Receiver, Slice, Stream
from umbel.network.counters import Count, FabricCounts, SwitchCounts
from umbel.network.drivers.openflow.slicing import OpenFlowSlicing
from umbel.network.ground import Ground
from umbel.network.model import Meter
from umbel.network.overlay import Overlay, Wish
from umbel.network.sites import Plugs
from umbel.network.slices import Flow
from umbel.network.spanning import Drawing, Role

GOLD = Slice(number=3, kbps=10_000, burst_kb=1_000, dscp=32)
DRAWING = Drawing(
    roles={"r": Role.ROOT, "m": Role.RELAY, "a": Role.LEAF, "b": Role.LEAF},
    links=(("r", "m"), ("m", "a"), ("m", "b")),
)
PLUGS = {
    "r": Plugs(toward={"m": 10}, outside=1, inside=2),
    "m": Plugs(toward={"r": 10, "a": 11, "b": 12}, outside=1, inside=2),
    "a": Plugs(toward={"m": 10}, outside=1, inside=2),
    "b": Plugs(toward={"m": 10}, outside=1, inside=2),
}
WISH = Wish(
    stream=Stream(name="ev", number=7, target="10.203.0.7", port=5007),
    root="r",
    paths=(Path(leaf="a", receiver=Receiver(address="192.0.2.1", mac="02:00:00:00:00:01")),),
)


@dataclass
class Fabric:
    """Holds an overlay, and takes any other at once."""

    overlay: Overlay = field(default_factory=lambda: Overlay(ground=Ground(drawing=DRAWING)))
    plugs: dict[str, Plugs] = field(default_factory=lambda: dict(PLUGS))
    changes: int = 0

    async def change(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.changes += 1

    def connected(self) -> frozenset[str]:
        return frozenset(PLUGS)


async def none(_node: str) -> SwitchCounts:
    return SwitchCounts()


def test_a_streams_way_is_its_part_of_the_tree() -> None:
    fabric = Fabric()
    slicing = OpenFlowSlicing(fabric, none)
    assert slicing.way("ev") == ((), None)
    fabric.overlay = fabric.overlay.carry(WISH)
    way = (("r", "m"), ("m", "a"))
    assert slicing.way("ev") == (way, Flow(address="10.203.0.7", port=5007))
    both = (*WISH.paths, replace(WISH.paths[0], leaf="b"))
    fabric.overlay = fabric.overlay.carry(replace(WISH, paths=both))
    assert slicing.way("ev")[0] == (*way, ("m", "b"))
    fabric.overlay = fabric.overlay.carry(replace(WISH, root="gone"))
    assert slicing.way("ev") == ((), None)


async def test_a_sliced_stream_is_metered_where_it_enters_and_only_then_changed() -> None:
    fabric = Fabric()
    slicing = OpenFlowSlicing(fabric, none)
    for _ in range(2):
        await slicing.slice("ev", GOLD)
    assert fabric.changes == 1
    fabric.overlay = fabric.overlay.carry(WISH)
    programs = fabric.overlay.weave(PLUGS).programs
    assert programs["r"].meters == {Meter(id=3, kbps=10_000, burst_kb=1_000)}
    assert programs["m"].meters == frozenset()
    for _ in range(2):
        await slicing.slice("ev", None)
    assert fabric.changes == 2
    assert fabric.overlay.weave(PLUGS).programs["r"].meters == frozenset()


async def test_who_does_not_answer_is_not_counted() -> None:
    async def some(node: str) -> SwitchCounts:
        if node == "m":
            raise Unavailable
        return SwitchCounts(meters={3: Count(packets=1)}, ports={10: Count(packets=len(node))})

    found = await OpenFlowSlicing(Fabric(), some).counted()
    assert found == FabricCounts(
        meters={3: Count(packets=1)},
        links={
            (node, near): Count(packets=1) for node, near in (("r", "m"), ("a", "m"), ("b", "m"))
        },
    )


async def test_other_failures_are_not_hidden() -> None:
    async def broken(_node: str) -> SwitchCounts:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await OpenFlowSlicing(Fabric(), broken).counted()
