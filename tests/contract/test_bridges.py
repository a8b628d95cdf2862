"""What all that makes bridges does, by the same words for all of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from support import ovs
from support.ovs import Ovs
from support.ovsdb_stand_in import Database, Server
from umbel.kit.errors import Unavailable
from umbel.network.drivers.fake.bridges import MemoryBridges
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.drivers.ovsdb.connection import Timeouts
from umbel.network.switching.ports import Bridges
from umbel.network.topology.sites import Site, Tunnel, Wiring

ABSENT = ovs.absent()
PATIENCE = Timeouts(answer_s=6.0, first_s=0.05, most_s=0.2)
PE1 = Site(
    node="pe1",
    ovsdb="",
    datapath_id=0x756D62000001,
    underlay={"c1": "127.0.0.1", "c2": "127.0.0.1"},
    gateway="10.202.1.1/24",
)
PE2 = replace(PE1, node="pe2", datapath_id=0x756D62000002)


class World(Protocol):
    """`sites` are pe1 and pe2."""

    @property
    def bridges(self) -> Bridges: ...

    @property
    def sites(self) -> list[Site]: ...

    async def silence(self, site: Site) -> None:
        """Its database does not answer any more."""


@dataclass
class Memory:
    bridges: MemoryBridges = field(default_factory=MemoryBridges)
    sites: list[Site] = field(default_factory=lambda: [PE1, PE2])

    async def silence(self, site: Site) -> None:
        self.bridges.silent.add(site.node)


@dataclass
class StandIn:
    bridges: OvsdbBridges
    sites: list[Site]
    servers: dict[str, Server]

    async def silence(self, site: Site) -> None:
        await self.servers.pop(site.node).stop()


@dataclass
class Real:
    bridges: OvsdbBridges
    sites: list[Site]
    switches: dict[str, Ovs]

    async def silence(self, site: Site) -> None:
        self.switches[site.node].end("ovsdb-server")


async def stand_in(bridges: OvsdbBridges) -> AsyncIterator[World]:
    servers, sites = {}, []
    for site in (PE1, PE2):
        servers[site.node] = Server(Database())
        port = await servers[site.node].start()
        sites.append(replace(site, ovsdb=f"tcp:127.0.0.1:{port}"))
    yield StandIn(bridges, sites, servers)
    await bridges.close()
    for server in servers.values():
        await server.stop()


async def real(bridges: OvsdbBridges, folder: Path) -> AsyncIterator[World]:
    names = dict.fromkeys(("pe1", "pe2"), "OpenFlow14")
    with ovs.switches(folder, names, bare=True) as switches:
        sites = [replace(site, ovsdb=switches[site.node].database) for site in (PE1, PE2)]
        yield Real(bridges, sites, switches)
        await bridges.close()


@pytest.fixture(
    params=[
        "memory",
        "stand-in",
        pytest.param(
            "ovs", marks=[pytest.mark.lab, pytest.mark.skipif(bool(ABSENT), reason=ABSENT)]
        ),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "memory":
        yield Memory()
        return
    ovsdb = OvsdbBridges(patience=PATIENCE)
    made = stand_in(ovsdb) if request.param == "stand-in" else real(ovsdb, tmp_path)
    async for one in made:
        yield one


def wiring(*neighbours: str) -> Wiring:
    tunnels = [
        Tunnel(neighbour=name, local="127.0.0.1", remote=f"127.0.0.{number}", key=7)
        for number, name in enumerate(neighbours, 2)
    ]
    return Wiring(controller="tcp:127.0.0.1:1", tunnels=tuple(tunnels))


async def test_ports_are_answered_and_twice_is_once(world: World) -> None:
    pe1, _ = world.sites
    port_maps = await world.bridges.ensure(pe1, wiring("c1", "c2"))
    assert set(port_maps.tunnel_ports) == {"c1", "c2"}
    numbers = [*port_maps.tunnel_ports.values(), port_maps.patch_port, port_maps.local_port]
    assert len(set(numbers)) == 4
    assert all(1 <= number <= 0x3FFF for number in numbers)
    assert port_maps.local_mac == "02:6d:62:00:00:01"
    assert await world.bridges.ensure(pe1, wiring("c1", "c2")) == port_maps


async def test_tunnels_come_and_go_and_others_keep_their_ports(world: World) -> None:
    pe1, _ = world.sites
    before = await world.bridges.ensure(pe1, wiring("c1", "c2"))
    fewer = await world.bridges.ensure(
        pe1, replace(wiring("c1", "c2"), tunnels=wiring("c1", "c2").tunnels[1:])
    )
    assert fewer.tunnel_ports == {"c2": before.tunnel_ports["c2"]}
    more = await world.bridges.ensure(pe1, wiring("c1", "c2", "c3"))
    assert more.tunnel_ports["c2"] == before.tunnel_ports["c2"]
    assert len(set(more.tunnel_ports.values())) == 3
    assert (more.patch_port, more.local_port) == (before.patch_port, before.local_port)


async def test_what_is_removed_can_be_made_again(world: World) -> None:
    pe1, _ = world.sites
    await world.bridges.remove(pe1)
    before = await world.bridges.ensure(pe1, wiring("c1"))
    await world.bridges.remove(pe1)
    await world.bridges.remove(pe1)
    assert await world.bridges.ensure(pe1, wiring("c1")) == before


async def test_a_check_changes_nothing(world: World) -> None:
    pe1, pe2 = world.sites
    await world.bridges.check(pe1)
    before = await world.bridges.ensure(pe1, wiring("c1"))
    await world.bridges.check(pe1)
    assert await world.bridges.ensure(pe1, wiring("c1")) == before
    await world.silence(pe2)
    with pytest.raises(Unavailable):
        await world.bridges.check(pe2)


async def test_a_silent_node_is_unavailable_and_others_go_on(world: World) -> None:
    pe1, pe2 = world.sites
    await world.bridges.ensure(pe1, wiring("c1"))
    await world.silence(pe2)
    with pytest.raises(Unavailable):
        await world.bridges.ensure(pe2, wiring("c1"))
    assert await world.bridges.ensure(pe1, wiring("c1", "c2"))


async def test_the_port_of_an_expected_guest_has_a_number_before_it_is_there(world: World) -> None:
    pe1 = replace(world.sites[0], guests="10.96.1.254/24")
    expecting = replace(wiring("c1"), guests=("10.96.1.10", "10.96.2.10"))
    port_maps = await world.bridges.ensure(pe1, expecting)
    assert all(port.is_expected for port in port_maps.guests.values())
    macs = {address: port.mac for address, port in port_maps.guests.items()}
    assert macs == {"10.96.1.10": "52:54:0a:60:01:0a", "10.96.2.10": "52:54:0a:60:02:0a"}
    numbers = {port.number for port in port_maps.guests.values()}
    others = {*port_maps.tunnel_ports.values(), port_maps.patch_port, port_maps.local_port}
    assert len(numbers) == 2
    assert numbers.isdisjoint(others)
    assert max(numbers) <= 0x3FFF
    fewer = await world.bridges.ensure(pe1, replace(expecting, guests=("10.96.2.10",)))
    assert fewer.guests == {"10.96.2.10": port_maps.guests["10.96.2.10"]}
    assert (await world.bridges.ensure(pe1, wiring("c1"))).guests == {}
