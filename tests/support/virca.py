"""The virca policy on fakes: nodes that are full with few viewers, and how they are looked at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.virtual import until
from support.world import World, world
from umbel.compute.model import NodeState
from umbel.delivery.model import NodeStatus, Ticket
from umbel.network.topology import files

PERIODS = {"plan_sample_s": 2.0, "plan_rca_s": 3.0, "plan_virca_s": 10.0, "node_wake_s": 2.0}
RESTING = {"pe2", "pe3", "pe4", "pe5", "c2"}
"""With one encoder at pe1 and few viewers; c1 is the network's centre and stays on."""


def small_network(folder: Path) -> Path:
    """SLS's network on nodes that are full with some forty viewers."""
    document: Any = files.builtin("sls")
    document["nodes"] = [dict(node, cores=0.2) for node in document["nodes"]]
    path = folder / "network.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@asynccontextmanager
async def planned(folder: Path, **more: Any) -> AsyncIterator[World]:
    settings = {**PERIODS, "network_file": small_network(folder), **more.pop("settings", {})}
    async with world(folder / "data", policy="virca", settings=settings, **more) as w:
        yield w


async def nodes(w: World) -> dict[str, NodeStatus]:
    return {node.name: node for node in await w.delivery.nodes.list()}


async def in_standby(w: World) -> set[str]:
    return {name for name, node in (await nodes(w)).items() if node.power is NodeState.STANDBY}


async def until_resting(w: World, names: set[str], *, within_s: float = 25.0) -> None:
    async def holds() -> bool:
        return await in_standby(w) == names

    await until(holds, within_s=within_s, why=f"{names} rest")


async def all_arrive(w: World, *tickets: Ticket) -> bool:
    return all([await w.arrives(ticket) for ticket in tickets])


@dataclass
class Watched:
    """Counts the moments in which a viewer's edge was without the stream."""

    world: World
    tickets: tuple[Ticket, ...]
    looks: int = 0
    missed: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            for ticket in self.tickets:
                self.looks += 1
                if not await self.world.arrives(ticket):
                    self.missed.append(ticket.session.function)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def unbroken(w: World, *tickets: Ticket) -> AsyncIterator[None]:
    """These viewers' edges are fed all the time."""
    watched = Watched(w, tickets)
    task = asyncio.create_task(watched.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watched.looks > 0
    assert watched.missed == []
