"""The OpenFlow port numbers of a node's overlay switch (br1). Values only.

In: what Bridges made. Out: the ports that rules match and send by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_MAC_BYTES = 6


class Side(StrEnum):
    """On which side of a node's switch somebody is: inside, a process of the node, reached by the
    local port; or outside, in the access network, reached by the patch port."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, kw_only=True)
class GuestPort:
    """A guest's port, the guest's Ethernet address, and the port's device at the node. One that
    `is_expected` is not there yet: it will have this number."""

    number: int
    mac: str
    device: str = ""
    is_expected: bool = False


@dataclass(frozen=True, kw_only=True)
class PortMap:
    """The ports that a node's br1 got: its tunnel to each neighbour, the patch port to br0, the
    local port that the node's own functions use, with its Ethernet address, and those of guests by
    their addresses; 0: there is none. What leaves by the patch port has `source_address` as its
    source where one is given."""

    tunnel_ports: Mapping[str, int] = field(default_factory=dict)
    patch_port: int = 0
    local_port: int = 0
    local_mac: str = ""
    source_address: str = ""
    guests: Mapping[str, GuestPort] = field(default_factory=dict)


def guest_mac(address: str) -> str:
    """The Ethernet address of the guest with this IPv4 address: see `guest_address`."""
    return ":".join(("52", "54", *(f"{int(part):02x}" for part in address.split("."))))


def guest_address(mac: str) -> str:
    """The IPv4 address that a guest's Ethernet address holds, as hypervisors' drivers give them:
    52:54 and the address. Empty: it is no guest's of ours, such as QEMU's own 52:54:00."""
    parts = mac.lower().split(":")
    if parts[:2] != ["52", "54"] or len(parts) != _MAC_BYTES or parts[2] == "00":
        return ""
    return ".".join(str(int(part, 16)) for part in parts[2:])
