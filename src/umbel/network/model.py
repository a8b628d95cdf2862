"""What the network talks about. No OpenFlow or OVSDB type appears here."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Link:
    """An undirected link between two nodes: capacity each way in Mbit/s, delay one way in ms."""

    a: str
    b: str
    mbps: float = 1000.0
    delay_ms: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The operator's network: node names and the links between them."""

    nodes: tuple[str, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a function takes a stream's packets: an address and a UDP port on a node."""

    node: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One edge of a delivery tree, as the fabric sees it."""

    source_node: str
    target: Endpoint
