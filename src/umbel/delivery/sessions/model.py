"""How many sessions share what."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SessionCount:
    """How many sessions of a stream have the same function, access node and edge's node."""

    stream: str
    function: str
    access_node: str
    edge_node: str
    count: int
