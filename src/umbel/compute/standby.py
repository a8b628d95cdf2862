"""Which power state each node is in, from what is wanted of it. Pure.

In: the states so far, which nodes shall go to standby, which have or await functions, the time.
Out: the states now. A node whose functions are wanted wakes although it shall be in standby.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.compute.model import NODE_LIFE, NodeEvent, NodeState

UP = frozenset({NodeState.ACTIVE, NodeState.DRAINING})
"""States in which a node's functions run."""
_NOBODY = frozenset[str]()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A node's state, and since when (steady seconds)."""

    state: NodeState = NodeState.ACTIVE
    since_s: float = 0.0


def agreed(
    wanted: Mapping[str, frozenset[str]], users: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """The nodes that shall go to standby: each that an owner named, unless another owner uses it.
    `wanted` is nodes by owner, `users` owners by node."""
    return frozenset(
        node
        for owner, nodes in wanted.items()
        for node in nodes
        if users.get(node, _NOBODY) <= {owner}
    )


def step(
    before: Mapping[str, Condition],
    resting: frozenset[str],
    busy: frozenset[str] | None,
    *,
    now_s: float,
    wake_s: float,
) -> dict[str, Condition]:
    """Every node's state after as many transitions as are due now. Without `busy` it is not known
    which nodes have functions: then none goes to standby, and none is called."""
    after = {}
    for name, before_now in before.items():
        condition, rests = before_now, name in resting
        calls = None if busy is None else name in busy
        while (event := _event(condition, rests, calls, now_s, wake_s)) is not None:
            condition = Condition(state=NODE_LIFE.next(condition.state, event), since_s=now_s)
            if condition.state is NodeState.DRAINING:
                break  # only the next look knows whether anything was placed there since
        after[name] = condition
    return after


def waits_s(conditions: Mapping[str, Condition], *, now_s: float, wake_s: float) -> list[float]:
    """In how many seconds each waking node will be up."""
    waking = (s for s in conditions.values() if s.state is NodeState.WAKING)
    return [max(0.0, condition.since_s + wake_s - now_s) for condition in waking]


def _event(
    condition: Condition, rests: bool, calls: bool | None, now_s: float, wake_s: float
) -> NodeEvent | None:
    match condition.state:
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
            return NodeEvent.WOKEN if now_s >= condition.since_s + wake_s else None
