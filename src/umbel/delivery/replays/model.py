"""What delivery knows of viewers of recordings. Rates are Mbit/s."""

from dataclasses import dataclass

from umbel.media.model import Server

IDLE_S = 120.0
"""A viewer who asked for nothing as long as that has left."""


@dataclass(frozen=True, kw_only=True)
class ReplayViewer:
    """Somebody who comes to play a capture, which takes that rate."""

    capture_id: str
    access_node: str
    mbps: float


@dataclass(frozen=True, kw_only=True)
class ReplaySession:
    """One viewer of a capture at one edge: who has this grant, by access node. `seen_s`: when the
    edge last said that the grant was used."""

    grant_id: str
    access_node: str
    capture_id: str
    function: str
    edge_node: str
    mbps: float
    seen_s: float


@dataclass(frozen=True, kw_only=True)
class ReplayLoad:
    """The viewers of a capture at an edge, and what they take together."""

    capture_id: str
    function: str
    edge_node: str
    viewers: int
    mbps: float


@dataclass(frozen=True, kw_only=True)
class ReplayEdgeAt:
    """An edge that serves recordings: how to reach it, and the rate that its node's live viewers
    leave to recordings."""

    server: Server
    mbps: float
