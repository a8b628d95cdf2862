"""The OpenFlow port numbers of a node's overlay switch (br1). Values only.

In: what Bridges made. Out: the ports that rules match and send by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """On which side of a node's switch somebody is: inside, a process of the node, reached by the
    local port; or outside, in the access network, reached by the patch port."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, kw_only=True)
class PortMap:
    """The ports that a node's br1 got: its tunnel to each neighbour, the patch port to br0, and the
    local port that the node's own functions use, with its Ethernet address; 0: there is none. What
    leaves by the patch port has `source_address` as its source where one is given."""

    tunnel_ports: Mapping[str, int] = field(default_factory=dict)
    patch_port: int = 0
    local_port: int = 0
    local_mac: str = ""
    source_address: str = ""

    def port(self, side: Side) -> int:
        """The port of a side."""
        return self.local_port if side is Side.INSIDE else self.patch_port
