"""The SLS network's switches in memory, with the fabric that programs them, and a whole platform
over both. Real time, for what real receivers and browsers are to see of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.overlay_run import DRAWING, LINKS
from support.switchboard import MemoryBridges, sites
from support.switchboard import World as Wires
from support.world import World, world
from umbel.kit.clock import LoopClock
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.overlay.liveness import LivenessTimers

TERMS = OpenFlowSettings(
    host="127.0.0.1", adopt_s=0.0, liveness=LivenessTimers(hold_down_s=0.1, grace_s=0.1)
)


@dataclass(frozen=True)
class Overlaid:
    """A platform, the switches under it and what programs them; `fabric.start` is the test's."""

    platform: World
    wires: Wires
    fabric: OpenFlowFabric


@asynccontextmanager
async def overlaid(folder: Path, **more: Any) -> AsyncIterator[Overlaid]:
    """`more` are other fields of the platform's World."""
    wires = Wires(sites(tuple(DRAWING.roles), LINKS))
    fabric = OpenFlowFabric(
        wires.sites, DRAWING, MemoryBridges(wires), wires.board, TERMS, LoopClock()
    )
    async with world(folder, fabric=fabric, switches=fabric, **more) as platform:
        try:
            yield Overlaid(platform, wires, fabric)
        finally:
            await fabric.close()
