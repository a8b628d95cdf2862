"""Which node serves a request, and along which path (Algorithm 2); or why none does. Pure.

A request, the last plan as a `Guide`, and what is free now in; Admitted or Rejected out. The live
platform and the simulator count what they admitted in a `Ledger`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from umbel.planner import drift
from umbel.planner.paths import Routes
from umbel.planner.problem import Content, Encoding, Problem, Resolution
from umbel.planner.result import Infrastructure, Plan

_ENOUGH = 1e-9
Path = tuple[str, ...]


class Reason(StrEnum):
    """Why a request is rejected. Frozen: traces and metrics carry these words."""

    CPU = "cpu"
    BANDWIDTH = "bandwidth"  # cache to end node
    FILL = "fill"  # PoP to cache; known only after the cache was looked up, so never from `decide`
    UNREACHABLE = "unreachable"  # nothing that is on has a path to the end node


CODES: Final[Mapping[Reason, int]] = MappingProxyType(
    {Reason.CPU: 1, Reason.BANDWIDTH: 2, Reason.FILL: 4, Reason.UNREACHABLE: 8}
)
"""The numbers of the paper's figures (1, 2 and 4) and ours."""


class Step(StrEnum):
    """How far the search went."""

    BUNDLE = "bundle"  # the budget of its own bundle
    END = "end"  # the budgets of all bundles of its end node
    ANY = "any"  # any path to the end node, or to its base band's host


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A classified request (see `classes`). The empty content is one unlike all known ones."""

    end: str
    content: str
    resolution: Resolution
    last_hop_mbps: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A path and its budget in Mbit/s."""

    path: Path
    mbps: float


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A plan as Algorithm 2 reads it: lanes by bundle and by end node, and all paths of what is
    on by end node, shortest first."""

    problem: Problem
    bundles: Mapping[tuple[str, str, Resolution], tuple[Lane, ...]]
    ends: Mapping[str, tuple[Lane, ...]]
    paths: Mapping[str, tuple[Path, ...]]
    contents: Mapping[str, Content] = field(default_factory=dict)

    def encoding(self, ask: Ask) -> Encoding:
        """What serving it takes."""
        content = self.contents.get(ask.content)
        return drift.encoding_of(self.problem, content, ask.resolution)


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """Served by the path's first node at that rate, with that many vCPUs."""

    path: Path
    step: Step
    mbps: float
    vcpus: float

    @property
    def source(self) -> str:
        """The serving node."""
        return self.path[0]


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Not served."""

    reason: Reason


class Room(Protocol):
    """What is free now."""

    def free_mbps(self, path: Path) -> float:
        """B(p): Mbit/s another request may take along the path."""

    def free_vcpus(self, node: str) -> float:
        """CPU(i): vCPUs free at a node; 0 where it is off."""


class Ledger:
    """What running requests take of the budgets. After a new plan, begin a new one from them."""

    def __init__(self) -> None:
        self._bundles: dict[tuple[str, str, Resolution, Path], float] = {}
        self._ends: dict[tuple[str, Path], float] = {}

    def add(self, ask: Ask, path: Path, mbps: float) -> None:
        """Count a request; with a negative rate, its end."""
        bundle = (ask.end, ask.content, ask.resolution, path)
        self._bundles[bundle] = self._bundles.get(bundle, 0.0) + mbps
        self._ends[ask.end, path] = self._ends.get((ask.end, path), 0.0) + mbps

    def of_bundle(self, ask: Ask, path: Path) -> float:
        """Mbit/s of its own bundle along the path."""
        return self._bundles.get((ask.end, ask.content, ask.resolution, path), 0.0)

    def of_end(self, ask: Ask, path: Path) -> float:
        """Mbit/s of its end node's bundles along the path."""
        return self._ends.get((ask.end, path), 0.0)


