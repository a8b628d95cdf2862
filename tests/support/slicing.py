"""Slices kept over a network in memory: pe1 - c1 - pe4, 1000 and 200 Mbit/s."""

from support.switchboard import sites
from umbel.delivery.model import Branch, Tree
from umbel.delivery.slice_streams import TreeStreams
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.network.drivers.fake.fabric import FakeFabric, FakeQueues
from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.slices.admission import Offer
from umbel.network.slices.service import Slices, Underlay
from umbel.network.slices.store import SliceStore

LINE = Topology(
    nodes=("pe1", "c1", "pe4"),
    links=(Link(a="pe1", b="c1", mbps=1000), Link(a="c1", b="pe4", mbps=200)),
)
_SITES = sites(LINE.nodes, [(link.a, link.b) for link in LINE.links])
DEVICES = Underlay(fabric=FakeFabric(LINE), queues=FakeQueues(), sites=_SITES).devices


def make_slices(
    database: Database,
    clock: Clock,
    *,
    fabric: FakeFabric | None = None,
    queues: FakeQueues | None = None,
) -> Slices:
    """Slices over that network, with switches and queues of their own unless given."""
    return Slices(
        store=SliceStore(database),
        streams=TreeStreams(DeliveryStore(database)),
        offers=lambda: Offer(topology=LINE),
        clock=clock,
        underlay=Underlay(
            fabric=fabric or FakeFabric(LINE), queues=queues or FakeQueues(), sites=_SITES
        ),
        interval_s=60.0,
    )


def parts(slices: Slices) -> tuple[FakeFabric, FakeQueues]:
    """What is under these slices."""
    assert slices.underlay is not None
    fabric, queues = slices.underlay.fabric, slices.underlay.queues
    assert isinstance(fabric, FakeFabric)
    assert isinstance(queues, FakeQueues)
    return fabric, queues


def trees_of(slices: Slices) -> DeliveryStore:
    """Where these slices' trees are kept."""
    assert isinstance(slices.streams, TreeStreams)
    return slices.streams.store


async def carry(slices: Slices, event: str, *leaves: str, number: int = 1) -> None:
    """The event gets a tree from pe1 to the leaves, and its stream is carried so."""
    fabric, _ = parts(slices)
    root = Branch(function=f"acquirer-pe1-{number}", role="acquirer", node="pe1")
    edges = [
        Branch(function=f"edge-{n}-{number}", role="edge", node=n, parent=root.function)
        for n in leaves
    ]
    trees = trees_of(slices)
    before = await trees.tree(event)
    tree = Tree(stream=event, branches=(root, *edges), version=before.version)
    await trees.save_tree(tree, at_s=0.0)
    ends = [Endpoint(node=n, address="10.203.0.1", port=5000 + number) for n in leaves]
    await fabric.ensure(event, [Hop(source_node="pe1", target=end) for end in ends])
