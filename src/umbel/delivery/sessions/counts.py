"""How many sessions there are, by what they share.

In: the counts that one statement reads. Out: sums over them, which therefore agree.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from umbel.delivery.guidance import Watch
from umbel.delivery.sessions.model import SessionCount
from umbel.delivery.trees import renditions


def by_function(counts: Iterable[SessionCount]) -> Counter[tuple[str, str]]:
    """The sessions of each (stream, function)."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in counts:
        sums[one.stream, one.function] += one.count
    return sums


def by_nodes(counts: Iterable[SessionCount]) -> Counter[Watch]:
    """The sessions of each (stream, access node, edge's node)."""
    sums: Counter[Watch] = Counter()
    for one in counts:
        sums[one.stream, one.access_node, one.edge_node] += one.count
    return sums


def of_event(watching: Mapping[Watch, float], event_id: str) -> Counter[tuple[str, str]]:
    """The event's viewers in any quality, by (access node, edge's node): whole ones."""
    sums: Counter[tuple[str, str]] = Counter()
    for (stream, access_node, edge_node), count in watching.items():
        if count and renditions.event_of(stream) == event_id:
            sums[access_node, edge_node] += round(count)
    return sums


def by_access_node(watching: Mapping[Watch, float], event_id: str) -> Counter[str]:
    """The event's viewers in any quality, by access node: whole ones."""
    sums: Counter[str] = Counter()
    for (access_node, _), count in of_event(watching, event_id).items():
        sums[access_node] += count
    return sums
