"""What to stop and start so that an owner's wanted functions, and no others of its own, run. Pure.

In: wanted functions, observed instances, how each did. Out: Steps for service.py to do.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from umbel.compute import health
from umbel.compute.model import LIFE_CYCLE, Function, FunctionEvent, FunctionState, Instance, Move
from umbel.kit.errors import UmbelError

Histories = Mapping[str, health.History]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """By id: what to stop, what to start (after stopping, where both), in how many seconds those
    that wait may be started, and the owner of each id that is taken."""

    stop: tuple[str, ...]
    start: Mapping[str, Function]
    waiting: Mapping[str, float]
    taken: Mapping[str, str] = field(default_factory=dict)

    def only_starting(self, able: Collection[str]) -> "Steps":
        """The steps without the starts, now or later, of functions that are not `able`."""
        return replace(
            self,
            start={id_: function for id_, function in self.start.items() if id_ in able},
            waiting={id_: delay_s for id_, delay_s in self.waiting.items() if id_ in able},
        )

    def without(self, ids: Collection[str]) -> "Steps":
        """The steps that touch none of these functions."""
        return replace(
            self,
            stop=tuple(id_ for id_ in self.stop if id_ not in ids),
            start={id_: function for id_, function in self.start.items() if id_ not in ids},
            waiting={id_: delay_s for id_, delay_s in self.waiting.items() if id_ not in ids},
        )


@dataclass(frozen=True, kw_only=True)
class EnsureResult:
    """What `ensure` did. `refused` could not be started or stopped, and why; `again_s` is in how
    many seconds another `ensure` is due for those that wait after failing, None for none."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    refused: Mapping[str, UmbelError] = field(default_factory=dict)
    again_s: float | None = None


def observe(have: Mapping[str, Instance], histories: Histories, now_s: float) -> Histories:
    """Every function's history after an observation. One that was there and vanished has failed
    too."""
    seen = dict(histories)
    for id_ in histories.keys() - have.keys():
        seen[id_] = health.seen_failed(histories[id_], now_s)
    for id_, instance in have.items():
        history = histories.get(id_, health.History())
        if instance.state is FunctionState.FAILED:
            seen[id_] = health.seen_failed(history, now_s)
        elif instance.state is FunctionState.ACTIVE:
            seen[id_] = health.seen_active(history, now_s)
    return seen


def of_owner(instances: Mapping[str, Instance], owner: str) -> dict[str, Instance]:
    """The owner's functions."""
    return {id_: one for id_, one in instances.items() if one.owner == owner}


def moved(
    wanted: Mapping[str, Function], have: Mapping[str, Instance], moves: Mapping[str, Move]
) -> dict[str, Function]:
    """What is wanted, where it is by now. An owner may have read its rows before a function was
    moved, or while it is being copied: it does not want it back at the move's source."""
    after = dict(wanted)
    for id_, move in moves.items():
        if id_ not in wanted or id_ not in have or wanted[id_].node != move.source:
            continue
        if have[id_].node == move.target:
            after[id_] = replace(wanted[id_], node=move.target)
    return after


def steps(
    owner: str,
    wanted: Mapping[str, Function],
    instances: Mapping[str, Instance],
    histories: Histories,
    now_s: float,
) -> Steps:
    """The steps from what there is to `wanted`. A function on another node or of another
    description than wanted is stopped and started again. Other owners' functions are left alone;
    a wanted id that one of them has is `taken`."""
    have = of_owner(instances, owner)
    taken = {id_: instances[id_].owner for id_ in wanted if id_ in instances and id_ not in have}
    stop = tuple(id_ for id_, instance in have.items() if not _is_wanted(instance, wanted))
    start: dict[str, Function] = {}
    waiting: dict[str, float] = {}
    for id_, function in wanted.items():
        if id_ in taken:
            continue
        state = have[id_].state if id_ in have and id_ not in stop else FunctionState.ABSENT
        if not LIFE_CYCLE.allows(state, FunctionEvent.START):
            continue
        delay_s = health.may_start_in_s(id_, histories.get(id_, health.History()), now_s)
        if delay_s > 0:
            waiting[id_] = delay_s
        else:
            start[id_] = function
    return Steps(stop=stop, start=start, waiting=waiting, taken=taken)


def _is_wanted(instance: Instance, wanted: Mapping[str, Function]) -> bool:
    function = wanted.get(instance.id)
    if function is None:
        return False
    kind = (function.node, function.description.name)
    return kind == (instance.node, instance.description)
