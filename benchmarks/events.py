"""The simulator's events a second, without solver calls: both engines and SimPy.

In: nothing. Out: JSON lines on stdout, lines for people on stderr. The fixed-mobile tree at load 1
for some hours; an event is an arrival or a departure. `nearest` admits along the shortest path
with room, with LRU caches of 500 GB; SimPy runs that model with a process for each viewer, written
for it here with plain lists. `planned` admits by the lanes of a ViRCA plan. All must agree.
"""

import gc
import statistics
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np
import simpy
from support.figures import Figure, emit

from umbel.planner.problem import Resolution
from umbel.simulator import requests, steering_plans, world
from umbel.simulator.compiled import Compiled
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.controllers.virca import Virca
from umbel.simulator.ports import Engine, Outcomes, SteeringPlan
from umbel.simulator.reference import START_S, Reference
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.workload import Workload
from umbel.simulator.world import World

TO_REACH = 1e6
HOURS, PEER_HOURS = 24, 2
RUNS, PEER_RUNS = 5, 3
ENOUGH = 1e-9


class SimpyModel:
    """`nearest` as one writes it in SimPy."""

    def __init__(self, there: World, contents: Catalogue, steering: SteeringPlan) -> None:
        self.env = simpy.Environment()
        self.pop = there.routes.pop
        self.size = contents.size_bytes.tolist()
        self.length_s = contents.duration_s.tolist()
        self.room = there.storage_bytes.tolist()
        self.caches: list[OrderedDict[int, int]] = [OrderedDict() for _ in there.names]
        self.held = [0] * len(there.names)
        self.free_mbps = there.capacity_under(steering.infrastructure).tolist()
        self.free_vcpus = there.vcpus_under(steering.infrastructure).tolist()
        self.uses = [there.resources_of(path).tolist() for path in range(len(there.paths))]
        self.source = there.path_from.tolist()
        self.radio = there.radio.tolist()
        number = there.path_number
        self.ways = [[number[p] for p in steering.guide.paths[end]] for end in there.ends]
        self.fills = [[number[p] for p in steering.fills.get(n, ())] for n in there.names]
        qoe, known = steering.guide.problem.qoe, steering.guide.contents
        self.encodings = [[qoe.known[known[n].kind, r] for r in Resolution] for n in steering.names]
        self.label = steering.labels.tolist()
        self.served = self.hits = self.events = 0
        self.waited_s = 0.0

    def run(self, some: Requests, until_s: float) -> None:
        columns = (some.time_s, some.until_s, some.end, some.content, some.resolution)
        rows = zip(*(c.tolist() for c in (*columns, some.last_hop_mbps)), strict=True)
        self.env.process(self.arrivals(rows))
        self.env.run(until=until_s)

    def arrivals(self, rows: Iterable[tuple[Any, ...]]) -> Generator[simpy.Event]:
        for row in rows:
            yield self.env.timeout(row[0] - self.env.now)
            self.env.process(self.viewer(*row))

    def viewer(
        self, time_s: float, until_s: float, end: int, content: int, resolution: int, hop: float
    ) -> Generator[simpy.Event]:
        self.events += 1
        encoding = self.encodings[self.label[content]][resolution]
        least, most = min(encoding.min_mbps, hop), min(encoding.max_mbps, hop)
        for path in self.ways[end]:
            if self.free_vcpus[self.source[path]] < encoding.vcpus - ENOUGH:
                continue
            uses = self.uses[path] + ([self.radio[end]] if self.radio[end] >= 0 else [])
            free = min(self.free_mbps[one] for one in uses)
            if free >= least - ENOUGH:
                break
        else:
            return
        rate = max(least, min(most, free))
        fetched = self.fetch(content, path, rate, until_s - time_s)
        if fetched is None:
            return
        fill, fill_mbps = fetched
        self.served += 1
        self.carry(uses, rate, fill, fill_mbps)
        self.free_vcpus[self.source[path]] -= encoding.vcpus
        yield self.env.timeout(until_s - self.env.now)
        self.events += 1
        self.carry(uses, -rate, fill, -fill_mbps)
        self.free_vcpus[self.source[path]] += encoding.vcpus

    def carry(self, uses: list[int], rate: float, fill: list[int], fill_mbps: float) -> None:
        for one in uses:
            self.free_mbps[one] -= rate
        for one in fill:
            self.free_mbps[one] -= fill_mbps

    def fetch(
        self, content: int, path: int, rate: float, watch_s: float
    ) -> tuple[list[int], float] | None:
        """What a fill uses, and at what rate; None where there is no way."""
        node = self.source[path]
        if node == self.pop:
            self.hits += 1
            return [], 0.0
        cache = self.caches[node]
        if content in cache:
            cache.move_to_end(content)
            self.hits += 1
            return [], 0.0
        need = self.size[content] * 8e-6 / watch_s
        taken = set(self.uses[path])
        for fill in self.fills[node]:
            uses = self.uses[fill]
            free = min(self.free_mbps[one] - (rate if one in taken else 0.0) for one in uses)
            if free >= need - ENOUGH:
                stored = self.size[content] * 8e-6 / self.length_s[content]
                self.waited_s += START_S * stored / max(min(free, 1000.0), need)
                self.keep(node, content)
                return uses, need
        return None

    def keep(self, node: int, content: int) -> None:
        cache, size = self.caches[node], self.size[content]
        if size > self.room[node]:
            return
        while self.held[node] + size > self.room[node]:
            _old, gone = cache.popitem(last=False)
            self.held[node] -= gone
        cache[content] = size
        self.held[node] += size


