"""The fast engine: loops that numba compiled (`core`). SteeringPlan and Requests in, Outcomes out.

It owns the arrays. Admission is Algorithm 2 and nothing else; caches are LRU, FIFO or SIEVE.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np

from umbel.caches.policies import Policy
from umbel.kit.errors import Invalid
from umbel.planner.admission import Ask
from umbel.planner.linear import Floats, Ints
from umbel.planner.problem import Resolution
from umbel.simulator import core
from umbel.simulator.arrays import Batch, Net, State, Steer
from umbel.simulator.ports import Outcomes, SteeringPlan, blank
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.world import World

Array = TypeVar("Array", Floats, Ints)
_CACHES = {Policy.FIFO: core.FIFO, Policy.LRU: core.LRU, Policy.SIEVE: core.SIEVE}
POLICIES = tuple(_CACHES)
_RESOLUTIONS = tuple(Resolution)


class NotCompiled(Invalid):
    """The compiled engine supports LRU, FIFO and SIEVE caches only; the reference engine supports
    all."""

    code = "umbel.not_compiled"


class Compiled:
    """The engine on arrays."""

    def __init__(
        self,
        world: World,
        catalogue: Catalogue,
        *,
        cache: Policy = Policy.LRU,
        fetch_mbps: float = 1000.0,
    ) -> None:
        if cache not in POLICIES:
            raise NotCompiled(cache=cache.value)
        self._world = world
        self._net = Net(
            starts=world.path_starts,
            resources=world.path_resources,
            source=world.path_from,
            radio=world.radio,
            size_bytes=catalogue.size_bytes,
            duration_s=catalogue.duration_s,
            storage_bytes=world.storage_bytes,
            numbers=np.array([world.routes.pop, len(Resolution), _CACHES[cache]]),
            fetch_mbps=np.array([fetch_mbps]),
        )
        self._steer: Steer | None = None
        self._state = _begin(world, len(catalogue))

    def install(self, steering: SteeringPlan) -> None:
        self._steer = _steer(self._world, steering)
        running = np.sort(self._state.heap_session[: self._state.size[0]])
        core.rebook(self._net, self._steer, self._state, running)

    def advance(self, requests: Requests, until_s: float) -> Outcomes:
        assert self._steer is not None, "a plan is installed before anything happens"
        self._state = _with_room(self._state, len(requests))
        outcomes = blank(len(requests))
        room = int(self._state.size[0]) + len(requests)
        columns = {f.name: getattr(outcomes, f.name) for f in fields(Outcomes)}
        columns["departed"] = np.zeros(room, dtype=np.int64)
        batch = Batch(**columns, **{f.name: getattr(requests, f.name) for f in fields(Requests)})
        gone = core.advance(self._net, self._steer, self._state, batch, until_s)
        return Outcomes(**(columns | {"departed": batch.departed[:gone].copy()}))


def _begin(world: World, contents: int) -> State:
    ring = np.full((len(world.names), contents + 1), -1, dtype=np.int64)
    ring[:, contents] = contents
    return State(
        used_mbps=np.zeros(len(world.capacity_mbps)),
        used_vcpus=np.zeros(len(world.names)),
        older=ring,
        newer=ring.copy(),
        held_bytes=np.zeros(len(world.names), dtype=np.int64),
        visited=np.zeros((len(world.names), contents), dtype=np.int64),
        hand=np.full(len(world.names), contents, dtype=np.int64),
        heap_s=np.zeros(0),
        heap_session=np.zeros(0, dtype=np.int64),
        size=np.zeros(2, dtype=np.int64),
        session=np.zeros((0, 7), dtype=np.int64),
        session_mbps=np.zeros((0, 3)),
    )


def _with_room(state: State, more: int) -> State:
    """The state with room for so many more requests."""
    heap = int(state.size[0]) + more
    if heap > len(state.heap_s):
        state = state._replace(
            heap_s=_grown(state.heap_s, heap), heap_session=_grown(state.heap_session, heap)
        )
    sessions = int(state.size[1]) + more
    if sessions > len(state.session):
        state = state._replace(
            session=_grown(state.session, sessions),
            session_mbps=_grown(state.session_mbps, sessions),
        )
    return state


def _grown(array: Array, least: int) -> Array:
    found = np.zeros((max(least, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    found[: len(array)] = array
    return found


def _steer(world: World, steering: SteeringPlan) -> Steer:
    """A steering plan by numbers."""
    guide, number = steering.guide, world.path_number
    names = ("", *steering.names)
    kinds = [(name, resolution) for name in names for resolution in _RESOLUTIONS]
    encodings = [
        guide.encoding(Ask(end="", content=name, resolution=resolution))
        for name, resolution in kinds
    ]
    bundles = [
        guide.bundles.get((end, name, resolution), ())
        for end in world.ends
        for name, resolution in kinds
    ]
    ends = [guide.ends.get(end, ()) for end in world.ends]
    lanes = [lane for bundle in bundles for lane in bundle]
    whole = [lane for end in ends for lane in end]
    anywhere = [guide.paths.get(end, ()) for end in world.ends]
    fills = [steering.fills.get(name, ()) for name in world.names]
    return Steer(
        labels=steering.labels,
        bundle_starts=_starts(bundles),
        bundle_path=_ints(number[lane.path] for lane in lanes),
        bundle_mbps=np.array([lane.mbps for lane in lanes], dtype=np.float64),
        bundle_used=np.zeros(len(lanes)),
        end_starts=_starts(ends),
        end_path=_ints(number[lane.path] for lane in whole),
        end_mbps=np.array([lane.mbps for lane in whole], dtype=np.float64),
        end_used=np.zeros(len(whole)),
        any_starts=_starts(anywhere),
        any_path=_ints(number[path] for some in anywhere for path in some),
        fill_starts=_starts(fills),
        fill_path=_ints(number[path] for some in fills for path in some),
        least=np.array([encoding.min_mbps for encoding in encodings]),
        most=np.array([encoding.max_mbps for encoding in encodings]),
        vcpus=np.array([encoding.vcpus for encoding in encodings]),
        capacity_mbps=world.capacity_under(steering.infrastructure),
        capacity_vcpus=world.vcpus_under(steering.infrastructure),
    )


def _starts(groups: Iterable[Sequence[object]]) -> Ints:
    return np.cumsum([0, *(len(group) for group in groups)]).astype(np.int64)


def _ints(numbers: Iterable[int]) -> Ints:
    return np.fromiter(numbers, dtype=np.int64)
