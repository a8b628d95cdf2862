"""Where the operator's switches are and how they are to be wired. Values only.

In: a sites file (the testbed writes one; an operator writes it for real switches). The ovsdb driver
makes a site's bridges as its wiring says and returns the ports it got; overlay/compiler.py
uses those.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network

ACCESS_BRIDGE, OVERLAY_BRIDGE, LOCAL_PORT = "br0", "br1", "ov0"
"""A node's bridges, and the overlay's local port in the node."""

NamespaceOf = Callable[[str], str | None]
"""Names the network namespace of this machine that a node is; None: the node is none."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A node's Open vSwitch. `ovsdb` is where its database listens (`tcp:10.99.1.1:6640` or
    `unix:/path/db.sock`); `nic` the device that br0 takes, if any; `gateway` the address with its
    prefix length that the node has in its access network, on br1's inner port; `underlay` the
    node's own address on the link to each neighbour, where tunnels start.

    `hosts` are further devices for br0. `cables` are the devices of the links to neighbours that
    the switch itself must have, because a switch in user space sends tunnels by its own bridges
    only: each gets a bridge (`cable_bridge`), and the underlay address belongs on that. `queues`
    are the devices where packets toward each neighbour wait, if not at the cables. `crossings` are
    the links over ground that is not the operator's, encrypted: for each such neighbour, the
    ADDRESS:PORT where this node takes encrypted packets; the cable there is made by the platform
    (crossings.py). `guests` is the node's address, with its prefix length, in the network of guests
    whose ports are on br1; empty: it has none. They keep their addresses when they move."""

    node: str
    ovsdb: str
    datapath_id: int
    underlay: Mapping[str, str]
    gateway: str
    nic: str = ""
    hosts: tuple[str, ...] = ()
    cables: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    crossings: Mapping[str, str] = field(default_factory=dict)
    guests: str = ""

    @property
    def guest_network(self) -> IPv4Network | None:
        """The network of its guests."""
        return IPv4Interface(self.guests).network if self.guests else None

    def is_same_switch(self, other: "Site") -> bool:
        """Whether both describe one switch, however it is wired."""
        return (self.ovsdb, self.datapath_id) == (other.ovsdb, other.datapath_id)


class TunnelKind(StrEnum):
    """How overlay packets are wrapped between two br1s."""

    GRE = "gre"
    VXLAN = "vxlan"


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """One end of a tunnel between neighbours. `key` is the overlay network's; `bfd_ms` the interval
    of its BFD packets, 0: none."""

    neighbour: str
    local: str
    remote: str
    key: int
    kind: TunnelKind = TunnelKind.GRE
    bfd_ms: int = 100


@dataclass(frozen=True, kw_only=True, order=True)
class UnderlayRoute:
    """To an IPv4 network or address, by the neighbour's address `via` on the link at `device`."""

    to: str
    via: str
    device: str


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """All that a node's br1 is to have in addition to its patch port to br0 and its inner port
    `ov0`. `controller` is an OVSDB target such as `tcp:10.99.0.1:6653`. `targets` are the addresses
    that processes of the node send streams to, other than the platform's own: the node's routes
    lead them to `ov0`. `routes` lead what comes from or goes to access networks over the links,
    where the platform routes the node. `guests` are the addresses of guests that are about to get a
    port of a hypervisor here: its number is to be known before."""

    controller: str
    tunnels: tuple[Tunnel, ...] = ()
    targets: tuple[str, ...] = ()
    routes: tuple[UnderlayRoute, ...] = ()
    guests: tuple[str, ...] = ()


def device_name(kind: str, *names: str) -> str:
    """A network device's name, the same for the same names, within the 15 characters that Linux
    allows: `kind`, what fits of the first name, and a digest of all."""
    digest = hashlib.sha256("/".join(names).encode()).hexdigest()[:6]
    readable = "".join(c for c in names[0] if c.isascii() and c.isalnum())
    return f"{kind}{readable[: 8 - len(kind)]}-{digest}"


def crossing_cable(neighbour: str) -> str:
    """The cable that the platform makes toward a neighbour in another domain."""
    return device_name("x", neighbour)


def cable_bridge(neighbour: str) -> str:
    """The bridge that has the cable to a neighbour, and as its own port the underlay address."""
    return device_name("u", neighbour)
