"""ViRCA in a run: Algorithm 1 on what monitoring sees, by the planner's own pure parts.

Views in, steering plans out. Solving takes no virtual time. A solver that runs out of time without
a plan leaves the steering plan as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from umbel.planner import classes, clustering, control, demand, drift, rca, solve
from umbel.planner.clustering import Clustering
from umbel.planner.control import Control, Periods, Seen, Trigger
from umbel.planner.demand import Observations
from umbel.planner.drift import Sample
from umbel.planner.linear import Ints
from umbel.planner.problem import Demand, Effort, Problem, Tradeoff, Variant
from umbel.planner.result import Result
from umbel.simulator import monitoring, steering_plans
from umbel.simulator.config import Config
from umbel.simulator.ports import SteeringPlan, View
from umbel.simulator.requests import Catalogue
from umbel.simulator.world import BYTES_PER_GB, World


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is in force: the problem that was solved, its plan, and the samples since."""

    problem: Problem
    steering: SteeringPlan
    control: Control
    samples: tuple[Sample, ...] = field(default=(), repr=False)


class Virca:
    """Re-optimises by need."""

    def __init__(self, config: Config, world: World, catalogue: Catalogue) -> None:
        self._config = config
        self._world = world
        self._catalogue = catalogue
        self._variant = Variant(config.steering.value)
        self._periods = Periods(
            sample_s=config.sample_s, rca_s=config.rca_s, virca_s=config.virca_s
        )
        self._standing: Standing | None = None
        self._start: rca.Start | None = None
        self._sampled_s = 0.0

    def begin(self) -> SteeringPlan:
        """A plan for an audience like the one that will come; no viewer was seen yet."""
        loads = self._config.phases[0].loads
        random = np.random.default_rng([self._config.seed, 0])
        expected = demand.observe(
            random,
            self._world.network,
            sum(loads) / len(loads) * self._config.requests_per_s / demand.REQUESTS_PER_S,
            contents=self._config.catalogue,
        )
        problem, labels = self._problem(expected)
        found = self._plan(problem)
        begun, _trigger = control.starved(control.begin(0.0))
        if found.plan is not None:
            return self._install(problem, found, "start", labels, _planned(begun, problem, found))
        steering = steering_plans.nearest(self._world, self._catalogue.kind)
        failed = control.after(begun, Trigger.FAILED)
        self._standing = Standing(problem=steering.guide.problem, steering=steering, control=failed)
        return steering

    def decision_times(self, until_s: float) -> Iterator[float]:
        """Whenever a sample or a period ends."""
        periods = (self._periods.sample_s, self._periods.rca_s, self._periods.virca_s)
        ends = {n * p for p in periods for n in range(1, int(until_s / p) + 1)}
        return iter(sorted(end for end in ends if end < until_s))

    def decide(self, view: View) -> SteeringPlan | None:
        standing = self._sampled(view)
        moved, trigger = control.tick(
            standing.control, self._seen(view, standing), view.now_s, self._periods
        )
        self._standing = standing = replace(standing, control=moved)
        if trigger is None:
            return None
        problem, labels = self._problem(self._watched(view))
        if trigger is Trigger.DRIFTED:
            return self._reroute(problem, labels, standing)
        return self._replan(problem, labels, standing)

    def _sampled(self, view: View) -> Standing:
        standing = self._in_force
        if view.now_s - self._sampled_s >= self._periods.sample_s:
            seen = monitoring.sample(view, self._world, standing.steering, self._sampled_s)
            self._sampled_s = view.now_s
            standing = replace(standing, samples=(*standing.samples, seen))
        return standing

    def _seen(self, view: View, standing: Standing) -> Seen:
        network = self._world.network
        plan = standing.steering.plan
        nodes = standing.steering.infrastructure.nodes
        since_s = max(0.0, view.now_s - self._periods.sample_s)
        bbu = sum(node.bbu_vcpus for node in nodes)
        outgrown: tuple[str, ...] = ("everything",)
        if plan is not None:
            most = drift.peak(standing.samples)
            change = drift.variation(standing.problem, plan, most)
            outgrown = drift.outgrown(change, drift.slack(standing.problem, plan))
        return Seen(
            used_vcpus=bbu + monitoring.used_vcpus(view, since_s),
            planned_vcpus=bbu + sum(node.transcode_vcpus for node in nodes),
            node_vcpus=min(node.servers for node in network.nodes) * network.vcpus_per_server,
            outgrown=outgrown if standing.samples else (),
        )

    def _reroute(self, problem: Problem, labels: Ints, standing: Standing) -> SteeringPlan | None:
        """RCA on what is on; ViRCA where that is not enough."""
        on = standing.steering.infrastructure
        found = rca.solve(
            problem,
            on,
            self._variant,
            routes=self._world.routes,
            start=self._start,
            time_s=self._config.solver_s,
        )
        self._start = found.start
        plan = found.result.plan
        share = None if plan is None else drift.share_of(problem, plan)
        verdict = control.judge(standing.control, share, self._periods)
        moved = control.after(standing.control, verdict)
        if verdict is Trigger.DROPPED:
            standing = replace(standing, control=moved)
            return self._replan(problem, labels, standing, found.result)
        return self._install(problem, found.result, "rca", labels, moved)

    def _replan(
        self,
        problem: Problem,
        labels: Ints,
        standing: Standing,
        rerouted: Result | None = None,
    ) -> SteeringPlan | None:
        """ViRCA, or the RCA answer that led to it where time ran out and that serves more."""
        found = self._plan(problem)
        if found.plan is None:
            self._keep(standing)
            return None
        moved = _planned(standing.control, problem, found)
        if rerouted is not None and rerouted.plan is not None:
            share, other = (drift.share_of(problem, one) for one in (found.plan, rerouted.plan))
            if control.falls_short(share, other, proven=found.proven):
                return self._install(problem, rerouted, "rca", labels, moved)
        return self._install(problem, found, "virca", labels, moved)

    def _keep(self, standing: Standing) -> None:
        failed = control.after(standing.control, Trigger.FAILED)
        self._standing = replace(standing, control=failed)

    def _install(
        self, problem: Problem, found: Result, why: str, labels: Ints, moved: Control
    ) -> SteeringPlan:
        assert found.plan is not None
        steering = steering_plans.planned(self._world, problem, found.plan, why, labels)
        self._standing = Standing(problem=problem, steering=steering, control=moved)
        return steering

    def _watched(self, view: View) -> Observations:
        """The demand of the last sampling period."""
        return monitoring.observed(view, self._world, max(0.0, view.now_s - self._periods.sample_s))

    def _problem(self, seen: Observations) -> tuple[Problem, Ints]:
        """The clustered problem, and the cluster of every content of the catalogue."""
        most = min(self._config.clusters, clustering.most_clusters(len(self._world.paths)))
        found = (
            clustering.cluster(seen, most, self._config.seed)
            if len(seen)
            else Clustering(
                demand=Demand(contents=(), bundles=()), labels=np.zeros(0, dtype=np.int64)
            )
        )
        labels = classes.classes_of(seen, found).nearest(
            self._catalogue.kind,
            self._catalogue.duration_s,
            self._catalogue.size_bytes / BYTES_PER_GB,
            self._catalogue.uhd,
        )
        problem = steering_plans.problem_of(self._world, found.demand, self._config.miss_share)
        return problem, labels

    def _plan(self, problem: Problem) -> Result:
        return solve.plan(
            problem,
            Tradeoff(gamma=self._config.gamma),
            self._variant,
            routes=self._world.routes,
            effort=Effort(time_s=self._config.solver_s),
        )

    @property
    def _in_force(self) -> Standing:
        assert self._standing is not None, "a run begins before it looks"
        return self._standing


def _planned(standing: Control, problem: Problem, found: Result) -> Control:
    assert found.plan is not None
    share = drift.share_of(problem, found.plan)
    return control.planned(standing, share, proven=found.proven)
