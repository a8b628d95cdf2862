"""Bridges made on real Open vSwitch: tunnels live, nodes are set up, restarts are survived."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import ovs
from support.ovs import Ovs
from support.waiting import until
from umbel.network.drivers.linux.hosts import HostNotSetUp, NetnsHost, NoNamespace
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.drivers.ovsdb.connection import Timeouts
from umbel.network.switching.port_map import GuestPort, PortMap
from umbel.network.topology.sites import Site, Tunnel, TunnelKind, Wiring, cable_bridge

ABSENT = ovs.absent()
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
RULE = "table=0, priority=7,in_port=1 actions=output:2"


class Lab:
    """Two switches with a cable between them."""

    def __init__(self, switches: dict[str, Ovs], bridges: OvsdbBridges) -> None:
        self.switches, self.bridges = switches, bridges
        self.sites = {
            node: Site(
                node=node,
                ovsdb=switches[node].database,
                datapath_id=0x756D62000000 + number,
                underlay={other: f"10.201.0.{number}"},
                gateway=f"10.202.{number}.1/24",
                cables={other: "wire0"},
            )
            for number, node, other in ((1, "pe1", "pe2"), (2, "pe2", "pe1"))
        }

    def wiring(self, node: str, targets: tuple[str, ...] = (), **columns: Any) -> Wiring:
        (other,) = self.sites[node].cables
        ends = {
            "local": self.sites[node].underlay[other],
            "remote": self.sites[other].underlay[node],
        }
        tunnel = Tunnel(neighbour=other, key=7, **{**ends, "bfd_ms": 100, **columns})
        controller = f"unix:{self.switches[node].controller}"
        return Wiring(controller=controller, tunnels=(tunnel,), targets=targets)

    async def wire(self, **columns: Any) -> list[PortMap]:
        return [
            await self.bridges.ensure(site, self.wiring(node, **columns))
            for node, site in self.sites.items()
        ]

    async def alive(self, node: str) -> None:
        """The tunnel's other end is heard."""

        async def state() -> str:
            shown = self.switches[node].vsctl("--format=json", "list", "interface")
            table = json.loads(shown)
            rows = [dict(zip(table["headings"], row, strict=True)) for row in table["data"]]
            (tunnel,) = [row for row in rows if row["type"] in ("gre", "vxlan")]
            return str(dict(tunnel["bfd_status"][1]).get("state"))

        await until(state, lambda said: said == "up", within_s=30)

    def ip(self, node: str, *words: str) -> Any:
        return json.loads(ovs.run("ip", "-n", self.switches[node].namespace, "-json", *words))

    def set_up(self, node: str) -> bool:
        """Whether the node has its addresses, route and neighbour."""
        (other,) = self.sites[node].cables
        number = self.sites[node].datapath_id & 0xFF
        addresses = {
            (link["ifname"], entry["local"])
            for link in self.ip(node, "-4", "addr")
            for entry in link["addr_info"]
        }
        routes = {(route["dst"], route.get("gateway")) for route in self.ip(node, "route")}
        return (
            {
                ("ov0", f"10.202.{number}.1"),
                (cable_bridge(other), f"10.201.0.{number}"),
            }
            <= addresses
            and ("wire0", f"10.201.0.{number}") not in addresses
            and ("10.203.0.0/16", f"10.202.{number}.254") in routes
            and self.ip(node, "neigh", "show", "dev", "ov0")[0]["state"] == ["PERMANENT"]
        )


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ovs]]:
    folder: Path = tmp_path_factory.mktemp("ovs")
    names = dict.fromkeys(("pe1", "pe2"), "OpenFlow14")
    with ovs.switches(folder, names, bare=True) as running:
        spaces = [switch.namespace for switch in running.values()]
        ovs.cable(spaces[0], "wire0", spaces[1], "wire0")
        for number, space in enumerate(spaces, 1):
            ovs.run("ip", "-n", space, "link", "set", "lo", "up")
            ovs.run("ip", "-n", space, "addr", "add", f"10.201.0.{number}/30", "dev", "wire0")
        yield running


@pytest.fixture
async def lab(switches: dict[str, Ovs]) -> AsyncIterator[Lab]:
    host = NetnsHost({node: switch.namespace for node, switch in switches.items()}.get)
    bridges = OvsdbBridges(host, patience=Timeouts(first_s=0.05, most_s=0.2))
    made = Lab(switches, bridges)
    try:
        yield made
        for site in made.sites.values():
            await bridges.remove(site)
    finally:
        await bridges.close()


