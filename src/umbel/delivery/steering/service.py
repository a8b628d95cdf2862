"""The planner's service: watches the demand, has plans made, and lets nodes rest by them.

In: sessions, rates and node states from the collector; refusals from the service. Out: the
collector's `steering` for the policies, nodes that rest or wake, a `drain` note for viewers.
Algorithm 1 (planner/control.py) says when; a solver behind a port does the work and may die.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from umbel.compute.model import NodeKind, NodeState, Scheduling
from umbel.delivery import guidance
from umbel.delivery.guidance import VCPUS_PER_SERVER, Watch
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.functions import OWNER
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.model import Tree
from umbel.delivery.sessions import counts as session_counts
from umbel.delivery.steering import translation
from umbel.delivery.steering.ports import Solver
from umbel.delivery.steering.translation import Audience
from umbel.delivery.trees import renditions
from umbel.delivery.trees.view import ACQUIRER, View
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.planner import control, drift
from umbel.planner.control import Control, Periods, Seen, Trigger
from umbel.planner.jobs import Answer, Job
from umbel.planner.problem import Effort, Problem, Tradeoff
from umbel.planner.result import Infrastructure

if TYPE_CHECKING:
    from umbel.planner.rca import Start

log = structlog.get_logger(__name__)

# Of full power: finer than one server of a small network.
_PLAN = "plan"
_GAP_SHARE = 0.0005
_MOST_SAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class PlanPace:
    """How often to look, how long a solver may take, and how much quality weighs. Seconds."""

    periods: Periods = field(default_factory=Periods)
    solve_s: float = 30.0
    gamma: float = 10.0
    announce_s: float = 10.0


@dataclass(kw_only=True)
class Planning:
    """Owns the plan in force. Only the instance that leads the fleet plans."""

    collector: Collector
    controller: DeliveryController
    solver: Solver
    clock: Clock
    pace: PlanPace
    answer: Answer | None = None
    _control: Control = field(default_factory=lambda: control.begin(0.0))
    _samples: list[drift.Sample] = field(default_factory=list)
    _refused: dict[Watch, float] = field(default_factory=dict)
    _waiting: Counter[Watch] = field(default_factory=Counter)
    _claimed: set[str] = field(default_factory=set)
    _claiming: Counter[str] = field(default_factory=Counter)
    _sampled_s: float = 0.0
    _starving: bool = False
    _start: "Start | None" = None
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(lambda _: self.run_once())

    async def run(self) -> None:
        """Plan until cancelled."""
        now_s = self.clock.monotonic_s()
        self._control = control.begin(now_s)
        self._sampled_s = now_s
        await self._controller.run(_PLAN)

    async def run_once(self) -> float:
        """Do what is due; answers in how many seconds something may be due again."""
        if not self.controller.leads():
            return self.pace.announce_s
        periods, now_s = self.pace.periods, self.clock.monotonic_s()
        view = self.collector.view(await self.collector.store.trees())
        audience = await self._audience(view)
        if now_s - self._sampled_s >= periods.sample_s:
            self._sampled_s = now_s
            self._samples = [*self._samples, translation.sample_of(audience)][-_MOST_SAMPLES:]
            self._refused.clear()
        self._control, trigger = control.tick(self._control, self._seen(audience), now_s, periods)
        if trigger is None and self._starving:
            self._control, trigger = control.starved(self._control)
        if trigger is not None:
            await self._act(trigger, audience)
        now_s = self.clock.monotonic_s()
        sample_in_s = self._sampled_s + periods.sample_s - now_s
        due_s = min(sample_in_s, control.due_in_s(self._control, now_s, periods))
        return max(0.0, min(due_s, self.pace.announce_s))

    def reserve(self, access_node: str) -> str | None:
        """The nearest access node that is not up now, None where all are: one that drains is there
        at once, one that wakes already is worth waiting for."""
        network, access = self.collector.network, self._access() & self._schedulable()
        order = [access_node, *(way.target for way in network.topology.nearest(access_node))]
        for state in (NodeState.DRAINING, NodeState.WAKING, NodeState.STANDBY):
            asleep = set(self._nodes_in(state)) & access
            for node in order:
                if node in asleep:
                    return node
        return None

    async def rescue(self, stream: str, access_node: str, node: str | None) -> bool:
        """No active node could serve a viewer of the stream at that node: call the `node` that
        `reserve` named then, and wait until it is up. False where none was, or it takes too long.
        """
        watch = (stream, access_node, "")
        self._starving = True
        self._controller.wake(_PLAN)
        self._waiting[watch] += 1
        try:
            came = node is not None and await self.claim(node)
        finally:
            self._waiting[watch] -= 1
        if not came:
            self._refused[watch] = self._refused.get(watch, 0.0) + 1.0
        return came

    async def claim(self, node: str) -> bool:
        """Have a node up that rests; answers whether it came up in time."""
        compute = self.collector.compute
        # A plan that was asked for before this must not let the node rest again.
        self._claimed.add(node)
        self._claiming[node] += 1
        compute.set_standby(OWNER, compute.standby_wanted(OWNER) - {node})
        self.controller.wake(FLEET)
        try:
            async with asyncio.timeout(self.controller.timing.ready_s):
                await compute.until_up(node)
        except TimeoutError:
            return False
        finally:
            self._claiming[node] -= 1
        return True

    # -- what is seen -----------------------------------------------------------------------

    async def _audience(self, view: View) -> Audience:
        """Who watches what; refused viewers and expected ones included. Who came, if only to be
        refused, is not expected any more."""
        counts = await self.collector.store.counts()
        watching: dict[Watch, float] = dict(session_counts.by_nodes(counts))
        for some in (self._refused, self._waiting):
            for watch, count in some.items():
                watching[watch] = watching.get(watch, 0.0) + count
        expected = self.controller.ahead.demand(watching)
        for watch, count in expected.items():
            watching[watch] = watching.get(watch, 0.0) + count
        trees = {stream: Tree(stream=stream) for stream, _, _ in expected} | dict(view.trees)
        return Audience(
            watching={watch: count for watch, count in watching.items() if watch[0] in trees},
            mbps={stream: view.mbps(stream) for stream in trees},
            resolution={
                stream: guidance.resolution_of(self.collector.height(tree))
                for stream, tree in trees.items()
            },
            made=dict.fromkeys(
                filter(renditions.height_of, trees), self.collector.costs.transcoder_cores
            ),
        )

    def _seen(self, audience: Audience) -> Seen:
        """Nodes that are on count as planned: their functions may use all of them."""
        nodes = self.collector.compute.nodes()
        units = guidance.units_of(nodes)
        status = {s.name: s for s in self.collector.nodes()}
        on = [node for node in nodes if status[node.name].power is not NodeState.STANDBY]
        sizes = [VCPUS_PER_SERVER * guidance.servers_of(node, units) for node in on]
        return Seen(
            used_vcpus=sum(
                units.vcpus(status[node.name].cores_used, status[node.name].mbps_used)
                for node in on
            ),
            planned_vcpus=sum(sizes),
            node_vcpus=min(sizes, default=0),
            outgrown=self._outgrown(audience),
        )

    def _outgrown(self, audience: Audience) -> tuple[str, ...]:
        in_force = self.collector.steering
        if in_force is None:
            return ()
        # A new event is no content of the plan: for bandwidth and CPU it is one of its kind.
        seen = drift.peak([*self._samples, translation.sample_of(audience)])
        change = drift.variation(in_force.guide.problem, in_force.plan, seen)
        return drift.outgrown(change, drift.slack(in_force.guide.problem, in_force.plan))

    # -- what is done -----------------------------------------------------------------------

    async def _act(self, trigger: Trigger, audience: Audience) -> None:
        demand = translation.peak_of(audience, self._samples)
        self._starving = False
        self._claimed = {node for node, count in self._claiming.items() if count}
        log.info("planner runs", trigger=trigger.value)
        try:
            if trigger is Trigger.DRIFTED:
                await self._reroute(demand)
            else:
                await self._plan(demand, trigger)
        except UmbelError as error:
            self._fail(error.message)
        except Exception:
            log.exception("planner crashed")
            self._fail("an error of ours")

    def _fail(self, reason: str) -> None:
        self._control = control.after(self._control, Trigger.FAILED)
        log.warning("the last plan stays", reason=reason)

    async def _reroute(self, demand: Audience) -> None:
        """RCA on what the last plan has on; ViRCA where that is not enough."""
        in_force = self.collector.steering
        problem = self._problem(demand, self._active_nodes())
        kept = in_force.plan.infrastructure if in_force is not None else None
        answer = await self.solver.solve(replace(self._job((problem,), kept), start=self._start))
        self._start = answer.start
        share = answer.share if answer.result.plan is not None else None
        verdict = control.judge(self._control, share, self.pace.periods)
        self._control = control.after(self._control, verdict)
        if verdict is Trigger.REROUTED:
            await self._apply(answer, may_rest=False)
        else:
            await self._plan(demand, verdict, answer)

    async def _plan(
        self, demand: Audience, trigger: Trigger, rerouted: Answer | None = None
    ) -> None:
        """ViRCA, on as few nodes as serve everybody: those with an encoder are on anyhow, viewers
        of those that serve need not move, and those that are up need no waking."""
        needed, every = await self._needed(), self._reliable()
        seen = self.collector.promises.watching.items()
        serving = frozenset(node for (_, _, node), count in seen if count and node)
        wider = (needed, needed | serving, needed | serving | self._active_nodes(), every)
        stages = dict.fromkeys(nodes & every for nodes in wider)
        answer = await self.solver.solve(
            self._job(tuple(self._problem(demand, nodes) for nodes in stages))
        )
        if answer.result.plan is None:
            self._fail(f"the solver says {answer.result.meaning}")
            return
        proven = answer.result.proven
        if rerouted and control.falls_short(answer.share, rerouted.share, proven=proven):
            answer = rerouted
        self._control = control.planned(self._control, answer.share, proven=proven)
        await self._apply(answer, may_rest=trigger is Trigger.WASTED)

    async def _apply(self, answer: Answer, *, may_rest: bool) -> None:
        """Put a plan in force. Only the look at idle nodes lets more of them rest: a plan for a
        crowd wakes nodes and leaves the others as they are."""
        plan, guide = answer.result.plan, answer.guide
        if plan is None or guide is None:
            return
        compute, needed = self.collector.compute, await self._needed()
        made = translation.steering_of(plan, guide, compute.nodes(), needed)
        resting = made.resting if may_rest else made.resting & compute.standby_wanted(OWNER)
        resting -= self._claimed
        self._samples.clear()
        self.answer = answer
        self.collector.steering = replace(made, resting=resting)
        compute.set_standby(OWNER, resting)
        log.info(
            "plan in force",
            meaning=answer.result.meaning.value,
            share=round(answer.share, 4),
            resting=sorted(resting),
            watts=round(plan.power.total_w),
        )
        self.controller.wake(FLEET)

    # -- what there is ----------------------------------------------------------------------

    def _job(
        self, problems: tuple[Problem, ...], infrastructure: Infrastructure | None = None
    ) -> Job:
        return Job(
            problems=problems,
            goal=Tradeoff(gamma=self.pace.gamma),
            effort=Effort(time_s=self.pace.solve_s, gap_share=_GAP_SHARE),
            infrastructure=infrastructure,
        )

    def _problem(self, demand: Audience, serving: frozenset[str]) -> Problem:
        collector = self.collector
        return translation.problem_of(
            collector.compute.nodes(),
            collector.network.topology.current(),
            collector.costs.viewer_cores,
            demand,
            serving & self._access(),
        )

    async def _needed(self) -> frozenset[str]:
        """Nodes where encoders push, or have an address to push to."""
        wanted = await self.collector.store.trees()
        roots = (tree.root for tree in wanted.values() if tree.root is not None)
        return frozenset(root.node for root in roots if root.role == ACQUIRER)

    def _access(self) -> frozenset[str]:
        nodes = self.collector.compute.nodes()
        return frozenset(n.name for n in nodes if n.kind is NodeKind.PROVIDER_EDGE)

    def _reliable(self) -> frozenset[str]:
        """Nodes where functions do not fail again and again, and that no operator cordoned."""
        return self._schedulable() - set(self.collector.unreliable)

    def _schedulable(self) -> frozenset[str]:
        compute = self.collector.compute
        names = (node.name for node in compute.nodes())
        return frozenset(n for n in names if compute.scheduling(n) is Scheduling.OPEN)

    def _active_nodes(self) -> frozenset[str]:
        return frozenset(self._nodes_in(NodeState.ACTIVE)) & self._schedulable()

    def _nodes_in(self, *states: NodeState) -> list[str]:
        compute = self.collector.compute
        return [node.name for node in compute.nodes() if compute.state(node.name) in states]
