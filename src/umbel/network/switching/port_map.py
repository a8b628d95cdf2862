"""The OpenFlow port numbers of a node's overlay switch (br1). Values only.

In: what Bridges answered. Out: the ports that rules match and send by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Door(StrEnum):
    """By which port of a node's switch somebody is reached: the patch port to the network outside,
    or the inner port, where the node's own processes are."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, kw_only=True)
class Switch:
    """How a node's overlay switch is plugged: its port toward each neighbour, and the patch port to
    the network outside. What leaves there has `address` as its source where one is given. `inside`
    is the inner port, with its Ethernet address `mac`; 0: there is none."""

    toward: Mapping[str, int]
    outside: int
    address: str = ""
    inside: int = 0
    mac: str = ""

    def door(self, door: Door) -> int:
        """The port that a door is."""
        return self.inside if door is Door.INSIDE else self.outside


@dataclass(frozen=True, kw_only=True)
class Plugs:
    """The OpenFlow port numbers a node's br1 got: its tunnel toward each neighbour, the patch port
    to br0 (`outside`), and the inner port (`inside`) that the node's own functions use, with its
    Ethernet address."""

    toward: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0
    inside: int = 0
    inside_mac: str = ""
