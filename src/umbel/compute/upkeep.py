"""What to stop and start so that the wanted functions, and no others, run. Pure.

In: wanted functions, observed instances, how each did. Out: an Upkeep for service.py to act on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.compute import health
from umbel.compute.model import LIFE_CYCLE, Function, FunctionEvent, FunctionState, Instance

Records = Mapping[str, health.Record]


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """By id: what to stop, what to start (after stopping, where both), and in how many seconds
    those that wait may be started."""

    stop: tuple[str, ...]
    start: Mapping[str, Function]
    waiting: Mapping[str, float]


def observe(have: Mapping[str, Instance], records: Records, now_s: float) -> Records:
    """Every function's record after a look at what there is. One that was there and is not any
    more has failed too."""
    seen = dict(records)
    for id_ in records.keys() - have.keys():
        seen[id_] = health.seen_failed(records[id_], now_s)
    for id_, instance in have.items():
        record = records.get(id_, health.Record())
        if instance.state is FunctionState.FAILED:
            seen[id_] = health.seen_failed(record, now_s)
        elif instance.state is FunctionState.ACTIVE:
            seen[id_] = health.seen_active(record, now_s)
    return seen


def decide(
    wanted: Mapping[str, Function], have: Mapping[str, Instance], records: Records, now_s: float
) -> Upkeep:
    """The steps from `have` to `wanted`. A function on another node or in another role than
    wanted is stopped and started anew."""
    stop = tuple(id_ for id_, instance in have.items() if not _is_wanted(instance, wanted))
    start: dict[str, Function] = {}
    waiting: dict[str, float] = {}
    for id_, function in wanted.items():
        state = have[id_].state if id_ in have and id_ not in stop else FunctionState.ABSENT
        if not LIFE_CYCLE.allows(state, FunctionEvent.SPAWN):
            continue
        delay_s = health.may_start_in_s(records.get(id_, health.Record()), now_s)
        if delay_s > 0:
            waiting[id_] = delay_s
        else:
            start[id_] = function
    return Upkeep(stop=stop, start=start, waiting=waiting)


def _is_wanted(instance: Instance, wanted: Mapping[str, Function]) -> bool:
    function = wanted.get(instance.id)
    return function is not None and (function.node, function.role) == (instance.node, instance.role)
