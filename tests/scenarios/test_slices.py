"""Slices in the platform as it is wired: they follow their streams' ways when these change."""

from pathlib import Path

from support import switchboard
from support.slicing import trees_of
from support.waiting import until
from umbel import bootstrap
from umbel.bootstrap import Drivers
from umbel.compute.drivers.fake import FakeVim
from umbel.delivery.model import Branch, Tree
from umbel.kit.clock import SystemClock
from umbel.kit.config import Settings
from umbel.media.drivers.fake import FakeMedia
from umbel.network.drivers.fake.fabric import FakeQueues
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.service import NetworkDrivers
from umbel.network.slices.admission import Grade, SliceRequest
from umbel.network.slices.model import Guarantee
from umbel.network.slices.service import Underlay
from umbel.network.topology import document, files

NET = document.parse(files.builtin("sls"))
LINKS = tuple((link.a, link.b) for link in NET.links)


async def test_a_way_that_appears_is_guaranteed_without_being_asked(tmp_path: Path) -> None:
    clock = SystemClock()
    world = switchboard.World(switchboard.sites(NET.nodes, LINKS))
    fabric = OpenFlowFabric(
        world.sites,
        Drawing(roles=dict.fromkeys(NET.nodes, Role.LEAF), links=LINKS),
        switchboard.MemoryBridges(world),
        world.board,
        OpenFlowSettings(host="127.0.0.1", adopt_s=0.0),
        clock,
    )
    drivers = Drivers(
        vim=FakeVim(clock),
        media=FakeMedia(),
        network=NetworkDrivers(
            fabric=fabric,
            switches=fabric,
            underlay=Underlay(fabric=fabric, queues=FakeQueues(), sites=world.sites),
        ),
    )
    system = await bootstrap.assemble(Settings(data_dir=tmp_path), drivers=drivers, clock=clock)
    system.network.slices.interval_s = 600.0
    try:
        await fabric.start()
        root = Branch(function="acquirer-pe1-1", role="acquirer", node="pe1")
        edge = Branch(function="edge-pe4-1", role="edge", node="pe4", parent=root.function)
        tree = Tree(stream="ev_1", branches=(root, edge))
        await trees_of(system.network.slices).save_tree(tree, at_s=0.0)
        opened = await system.network.slices.open(SliceRequest(grade=Grade.GOLD, stream="ev_1"))
        assert opened.links == ()

        target = Endpoint(node="pe4", address="10.99.4.1", port=5004)
        await fabric.ensure("ev_1", [Hop(source_node="pe1", target=target)])

        async def states() -> set[Guarantee]:
            return {one.state for one in (await system.network.slices.one(opened.granted.id)).links}

        await until(states, lambda found: found == {Guarantee.GUARANTEED})
    finally:
        await system.close()
        await fabric.close()
