"""Where the operator's switches are and how they are to be wired. Values only.

In: a sites file (the testbed writes one; an operator writes it for real switches). The ovsdb driver
makes a site's bridges as its wiring says and answers the ports it got; flows.py uses those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class Site:
    """A node's Open vSwitch. `ovsdb` is where its database listens (`tcp:10.99.1.1:6640` or
    `unix:/path/db.sock`); `nic` the device that br0 takes, if any; `gateway` the address with its
    prefix length that the node has in its access network, on br1's inner port; `underlay` the
    node's own address on the link to each neighbour, where tunnels start."""

    node: str
    ovsdb: str
    datapath_id: int
    underlay: Mapping[str, str]
    gateway: str
    nic: str = ""


class TunnelKind(StrEnum):
    """How overlay packets are wrapped between two br1s."""

    GRE = "gre"
    VXLAN = "vxlan"


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """One end of a tunnel between neighbours. `key` is the overlay network's; `bfd_ms` the interval
    of its life signs, 0: none."""

    neighbour: str
    local: str
    remote: str
    key: int
    kind: TunnelKind = TunnelKind.GRE
    bfd_ms: int = 100


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """All that a node's br1 is to have besides its patch port to br0 and its inner port `ov0`.
    `controller` is an OVSDB target such as `tcp:10.99.0.1:6653`."""

    controller: str
    tunnels: tuple[Tunnel, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plugs:
    """The OpenFlow port numbers a node's br1 got: its tunnel toward each neighbour, the patch port
    to br0 (`outside`), and the inner port (`inside`) that the node's own functions use, with its
    Ethernet address."""

    toward: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0
    inside: int = 0
    inside_mac: str = ""
