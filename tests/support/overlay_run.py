"""The OpenFlow fabric over switches in memory, on virtual time: what runs, and what it reported."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from support.switchboard import MemoryBridges, World, function, sites
from umbel.kit.clock import LoopClock
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.events import Event
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.liveness import LivenessTimers
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.topology.registry import SiteRegistry

EDGES = ("pe1", "pe2", "pe3", "pe4", "pe5")
LINKS = (
    ("pe1", "c1"),
    ("pe2", "c1"),
    ("pe3", "c1"),
    ("pe3", "c2"),
    ("pe4", "c2"),
    ("pe5", "c2"),
    ("c1", "c2"),
)
DRAWING = Drawing(
    roles={**dict.fromkeys(EDGES, Role.LEAF), "c1": Role.RELAY, "c2": Role.RELAY}, links=LINKS
)
SITES = sites(tuple(DRAWING.roles), LINKS)
TERMS = OpenFlowSettings(
    host="127.0.0.1", adopt_s=30.0, liveness=LivenessTimers(hold_down_s=5.0, grace_s=3.0)
)


def hops(root: str, *ends: tuple[str, int]) -> list[Hop]:
    return [Hop(source_node=root, target=function(SITES, node, port)) for node, port in ends]


def at(*ends: tuple[str, int]) -> Counter[tuple[str, str, int]]:
    """One packet at each of these processes."""
    made = [function(SITES, node, port) for node, port in ends]
    return Counter((end.node, end.address, end.port) for end in made)


class Run:
    """A fabric that runs over a world, and what it told."""

    def __init__(self, world: World, fabric: OpenFlowFabric) -> None:
        self.world, self.fabric = world, fabric
        self.events: list[Event] = []
        fabric.watch(self.events.append)

    async def carry(self, name: str, wanted: list[Hop]) -> Endpoint:
        answer = await self.fabric.ensure(name, wanted)
        assert set(answer) == set(wanted)
        (address,) = {(end.address, end.port) for end in answer.values()}
        return Endpoint(node=wanted[0].source_node, address=address[0], port=address[1])

    def told(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


@asynccontextmanager
async def running(
    world: World,
    terms: OpenFlowSettings = TERMS,
    drawing: Drawing = DRAWING,
    sites: SiteRegistry | None = None,
) -> AsyncIterator[Run]:
    """`sites` are those that the fabric knows, if not all of the world's."""
    known = world.sites if sites is None else sites
    fabric = OpenFlowFabric(known, drawing, MemoryBridges(world), world.board, terms, LoopClock())
    run = Run(world, fabric)
    await fabric.start()
    try:
        yield run
    finally:
        await fabric.close()


def exact() -> AbstractAsyncContextManager[Run]:
    """A fabric that adopts nothing: switches hold what is asked for and no more."""
    return running(World(SITES), replace(TERMS, adopt_s=0.0))


def wires(world: World) -> set[tuple[str, str]]:
    return {(a, b) for a, near in world.wired.items() for b in near}


def both(links: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {pair for a, b in links for pair in ((a, b), (b, a))}
