"""Borders over REST: the API over the real fabric, whose switches are in memory, and hosts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from support.http import World, make_system, world
from support.switchboard import INSIDE, OUTSIDE, MemoryBridges
from support.switchboard import World as Wires
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.fake.switch import Plug
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.overlay.liveness import LivenessTimers
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.switching.program import Field
from umbel.network.topology.sites import Site

NAMES = ("pe1", "pe2", "c1")
LINKS = (("pe1", "c1"), ("pe2", "c1"))
DRAWING = Drawing(roles=dict.fromkeys(NAMES, Role.LEAF), links=LINKS)
TERMS = OpenFlowSettings(
    host="127.0.0.1", adopt_s=0.0, liveness=LivenessTimers(hold_down_s=0.1, grace_s=0.1)
)
NET = "/api/v1/network"
ANN, BOB = "10.202.1.10", "10.202.1.11"
FRONT = {"address": "10.97.0.1", "port": 8000}


def mac(address: str) -> str:
    return f"02:00:00:00:00:{int(address.rpartition('.')[2]):02x}"


async def ethernet(_site: Site, address: str) -> str:
    return "" if address.endswith(".99") else mac(address)


@dataclass(kw_only=True)
class Reached:
    """Switches in memory, and where hosts' packets get to."""

    wires: Wires
    ports: Iterator[int] = field(default_factory=lambda: count(1024))

    def reaches(self, source: str, target: str, port: int, node: str = "pe1") -> str:
        """Where a host's new TCP connection gets to; empty: nowhere."""
        packet: dict[Field, int | str] = {
            Field.ETH_DST: "02:6d:62:00:00:01",
            Field.ETH_SRC: mac(source),
            Field.ETH_TYPE: 0x0800,
            Field.IP_PROTO: 6,
            Field.IPV4_SRC: source,
            Field.IPV4_DST: target,
            Field.TCP_SRC: next(self.ports),
            Field.TCP_DST: port,
        }
        copies, _ = self.wires.net.send(Plug(node=node, port=OUTSIDE), packet)
        found = [
            f"{c.at.node}/{'in' if c.at.port == INSIDE else 'out'} "
            f"{c.packet[Field.IPV4_DST]}:{c.packet[Field.TCP_DST]}"
            for c in copies
        ]
        assert len(found) <= 1
        return "".join(found)


@dataclass(kw_only=True)
class Net(Reached):
    """The API over them."""

    here: World

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        headers = self.here.as_("operator")
        answer = await self.here.client.request(method, NET + path, headers=headers, **body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def client(self, address: str, host: str = "10.97.0.1:8000") -> httpx.AsyncClient:
        """A client of an access network, as the front end sees it."""
        transport = httpx.ASGITransport(self.here.app, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


@asynccontextmanager
async def bordered(database: Database, folder: Path, wires: Wires) -> AsyncIterator[Net]:
    bridges, clock = MemoryBridges(wires), SystemClock()
    fabric = OpenFlowFabric(wires.sites, DRAWING, bridges, wires.board, TERMS, clock)
    await fabric.start()
    system = make_system(database, folder, fabric, ethernet)
    await system.network.edge.start()
    running = asyncio.create_task(system.network.edge.run())
    try:
        async with world(system, static=folder / "no-build") as here:
            yield Net(here=here, wires=wires)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await fabric.close()
