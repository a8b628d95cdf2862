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
from umbel.network.topology.registry import SiteRegistry

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
async def overlaid(
    folder: Path,
    wires: Wires | None = None,
    known: SiteRegistry | None = None,
    **more: Any,
) -> AsyncIterator[Overlaid]:
    """`wires` are other switches than the SLS network's, of which the network file has `known`;
    `more` are other fields of the platform's World."""
    wires = wires or Wires(sites(tuple(DRAWING.roles), LINKS))
    registry, bridges = known or wires.sites, MemoryBridges(wires)
    fabric = OpenFlowFabric(registry, DRAWING, bridges, wires.board, TERMS, LoopClock())
    async with world(folder, fabric=fabric, switches=fabric, bridges=bridges, **more) as platform:
        try:
            yield Overlaid(platform, wires, fabric)
        finally:
            await fabric.close()
