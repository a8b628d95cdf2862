"""What is remembered of streams because switches may refuse changes of them. Values only."""

from dataclasses import dataclass

from umbel.network.overlay.spanning import SpanningTree
from umbel.network.overlay.streams import Slice, StreamIntent


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A stream as all connected switches took it last; `tree` is None while its root is not
    drawn."""

    intent: StreamIntent
    slice: Slice | None
    tree: SpanningTree | None


@dataclass(frozen=True, kw_only=True)
class HeldRoute:
    """A stream stays on `tree` because a switch does not take its rules over `refused`, which is
    the tree that its links ask for; `why` is what the switch said."""

    tree: SpanningTree
    refused: SpanningTree
    why: str
