"""What a node's switch is to have, in the database's columns. Pure.

In: a site and its wiring. Out: bridges with their ports, which edits.py compares with what is
there. br0 switches for the network outside; br1 is the overlay, the only one with a controller. A
switch in user space sends tunnels by its own bridges only, so each cable to a neighbour that the
site names gets a small bridge of its own.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.kit.errors import Unprocessable
from umbel.network.drivers.ovsdb.wire import Atom, Value
from umbel.network.topology.sites import (
    ACCESS_BRIDGE,
    LOCAL_PORT,
    OVERLAY_BRIDGE,
    Site,
    Tunnel,
    Wiring,
    cable_bridge,
    device_name,
)

MARK = "umbel"
"""The key, in external_ids, of what we made; its value is the node."""

GUEST_MAC = "attached-mac"
"""The key, in an interface's external_ids, of a guest's Ethernet address, as hypervisors set it."""

_TO_OVERLAY, OUTSIDE_PORT = "br0-br1", "br1-br0"
_OUTSIDE_NUMBER, _INSIDE_NUMBER = 1, 2
_ROOM = 1400
"""What fits into a tunnel over links of 1500 bytes."""


class InvalidLayout(Unprocessable):
    """This bridge layout is not valid for the node."""

    code = "umbel.invalid_bridge_layout"


@dataclass(frozen=True, kw_only=True)
class PortPlan:
    """A port and its only interface. `number` is the OpenFlow port asked for; 0: any."""

    name: str
    interface: Mapping[str, Value]
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class BridgePlan:
    """A bridge. Of one that is `ours` alone, ports that are not planned are removed; of others,
    only those that we made. Where it `has_guests`, ports that a hypervisor made for guests stay."""

    name: str
    columns: Mapping[str, Value]
    ports: tuple[PortPlan, ...]
    ours: bool = True
    has_guests: bool = False
    controller: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All bridges of a node. Others that we made there are not wanted any more."""

    node: str
    bridges: tuple[BridgePlan, ...] = ()
    tunnels: Mapping[str, str] = field(default_factory=dict)
    """The tunnel port toward each neighbour."""


CONTROLLER: Mapping[str, Value] = {"max_backoff": 1000, "connection_mode": "out-of-band"}


def layout(site: Site, wiring: Wiring) -> Layout:
    """Raises InvalidLayout when two tunnels lead to one neighbour."""
    times = Counter(tunnel.neighbour for tunnel in wiring.tunnels)
    twice = sorted(name for name, count in times.items() if count > 1)
    if twice:
        raise InvalidLayout(f"Several tunnels lead to {', '.join(twice)}", neighbours=twice)
    return Layout(
        node=site.node,
        bridges=(_outside(site), _overlay(site, wiring), *_cables(site)),
        tunnels={tunnel.neighbour: tunnel_name(tunnel) for tunnel in wiring.tunnels},
    )


def tunnel_name(tunnel: Tunnel) -> str:
    """The same for the same neighbour and overlay network."""
    return device_name("t", tunnel.neighbour, str(tunnel.key))


def local_mac(site: Site) -> str:
    """The inner port's Ethernet address, which stays when vswitchd makes the port again."""
    low = site.datapath_id & 0xFFFFFFFFFF
    return ":".join(f"{byte:02x}" for byte in (0x02, *low.to_bytes(5, "big")))


def _outside(site: Site) -> BridgePlan:
    devices = [name for name in (site.nic, *site.hosts) if name]
    return BridgePlan(
        name=ACCESS_BRIDGE,
        columns=_columns(site),
        ports=(
            *(PortPlan(name=name, interface={}) for name in devices),
            _patch(_TO_OVERLAY, OUTSIDE_PORT),
        ),
        ours=False,
    )


def _overlay(site: Site, wiring: Wiring) -> BridgePlan:
    config: dict[Atom, Atom] = {
        "datapath-id": f"{site.datapath_id:016x}",
        "disable-in-band": "true",
    }
    inner: dict[str, Value] = {
        "type": "internal",
        "mac": local_mac(site),
        "mtu_request": _ROOM,
    }
    return BridgePlan(
        name=OVERLAY_BRIDGE,
        columns={
            **_columns(site),
            "fail_mode": "secure",
            "protocols": ("OpenFlow13", "OpenFlow14"),
            "other_config": config,
        },
        ports=(
            _patch(OUTSIDE_PORT, _TO_OVERLAY, _OUTSIDE_NUMBER),
            PortPlan(name=LOCAL_PORT, interface=inner, number=_INSIDE_NUMBER),
            *(_tunnel(tunnel) for tunnel in wiring.tunnels),
        ),
        has_guests=bool(site.guests),
        controller=wiring.controller,
    )


def _cables(site: Site) -> tuple[BridgePlan, ...]:
    return tuple(
        BridgePlan(
            name=cable_bridge(neighbour),
            columns={**_columns(site), "fail_mode": "standalone"},
            ports=(PortPlan(name=device, interface={}),),
        )
        for neighbour, device in site.cables.items()
    )


def _columns(site: Site) -> dict[str, Value]:
    return {"datapath_type": "netdev", "external_ids": {MARK: site.node}}


def _patch(name: str, peer: str, number: int = 0) -> PortPlan:
    return PortPlan(
        name=name, interface={"type": "patch", "options": {"peer": peer}}, number=number
    )


def _tunnel(tunnel: Tunnel) -> PortPlan:
    bfd: dict[Atom, Atom] = {"enable": "false"}
    if tunnel.bfd_ms:
        bfd = {"enable": "true", "min_tx": str(tunnel.bfd_ms), "min_rx": str(tunnel.bfd_ms)}
    options: dict[Atom, Atom] = {
        "local_ip": tunnel.local,
        "remote_ip": tunnel.remote,
        "key": str(tunnel.key),
        "tos": "inherit",
    }
    interface: dict[str, Value] = {"type": tunnel.kind.value, "options": options, "bfd": bfd}
    return PortPlan(name=tunnel_name(tunnel), interface=interface)
