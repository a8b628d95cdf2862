"""What the network talks about. No OpenFlow or OVSDB type appears here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from umbel.kit.errors import Conflict


@dataclass(frozen=True, kw_only=True)
class Link:
    """An undirected link between two nodes: capacity each way in Mbit/s, delay one way in ms; it
    `crosses` ground that is not the operator's, or not."""

    a: str
    b: str
    mbps: float = 1000.0
    delay_ms: float = 1.0
    crosses: bool = False


@dataclass(frozen=True, kw_only=True)
class Host:
    """A provider's or viewer's machine on the access network of a node."""

    name: str
    node: str


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The operator's network: node names, the links between them, and the hosts that a testbed
    makes at them."""

    nodes: tuple[str, ...]
    links: tuple[Link, ...]
    hosts: tuple[Host, ...] = ()


TopologySource = Callable[[], Topology]
"""The network as it is now: nodes come and go."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a function takes a stream's packets: an address and a UDP port on a node."""

    node: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One edge of a delivery tree, as the fabric sees it. `source_address` is where the source
    takes reports of the target, if it is known; hops that differ in it alone are the same."""

    source_node: str
    target: Endpoint
    source_address: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class Route:
    """The best way to a node: every node's name from the start to it, and what it costs."""

    nodes: tuple[str, ...]
    delay_ms: float

    @property
    def target(self) -> str:
        """Where it ends."""
        return self.nodes[-1]

    @property
    def hops(self) -> int:
        """Links on the way."""
        return len(self.nodes) - 1


Pair = tuple[str, str]


def pair(a: str, b: str) -> Pair:
    """A link's ends in alphabetical order."""
    return (a, b) if a < b else (b, a)


class NotProgrammed(Conflict):
    """Umbel does not program switches in this network, so this is not available."""

    code = "umbel.network_not_programmed"