def guide_of(problem: Problem, routes: Routes, plan: Plan) -> Guide:
    """What Algorithm 2 needs of a plan."""
    bundles: dict[tuple[str, str, Resolution], list[Lane]] = {}
    ends: dict[str, dict[Path, float]] = {}
    for budget in plan.budgets():
        key = (budget.end, budget.content, budget.resolution)
        bundles.setdefault(key, []).append(Lane(path=budget.path, mbps=budget.mbps))
        some = ends.setdefault(budget.end, {})
        some[budget.path] = some.get(budget.path, 0.0) + budget.mbps
    return Guide(
        problem=problem,
        bundles={key: tuple(lanes) for key, lanes in bundles.items()},
        ends={
            end: tuple(Lane(path=path, mbps=mbps) for path, mbps in some.items())
            for end, some in ends.items()
        },
        paths=_lit_paths(routes, plan.infrastructure),
        contents={content.name: content for content in problem.demand.contents},
    )


def decide(ask: Ask, guide: Guide, ledger: Ledger, room: Room) -> Admitted | Rejected:
    """Steps 2 to 12 of Algorithm 2. Where several lanes will do, the one with the most of its
    budget left, so that a bundle spreads over its paths; equal ones in the plan's order."""
    encoding = guide.encoding(ask)
    own = guide.bundles.get((ask.end, ask.content, ask.resolution), ())
    whole = guide.ends.get(ask.end, ())
    found = _fullest(own, lambda path: ledger.of_bundle(ask, path), ask, encoding, room)
    step = Step.BUNDLE
    if found is None:
        found = _fullest(whole, lambda path: ledger.of_end(ask, path), ask, encoding, room)
        step = Step.END
    if found is not None:
        return Admitted(path=found[0], step=step, mbps=found[1], vcpus=encoding.vcpus)
    return _anywhere(ask, guide, encoding, room)


def _lit_paths(routes: Routes, on: Infrastructure) -> dict[str, tuple[Path, ...]]:
    """The paths to each end, or its base band's host, over routers and switches that are on."""
    switches = {node.name for node in on.nodes if node.switch_on}
    routers = {node.name for node in on.nodes if node.router_on}
    to: dict[str, list[Path]] = {}
    for numbers in routes.paths:
        path = tuple(routes.names[number] for number in numbers)
        moves = len(path) > 1
        if {path[0], path[-1]} <= switches and (not moves or routers.issuperset(path)):
            to.setdefault(path[-1], []).append(path)
    found = {}
    for number in routes.ends:
        end = routes.names[number]
        sources = {routes.names[source] for source in routes.sources[number]}
        some = (path for path in to.get(on.hosts.get(end, end), ()) if path[0] in sources)
        found[end] = tuple(sorted(some, key=len))
    return found


def _fullest(
    lanes: Iterable[Lane],
    used: Callable[[Path], float],
    ask: Ask,
    encoding: Encoding,
    room: Room,
) -> tuple[Path, float] | None:
    """The fitting lane with the most left, and the rate on it."""
    least, most = _rates(ask, encoding)
    best: tuple[Path, float] | None = None
    best_left = least - _ENOUGH
    for lane in lanes:
        left = lane.mbps - used(lane.path)
        if left < least - _ENOUGH or (best is not None and left <= best_left):
            continue
        free = room.free_mbps(lane.path)
        if free >= least - _ENOUGH and room.free_vcpus(lane.path[0]) >= encoding.vcpus - _ENOUGH:
            best, best_left = (lane.path, max(least, min(most, left, free))), left
    return best


def _anywhere(ask: Ask, guide: Guide, encoding: Encoding, room: Room) -> Admitted | Rejected:
    """The first path that has room, beyond all budgets."""
    least, most = _rates(ask, encoding)
    paths = guide.paths.get(ask.end, ())
    served = False
    for path in paths:
        if room.free_vcpus(path[0]) < encoding.vcpus - _ENOUGH:
            continue
        served = True
        free = room.free_mbps(path)
        if free >= least - _ENOUGH:
            mbps = max(least, min(most, free))
            return Admitted(path=path, step=Step.ANY, mbps=mbps, vcpus=encoding.vcpus)
    if not paths:
        return Rejected(reason=Reason.UNREACHABLE)
    return Rejected(reason=Reason.BANDWIDTH if served else Reason.CPU)


def _rates(ask: Ask, encoding: Encoding) -> tuple[float, float]:
    """The least and the most that the viewer can be served at; a last hop below the least rate
    still gets what it carries."""
    return min(encoding.min_mbps, ask.last_hop_mbps), min(encoding.max_mbps, ask.last_hop_mbps)
