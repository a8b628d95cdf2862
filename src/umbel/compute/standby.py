"""Which state each node is in, from what is wanted of it. Pure.

In: the states so far, which nodes are to rest, which have or await functions, the time. Out: the
states now. service.py asks at every look; a node that is called for wakes though it is to rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.compute.model import NODE_LIFE, NodeEvent, NodeState

UP = frozenset({NodeState.ACTIVE, NodeState.DRAINING})
"""States in which what is there runs."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A node's state, and since when (steady seconds)."""

    state: NodeState = NodeState.ACTIVE
    since_s: float = 0.0


def step(
    before: Mapping[str, Standing],
    resting: frozenset[str],
    busy: frozenset[str] | None,
    *,
    now_s: float,
    wake_s: float,
) -> dict[str, Standing]:
    """Every node's state after as many transitions as are due now. Without `busy` it is not known
    who has functions: then nobody goes to standby, and nobody is called."""
    after = {}
    for name, before_now in before.items():
        standing, rests = before_now, name in resting
        calls = None if busy is None else name in busy
        while (event := _event(standing, rests, calls, now_s, wake_s)) is not None:
            standing = Standing(state=NODE_LIFE.next(standing.state, event), since_s=now_s)
            if standing.state is NodeState.DRAINING:
                break  # only the next look knows whether anything was placed there meanwhile
        after[name] = standing
    return after


def waits_s(standings: Mapping[str, Standing], *, now_s: float, wake_s: float) -> list[float]:
    """In how many seconds each waking node will be up."""
    waking = (s for s in standings.values() if s.state is NodeState.WAKING)
    return [max(0.0, standing.since_s + wake_s - now_s) for standing in waking]


def _event(
    standing: Standing, rests: bool, calls: bool | None, now_s: float, wake_s: float
) -> NodeEvent | None:
    match standing.state:
        case NodeState.ACTIVE:
            return NodeEvent.RELEASE if rests else None
        case NodeState.DRAINING:
            if not rests:
                return NodeEvent.CLAIM
            return NodeEvent.EMPTIED if calls is False else None
        case NodeState.STANDBY:
            return NodeEvent.CLAIM if calls or not rests else None
        case NodeState.WAKING:
            if rests and calls is False:
                return NodeEvent.RELEASE
            return NodeEvent.WOKEN if now_s - standing.since_s >= wake_s else None
