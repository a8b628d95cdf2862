"""The network's API over the real fabric, whose switches are in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.http import World, make_system, world
from support.overlaid import TERMS
from support.overlay_run import DRAWING
from support.switchboard import OUTSIDE, MemoryBridges
from support.switchboard import World as Wires
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.fake.switch import DeliveredPacket, Plug
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.switching.program import Field

NET = "/api/v1/network"
MAC = "02:00:00:00:00:aa"
DRAWN = {
    "nodes": [
        {"name": "pe1", "role": "root"},
        {"name": "c1", "role": "relay"},
        {"name": "c2", "role": "relay"},
        {"name": "pe3", "role": "leaf"},
        {"name": "pe4", "role": "leaf"},
        {"name": "pe5"},
    ],
    "links": [
        {"a": "pe1", "b": "c1"},
        {"a": "c1", "b": "c2"},
        {"a": "c1", "b": "pe3"},
        {"a": "c2", "b": "pe3"},
        {"a": "c2", "b": "pe4"},
        {"a": "c2", "b": "pe5"},
    ],
}
ASKED = {
    "stream": "feed",
    "root": "pe1",
    "target": {"address": "239.1.2.3", "port": 5004},
    "leaf": "pe4",
    "receiver": {"address": "192.0.2.4", "mac": MAC, "port": 6000},
}


@dataclass
class Net:
    """The API over switches in memory."""

    here: World
    wires: Wires
    fabric: OpenFlowFabric

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        headers = self.here.as_("operator")
        answer = await self.here.client.request(method, NET + path, headers=headers, **body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, status: int, **body: Any) -> dict[str, Any]:
        told: dict[str, Any] = await self.ask(method, path, status, **body)
        return told

    async def drawn(self) -> Any:
        return await self.ask("PUT", "/topology", json=DRAWN)

    async def path(self, **changes: Any) -> Any:
        return await self.ask("POST", "/paths", 201, json={**ASKED, **changes})

    def send(self, root: str = "pe1") -> set[tuple[str, str, int]]:
        """A packet of the stream from outside: (node, address, port) of what left to outside."""
        copies = self._copies(root)
        assert all(copy.packet[Field.ETH_DST] == MAC for copy in copies)
        found = [
            (c.at.node, str(c.packet[Field.IPV4_DST]), int(c.packet[Field.UDP_DST])) for c in copies
        ]
        assert len(found) == len(set(found))
        return set(found)

    def macs(self, root: str = "pe1") -> dict[str, str]:
        """By node, the Ethernet address that a packet of the stream leaves to."""
        return {c.at.node: str(c.packet[Field.ETH_DST]) for c in self._copies(root)}

    def _copies(self, root: str) -> Sequence[DeliveredPacket]:
        packet: dict[Field, int | str] = {
            Field.ETH_DST: "01:00:5e:01:02:03",
            Field.ETH_TYPE: 0x0800,
            Field.IP_PROTO: 17,
            Field.IPV4_SRC: "192.0.2.77",
            Field.IPV4_DST: "239.1.2.3",
            Field.UDP_SRC: 999,
            Field.UDP_DST: 5004,
        }
        copies, _ = self.wires.net.send(Plug(node=root, port=OUTSIDE), packet)
        assert {copy.at.port for copy in copies} <= {OUTSIDE}
        return copies


@asynccontextmanager
async def steered(database: Database, folder: Path, wires: Wires) -> AsyncIterator[Net]:
    bridges, clock = MemoryBridges(wires), SystemClock()
    fabric = OpenFlowFabric(wires.sites, DRAWING, bridges, wires.board, TERMS, clock)
    await fabric.start()
    try:
        system = make_system(database, folder, fabric)
        async with world(system, static=folder / "no-build") as here:
            yield Net(here, wires, fabric)
    finally:
        await fabric.close()