async def test_tunnels_live_and_changing_them_keeps_the_flow_table(lab: Lab) -> None:
    await lab.wire()
    pe1 = lab.switches["pe1"]
    assert lab.set_up("pe1")
    assert lab.set_up("pe2")
    await lab.alive("pe1")
    assert pe1.vsctl("get", "bridge", "br1", "fail_mode", "datapath_id").split() == [
        "secure",
        '"0000756d62000001"',
    ]
    (inner,) = lab.ip("pe1", "link", "show", "ov0")
    assert inner["address"] == "02:6d:62:00:00:01"
    pe1.ofctl("add-flow", "priority=7,in_port=1,actions=output:2")
    await lab.wire(kind=TunnelKind.VXLAN, bfd_ms=50)
    await lab.alive("pe1")
    assert any("priority=7,in_port=" in line for line in pe1.ofctl("dump-flows"))


async def test_routes_to_streams_addresses_come_and_go(lab: Lab) -> None:
    def routes() -> dict[str, str]:
        ours = lab.ip("pe1", "route", "show", "proto", "117")
        return {one["dst"]: one.get("gateway", "") for one in ours if one["dev"] == "ov0"}

    await lab.wire(targets=("10.0.0.255", "239.1.2.3"))
    assert routes() == {"10.0.0.255": "10.202.1.254", "239.1.2.3": ""}
    await lab.wire(targets=("10.0.0.255", "10.0.0.7"))
    assert routes() == {"10.0.0.255": "10.202.1.254", "10.0.0.7": "10.202.1.254"}
    await lab.wire()
    assert routes() == {}


async def test_an_unchanged_switch_is_left_alone(lab: Lab) -> None:
    port_maps = await lab.wire()
    before = lab.switches["pe1"].vsctl("get", "open_vswitch", ".", "next_cfg")
    assert await lab.wire() == port_maps
    assert lab.switches["pe1"].vsctl("get", "open_vswitch", ".", "next_cfg") == before


async def test_restarts_are_survived_also_with_devices_made_anew(lab: Lab) -> None:
    port_maps = await lab.wire()
    pe1 = lab.switches["pe1"]
    pe1.end("ovs-vswitchd")
    for device in ("ov0", cable_bridge("pe2")):
        ovs.run("ip", "-n", pe1.namespace, "link", "delete", device)
    pe1.begin("ovs-vswitchd")

    async def set_up() -> bool:
        return lab.set_up("pe1")

    await until(set_up, within_s=30)
    await lab.alive("pe2")
    pe1.end("ovsdb-server")
    pe1.begin("ovsdb-server")
    assert await lab.wire(bfd_ms=50) == port_maps
    assert 'min_tx="50"' in pe1.vsctl("--columns=bfd", "list", "interface")
    await lab.alive("pe1")


async def test_a_node_that_cannot_be_set_up_is_named(lab: Lab) -> None:
    strange = replace(lab.sites["pe1"], node="pe9")
    with pytest.raises(NoNamespace, match="pe9"):
        await NetnsHost(lambda _: None).configure(strange, PortMap())
    namespace = lab.switches["pe1"].namespace
    with pytest.raises(HostNotSetUp, match="ov0"):
        await NetnsHost({"pe9": namespace}.get).configure(strange, PortMap())


async def test_rules_for_an_expected_guest_lead_to_its_port_as_soon_as_it_is_made(lab: Lab) -> None:
    """The hypervisor makes the port without a number, in one transaction, as libvirt does."""
    pe1, switch = replace(lab.sites["pe1"], guests="10.96.1.254/24"), lab.switches["pe1"]
    wanted = replace(lab.wiring("pe1"), guests=("10.96.1.10",))
    expected = (await lab.bridges.ensure(pe1, wanted)).guests["10.96.1.10"]
    assert expected.is_expected
    switch.ofctl("add-flow", f"priority=7,in_port=LOCAL,actions=output:{expected.number}")
    ovs.run("ip", "-n", switch.namespace, "tuntap", "add", "vnet7", "mode", "tap")
    add = ("--if-exists", "del-port", "vnet7", "--", "add-port", "br1", "vnet7")
    mac = f'external_ids:attached-mac="{expected.mac}"'
    switch.vsctl(*add, "--", "set", "Interface", "vnet7", mac)

    async def guest() -> GuestPort:
        return (await lab.bridges.ensure(pe1, wanted)).guests["10.96.1.10"]

    there = replace(expected, device="vnet7", is_expected=False)
    assert await until(guest, lambda one: not one.is_expected) == there
    assert switch.vsctl("get", "Interface", "vnet7", "ofport").strip() == str(expected.number)
    without = await lab.bridges.ensure(pe1, lab.wiring("pe1"))
    assert without.guests["10.96.1.10"] == there
