"""How many functions a node is to have in advance."""

from dataclasses import dataclass

MOST_PREPARED = 32
"""Of a role at a node."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """How many idle edges and forwarders are to run on the node."""

    node: str
    edges: int = 0
    forwarders: int = 0


@dataclass(frozen=True, kw_only=True)
class PreparedStatus:
    """What is wanted, and the idle functions that serve at once."""

    wanted: Prepared
    ready: tuple[str, ...]
