"""The engine to read: a heap of departures, one request at a time, names instead of numbers.

SteeringPlan and Requests in, Outcomes out, by the live platform's own admission. `compiled` does
the same on arrays and must agree with this to the last bit.
"""

import heapq
import math
from dataclasses import dataclass, replace

import numpy as np

from umbel.caches import policies
from umbel.caches.policies import Policy
from umbel.planner import admission
from umbel.planner.admission import CODES, Admitted, Ask, Ledger, Reason, Rejected
from umbel.planner.problem import Resolution
from umbel.simulator.ports import STEPS, Admission, Outcomes, SteeringPlan, blank
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.world import Path, World

START_S = 15.0
_MBIT_PER_BYTE = 8e-6
_RESOLUTIONS = tuple(Resolution)
_ENOUGH = 1e-9


@dataclass(frozen=True, slots=True)
class Session:
    """A served request. `fill` is -1 where nothing is fetched."""

    content: int
    end: int
    resolution: int
    path: int
    mbps: float
    vcpus: float
    fill: int
    fill_mbps: float


@dataclass(frozen=True, slots=True)
class Fill:
    """How a served request gets what the cache has not."""

    path: int
    mbps: float
    delay_s: float


class Reference:
    """The readable engine."""

    def __init__(
        self,
        world: World,
        catalogue: Catalogue,
        *,
        cache: Policy = Policy.LRU,
        fetch_mbps: float = 1000.0,
        admit: Admission = admission.decide,
    ) -> None:
        self._world = world
        self._catalogue = catalogue
        self._fetch_mbps = fetch_mbps
        self._admit = admit
        self._caches = [policies.make(cache, int(size)) for size in world.storage_bytes]
        # Lists: one by one, their items are read faster than an array's.
        self._used_mbps = [0.0] * len(world.capacity_mbps)
        self._used_vcpus = [0.0] * len(world.names)
        self._capacity_mbps: list[float] = world.capacity_mbps.tolist()
        self._capacity_vcpus = [0.0] * len(world.names)
        self._uses: list[list[int]] = [
            world.resources_of(path).tolist() for path in range(len(world.paths))
        ]
        self._source: list[int] = world.path_from.tolist()
        self._radio: list[int] = world.radio.tolist()
        self._leaving: list[tuple[float, int]] = []
        self._sessions: dict[int, Session] = {}
        self._ledger = Ledger()
        self._plan: SteeringPlan | None = None
        self._next = 0

    def install(self, steering: SteeringPlan) -> None:
        self._plan = steering
        self._capacity_mbps = self._world.capacity_under(steering.infrastructure).tolist()
        self._capacity_vcpus = self._world.vcpus_under(steering.infrastructure).tolist()
        self._ledger = Ledger()
        for session in self._sessions.values():
            self._book(session, session.mbps)

    def advance(self, requests: Requests, until_s: float) -> Outcomes:
        outcomes = blank(len(requests))
        departed: list[int] = []
        for at in range(len(requests)):
            now_s = float(requests.time_s[at])
            while self._leaving and self._leaving[0][0] <= now_s:
                departed.append(self._depart())
            self._arrive(requests, at, outcomes)
            self._next += 1
        while self._leaving and self._leaving[0][0] < until_s:
            departed.append(self._depart())
        return replace(outcomes, departed=np.array(departed, dtype=np.int64))

    def _arrive(self, requests: Requests, at: int, outcomes: Outcomes) -> None:
        steering = self._steering
        end, content = int(requests.end[at]), int(requests.content[at])
        label = int(steering.labels[content])
        outcomes.label[at] = label
        ask = self._ask(end, content, int(requests.resolution[at]), requests.last_hop_mbps[at])
        found = self._admit(ask, steering.guide, self._ledger, _Room(self, end))
        if isinstance(found, Rejected):
            outcomes.outcome[at] = -CODES[found.reason]
            return
        path = self._world.path_number[found.path]
        source = self._source[path]
        hit = source == self._world.routes.pop or content in self._caches[source]
        watch_s = requests.until_s[at] - requests.time_s[at]
        fill = Fill(-1, 0.0, 0.0) if hit else self._fill(content, path, found, float(watch_s))
        if fill is None:
            outcomes.outcome[at] = -CODES[Reason.FILL]
            return
        if source != self._world.routes.pop:
            size_bytes = int(self._catalogue.size_bytes[content])
            self._caches[source].request(content, size_bytes, float(requests.time_s[at]))
        session = Session(
            content,
            end,
            int(requests.resolution[at]),
            path,
            found.mbps,
            found.vcpus,
            fill.path,
            fill.mbps,
        )
        self._begin(session, float(requests.until_s[at]))
        outcomes.outcome[at] = STEPS[found.step.value]
        outcomes.path[at], outcomes.mbps[at], outcomes.vcpus[at] = path, found.mbps, found.vcpus
        outcomes.hit[at], outcomes.fill[at] = hit, fill.path
        outcomes.fill_mbps[at], outcomes.delay_s[at] = fill.mbps, fill.delay_s

    def _fill(self, content: int, path: int, found: Admitted, watch_s: float) -> Fill | None:
        """The first lit path from the PoP that carries the content within the time it is watched;
        the start goes as fast as the path is free."""
        size_mbit = float(self._catalogue.size_bytes[content]) * _MBIT_PER_BYTE
        rate = size_mbit / watch_s if watch_s > 0 else math.inf
        stored_mbps = size_mbit / float(self._catalogue.duration_s[content])
        for fill in self._steering.fills.get(found.source, ()):
            number = self._world.path_number[fill]
            free = self._free_beside(number, path, found.mbps)
            if free >= rate - _ENOUGH:
                fastest = min(free, self._fetch_mbps)
                return Fill(number, rate, START_S * stored_mbps / max(fastest, rate))
        return None

    def _free_beside(self, path: int, other: int, other_mbps: float) -> float:
        """Free along a path once another carries what it is about to."""
        taken = self._uses[other]
        free = math.inf
        for one in self._uses[path]:
            left = self._capacity_mbps[one] - self._used_mbps[one]
            free = min(free, left - other_mbps if one in taken else left)
        return free

    def _begin(self, session: Session, until_s: float) -> None:
        self._carry(session, 1.0)
        self._book(session, session.mbps)
        self._sessions[self._next] = session
        heapq.heappush(self._leaving, (until_s, self._next))

    def _depart(self) -> int:
        _until_s, number = heapq.heappop(self._leaving)
        session = self._sessions.pop(number)
        self._carry(session, -1.0)
        self._book(session, -session.mbps)
        return number

    def _carry(self, session: Session, sign: float) -> None:
        """Take, or give back, bandwidth and vCPUs."""
        for one in self._uses[session.path]:
            self._used_mbps[one] += sign * session.mbps
        radio = self._radio[session.end]
        if radio >= 0:
            self._used_mbps[radio] += sign * session.mbps
        self._used_vcpus[self._source[session.path]] += sign * session.vcpus
        if session.fill >= 0:
            for one in self._uses[session.fill]:
                self._used_mbps[one] += sign * session.fill_mbps

    def _book(self, session: Session, mbps: float) -> None:
        ask = self._ask(session.end, session.content, session.resolution, math.inf)
        self._ledger.add(ask, self._world.paths[session.path], mbps)

    def _ask(self, end: int, content: int, resolution: int, last_hop_mbps: float) -> Ask:
        label = int(self._steering.labels[content])
        return Ask(
            end=self._world.ends[end],
            content=self._steering.names[label] if label >= 0 else "",
            resolution=_RESOLUTIONS[resolution],
            last_hop_mbps=float(last_hop_mbps),
        )

    @property
    def _steering(self) -> SteeringPlan:
        assert self._plan is not None, "a plan is installed before anything happens"
        return self._plan

    def free_mbps(self, path: Path, end: int) -> float:
        """B(p), with the radio of the end."""
        free, radio = math.inf, self._radio[end]
        some = self._uses[self._world.path_number[path]]
        for one in (*some, radio) if radio >= 0 else some:
            free = min(free, self._capacity_mbps[one] - self._used_mbps[one])
        return free

    def free_vcpus(self, node: str) -> float:
        """CPU(i)."""
        number = self._world.node_number[node]
        return self._capacity_vcpus[number] - self._used_vcpus[number]


@dataclass(frozen=True, slots=True)
class _Room:
    """What is free for one end node."""

    engine: Reference
    end: int

    def free_mbps(self, path: Path) -> float:
        return self.engine.free_mbps(path, self.end)

    def free_vcpus(self, node: str) -> float:
        return self.engine.free_vcpus(node)
