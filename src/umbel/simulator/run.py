"""One run: a Config in, a Run out. The only module that knows all the others."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np

from umbel.simulator import collectors, requests, world
from umbel.simulator.collectors import Record, Series, Totals
from umbel.simulator.compiled import POLICIES, Compiled
from umbel.simulator.config import Config, Steering
from umbel.simulator.controllers.nearest import Nearest
from umbel.simulator.controllers.virca import Virca
from umbel.simulator.ports import Controller, Engine, Outcomes, SteeringPlan, View, blank
from umbel.simulator.reference import Reference
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.workload import Workload
from umbel.simulator.world import World


class EngineName(StrEnum):
    """Which engine; both give the same Run."""

    COMPILED = "compiled"
    REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What came of a config: the record, and what collectors make of it."""

    config: Config
    record: Record

    def totals(self) -> Totals:
        """Over all measured requests."""
        return collectors.totals(self.record)

    def series(self, bin_s: float = 60.0) -> Series:
        """Over time."""
        return collectors.series(self.record, bin_s)

    def marks(self) -> tuple[tuple[float, str], ...]:
        """When it was optimised again."""
        return collectors.marks(self.record)


def simulate(
    config: Config,
    *,
    engine: EngineName | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Run a config on its own workload. `progress` hears the share that is done, up to 1.

    Without a name, the compiled engine where it knows the cache policy. Raises NotCompiled.
    """
    there = world.build(config)
    workload = Workload(config, there)
    return replay(config, there, workload.catalogue, workload, engine=engine, progress=progress)


def replay(
    config: Config,
    there: World,
    catalogue: Catalogue,
    chunks: Iterable[Requests],
    *,
    engine: EngineName | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Run a config on given requests, such as a trace's; the config's own viewers stay away."""
    runner = _Runner(config, there, catalogue, _engine(engine, config, there, catalogue))
    return Run(config=config, record=runner.run(chunks, progress))


class _Runner:
    """Feeds an engine, and lets the controller look when it wants to."""

    def __init__(self, config: Config, there: World, catalogue: Catalogue, engine: Engine) -> None:
        self._config = config
        self._world = there
        self._catalogue = catalogue
        self._engine = engine
        self._controller = _controller(config, there, catalogue)
        self._requests: list[Requests] = []
        self._outcomes: list[Outcomes] = []
        self._steered: list[tuple[float, SteeringPlan]] = []

    def run(self, chunks: Iterable[Requests], progress: Callable[[float], None] | None) -> Record:
        end_s = self._config.end_s
        self._install(0.0, self._controller.begin())
        for some, until_s, decides in _steps(chunks, self._controller.decision_times(end_s), end_s):
            self._requests.append(some)
            self._outcomes.append(self._engine.advance(some, until_s))
            if decides and until_s < end_s:
                self._decide(until_s)
            if progress is not None:
                progress(until_s / end_s)
        return self._record()

    def _decide(self, now_s: float) -> None:
        steering = self._controller.decide(
            View(
                now_s=now_s,
                catalogue=self._catalogue,
                requests=self._all_requests(),
                outcomes=self._all_outcomes(),
            )
        )
        if steering is not None:
            self._install(now_s, steering)

    def _install(self, now_s: float, steering: SteeringPlan) -> None:
        self._engine.install(steering)
        self._steered.append((now_s, steering))

    def _all_requests(self) -> Requests:
        self._requests = [requests.joined(self._requests)]
        return self._requests[0]

    def _all_outcomes(self) -> Outcomes:
        self._outcomes = [_joined(self._outcomes)]
        return self._outcomes[0]

    def _record(self) -> Record:
        return Record(
            world=self._world,
            catalogue=self._catalogue,
            requests=self._all_requests(),
            outcomes=self._all_outcomes(),
            steering=tuple(self._steered),
            warmup_s=self._config.warmup_s,
            end_s=self._config.end_s,
        )


def _steps(
    chunks: Iterable[Requests], moments: Iterable[float], end_s: float
) -> Iterator[tuple[Requests, float, bool]]:
    """The requests cut at the moments, until the end: some requests, until when, and whether that
    is a moment."""
    ahead = itertools.chain(moments, [end_s])
    moment = next(ahead)
    for chunk in chunks:
        left = chunk
        while len(left) and left.time_s[-1] >= moment:
            cut = int(np.searchsorted(left.time_s, moment, side="left"))
            yield left.between(0, cut), moment, True
            if moment == end_s:
                return
            left, moment = left.between(cut, len(left)), next(ahead)
        if len(left):
            yield left, float(left.time_s[-1]), False
    yield requests.none(), moment, True
    yield from ((requests.none(), moment, True) for moment in ahead)


def _joined(some: Iterable[Outcomes]) -> Outcomes:
    every = [blank(0), *some]
    return Outcomes(
        **{
            f.name: np.concatenate([getattr(one, f.name) for one in every])
            for f in fields(Outcomes)
        }
    )


def _engine(name: EngineName | None, config: Config, there: World, catalogue: Catalogue) -> Engine:
    compiled = config.cache in POLICIES if name is None else name is EngineName.COMPILED
    make = Compiled if compiled else Reference
    return make(there, catalogue, cache=config.cache, fetch_mbps=config.fetch_mbps)


def _controller(config: Config, there: World, catalogue: Catalogue) -> Controller:
    if config.steering is Steering.NEAREST:
        return Nearest(there, catalogue)
    return Virca(config, there, catalogue)