def rate_of(run: Callable[[], int], count: int) -> tuple[float, float]:
    """The median of events by CPU second, and how far apart the runs were."""
    found = []
    for _ in range(count):
        gc.collect()
        began = time.process_time()
        events = run()
        found.append(events / (time.process_time() - began))
    return statistics.median(found), max(found) / min(found)


class Played:
    """An engine through some requests, again at each run."""

    def __init__(self, make: Callable[[], Engine], steering: SteeringPlan, some: Requests) -> None:
        self._make, self._plan, self._some = make, steering, some
        self.outcomes: Outcomes

    def __call__(self) -> int:
        engine = self._make()
        engine.install(self._plan)
        self.outcomes = engine.advance(self._some, float(self._some.time_s[-1]))
        return len(self.outcomes) + len(self.outcomes.departed)


def first_hours(some: Requests, hours: float) -> Requests:
    return some.between(0, int(np.searchsorted(some.time_s, hours * 3600.0)))


def simpy_case(
    there: World, contents: Catalogue, steering: SteeringPlan, some: Requests
) -> SimpyModel:
    model = SimpyModel(there, contents, steering)
    model.run(some, float(some.time_s[-1]) + 1e-6)
    return model


def compare(
    name: str, there: World, contents: Catalogue, steering: SteeringPlan, some: Requests
) -> None:
    """Both engines, and SimPy where it knows the plan; short runs for the slow ones."""
    short = first_hours(some, PEER_HOURS)
    reference = Played(lambda: Reference(there, contents), steering, short)
    fast = Played(lambda: Compiled(there, contents), steering, some)
    again = Played(lambda: Compiled(there, contents), steering, short)
    again()  # compiles, too
    compiled_rate, apart = rate_of(fast, RUNS)
    reference_rate, _apart = rate_of(reference, PEER_RUNS)
    assert np.array_equal(again.outcomes.path, reference.outcomes.path)
    assert np.array_equal(again.outcomes.delay_s, reference.outcomes.delay_s)
    suffix = "" if name == "nearest" else f"-{name}"
    served = (again.outcomes.outcome > 0).mean()
    print(f"{name}: {len(some)} requests, {served:.0%} served, runs {apart:.2f}", file=sys.stderr)
    if name == "nearest":
        models: list[SimpyModel] = []

        def peer() -> int:
            models.append(simpy_case(there, contents, steering, short))
            return models[-1].events

        peer_rate, _apart = rate_of(peer, PEER_RUNS)
        agree(models[-1], again.outcomes)
        simpy_name = f"SimPy {simpy.__version__}"
        tell("reference", reference_rate, simpy_name, peer_rate, PEER_RUNS)
        tell("compiled", compiled_rate, simpy_name, peer_rate, RUNS)
    tell(f"compiled{suffix}", compiled_rate, "reference engine", reference_rate, RUNS)
    tell(f"compiled{suffix}", compiled_rate, "to reach", TO_REACH, RUNS)


def agree(model: SimpyModel, outcomes: Outcomes) -> None:
    """SimPy's model is the engines' own."""
    served = outcomes.outcome > 0
    assert model.served == served.sum()
    assert model.hits == outcomes.hit[served].sum()
    assert np.isclose(model.waited_s, outcomes.delay_s.sum())


def tell(case: str, value: float, peer: str, peer_value: float, n: int) -> None:
    figure = Figure(
        bench="events",
        case=case,
        value=round(value),
        unit="events/s",
        peer=peer,
        peer_value=round(peer_value),
        n=n,
    )
    emit(figure)


def main() -> None:
    config = Config(phases=(Phase(duration_s=HOURS * 3600.0),), steering=Steering.VIRCA, gamma=10.0)
    there = world.build(config)
    workload = Workload(config, there)
    some, contents = requests.joined(workload), workload.catalogue
    compare("nearest", there, contents, steering_plans.nearest(there, contents.kind), some)
    compare("planned", there, contents, Virca(config, there, contents).begin(), some)


if __name__ == "__main__":
    main()
