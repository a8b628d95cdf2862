"""How much work a start takes as the network grows: counted in calls, not in seconds."""

import random
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest

import umbel.network
from support.switchboard import MemoryBridges, World, function, sites
from umbel.kit.clock import LoopClock
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.model import Hop
from umbel.network.overlay.spanning import Drawing, Role

pytestmark = pytest.mark.looptime
HERE = str(Path(umbel.network.__file__).parent)
FAKE = str(Path(HERE) / "drivers" / "fake")


def network(switches: int) -> Drawing:
    """As many switches, half of them leaves, and five times as many links."""
    draw = random.Random(1)
    names = [f"n{number}" for number in range(switches)]
    links = {(names[draw.randrange(number)], names[number]) for number in range(1, switches)}
    while len(links) < 5 * switches:
        a, b = sorted(draw.sample(range(switches), 2))
        links.add((names[a], names[b]))
    leaves = names[switches // 2 :]
    roles = dict.fromkeys(names, Role.RELAY) | dict.fromkeys(leaves, Role.LEAF)
    return Drawing(roles=roles, links=tuple(sorted(links)))


async def calls_of_a_start(switches: int) -> int:
    """Python calls in the network's own code from a start until a stream is carried and a link of
    its way is lost."""
    drawing, counted = network(switches), Counter[str]()
    world = World(sites(tuple(drawing.roles), drawing.links))
    settings = OpenFlowSettings(host="127.0.0.1")
    fabric = OpenFlowFabric(
        world.sites, drawing, MemoryBridges(world), world.board, settings, LoopClock()
    )

    def count(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(HERE) and not name.startswith(FAKE):
            counted[name] += 1

    end = function(world.sites, f"n{switches - 1}", 7000)
    sys.setprofile(count)
    try:
        await fabric.start()
        await fabric.ensure("ev1", [Hop(source_node="n0", target=end)])
        world.lose(*fabric.overlay.used("ev1")[0])
        await fabric.install_extra_rules("", None)
    finally:
        sys.setprofile(None)
        await fabric.close()
    return counted.total()


async def test_a_start_takes_work_in_proportion_to_the_network() -> None:
    small, large = await calls_of_a_start(40), await calls_of_a_start(160)
    assert large < 5 * small
