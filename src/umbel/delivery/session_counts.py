"""How many sessions there are, by what they share.

In: the counts that one statement reads. Out: sums over them, which therefore agree.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SessionCount:
    """How many sessions of a stream have the same function, access node and edge's node."""

    stream: str
    function: str
    access_node: str
    edge_node: str
    count: int


def by_function(counts: Iterable[SessionCount]) -> Counter[tuple[str, str]]:
    """The sessions of each (stream, function)."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in counts:
        sums[one.stream, one.function] += one.count
    return sums


def by_nodes(counts: Iterable[SessionCount]) -> Counter[tuple[str, str, str]]:
    """The sessions of each (stream, access node, edge's node)."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for one in counts:
        sums[one.stream, one.access_node, one.edge_node] += one.count
    return sums
