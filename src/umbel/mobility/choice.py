"""Which running functions to move where: the planner's choice over what runs now.

In: nodes to empty, or a goal. Out: moves in an order in which each target has room, and what cannot
be moved. Nothing begins here: `service` carries moves out.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from umbel.compute.model import Function, FunctionState, Instance, Node, Resources
from umbel.compute.service import Compute
from umbel.kit import apart
from umbel.mobility.model import MigrationKind
from umbel.mobility.rules import MigrationRule
from umbel.mobility.service import Mobility
from umbel.planner.moves.model import (
    Host,
    HostedFunction,
    MoveEffort,
    MoveGoal,
    MovePlan,
    MoveProblem,
)

_SOLVE = "umbel.planner.moves.solve:plan"
_EFFORT = MoveEffort(time_s=5.0)
_MOST_S = 60.0
_LEAST_ROOM = 1e-6


@dataclass(frozen=True, kw_only=True)
class MoveQuestion:
    """Nodes to empty, what for, who asks, and limits."""

    user: str = ""
    drained: frozenset[str] = frozenset()
    goal: MoveGoal = MoveGoal.BALANCE
    most_moves: int | None = None
    most_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class MoveChoice:
    """The moves, and why functions of the nodes to empty stay, by function."""

    plan: MovePlan
    staying: Mapping[str, str]


async def solved_apart(problem: MoveProblem) -> MovePlan:
    """The plan, made in a process of its own. Raises BadMoves, NoMoves, WorkerDied."""
    made: MovePlan = await apart.run(_SOLVE, problem, _EFFORT, most_s=_MOST_S)
    return made


@dataclass(kw_only=True)
class Choosing:
    """Chooses. A function is copied where that can be, else replaced."""

    mobility: Mobility
    solve: Callable[[MoveProblem], Awaitable[MovePlan]] = solved_apart

    @property
    def compute(self) -> Compute:
        """Where the functions run."""
        return self.mobility.compute

    async def choose(self, question: MoveQuestion) -> MoveChoice:
        """The moves that do what is asked for. Raises NoSuchNode, BadMoves, NoMoves with the
        reason, WorkerDied."""
        for name in sorted(question.drained):
            self.compute.node(name)
        movable, staying = await self._functions(question)
        rest = self._rest(movable, question.drained)
        problem = MoveProblem(
            hosts=tuple(self._host(node, question.drained) for node in self.compute.nodes()),
            functions=(*movable, *rest),
            goal=question.goal,
            mbps=await self._rates({one.host for one in movable}),
            most_moves=question.most_moves,
            most_mb=question.most_mb,
        )
        return MoveChoice(plan=await self.solve(problem), staying=staying)

    async def _functions(
        self, question: MoveQuestion
    ) -> tuple[list[HostedFunction], dict[str, str]]:
        """What may be moved; and what stays on the nodes to empty, with the reason."""
        wanted = {name: await owner.wanted() for name, owner in self.mobility.owners.items()}
        history, rules = await self.mobility.list(), await self.mobility.rules.all()
        movable: list[HostedFunction] = []
        staying: dict[str, str] = {}
        for instance in (await self.compute.running()).values():
            function = wanted.get(instance.owner, {}).get(instance.id)
            targets, why = self._targets(instance, function, rules, question.user)
            if function is not None and targets:
                known = self.mobility.assessment.calibration(
                    history, instance.id, MigrationKind.FULL_TRANSFER, instance.node
                )
                movable.append(_hosted(instance, function, targets, known.disk_mb or 0.0))
            elif instance.node in question.drained:
                staying[instance.id] = why
        return movable, staying

    def _targets(
        self,
        instance: Instance,
        function: Function | None,
        rules: Sequence[MigrationRule],
        user: str,
    ) -> tuple[frozenset[str], str]:
        """Where the function may go, and the reason where that is nowhere."""
        if function is None:
            return frozenset(), f"{instance.owner} does not let it be moved"
        if instance.state is not FunctionState.ACTIVE:
            return frozenset(), f"it is {instance.state.value}, not active"
        here, why, targets = replace(function, node=instance.node), "", set()
        for node in self.compute.nodes():
            if node.name == instance.node or not self.mobility.assessment.is_ready(node.name):
                continue
            kind, refusal = self.mobility.possible(instance.owner, here, node.name)
            if kind is not None:
                way = (instance.node, node.name)
                refused = self.mobility.assessment.refusals(rules, instance.id, way, kind, user)
                refusal = "; ".join(refused)
            why = why or refusal
            if not refusal:
                targets.add(node.name)
        return frozenset(targets), why or "no other node is open"

    def _host(self, node: Node, drained: frozenset[str]) -> Host:
        watts = node.watts
        return Host(
            name=node.name,
            cores=node.cores,
            memory_mb=node.memory_mb,
            idle_w=watts.idle if watts is not None else 0.0,
            full_w=watts.busy if watts is not None else 0.0,
            closed=not self.mobility.assessment.is_ready(node.name),
            drained=node.name in drained,
        )

    def _rest(
        self, movable: Sequence[HostedFunction], drained: frozenset[str]
    ) -> Iterator[HostedFunction]:
        """What else is used of each node, as something that stays there."""
        free = self.compute.ledger.free()
        for node in self.compute.nodes():
            here = [one for one in movable if one.host == node.name]
            left = free.get(node.name, Resources())
            other = node.cores - sum(one.cores for one in here)
            cores = _between(other - left.cores, other)
            other = node.memory_mb - sum(one.memory_mb for one in here)
            memory_mb = _between(other - left.memory_mb, other)
            if node.name not in drained and max(cores, memory_mb) > _LEAST_ROOM:
                yield HostedFunction(
                    name=f"the rest on {node.name}",
                    host=node.name,
                    cores=cores,
                    memory_mb=memory_mb,
                    pinned=True,
                )

    async def _rates(self, sources: set[str]) -> dict[tuple[str, str], float]:
        """The free rate from each node where something may be moved."""
        found: dict[tuple[str, str], float] = {}
        for source in sorted(sources):
            for node in self.compute.nodes():
                mbps = None
                if node.name != source:
                    mbps = await self.mobility.ways.free_mbps(source, node.name)
                if mbps is not None:
                    found[source, node.name] = max(0.0, mbps)
        return found


def _hosted(
    instance: Instance, function: Function, targets: frozenset[str], disk_mb: float
) -> HostedFunction:
    """As much of its disk travels as earlier copies let expect."""
    needs = function.description.resources
    return HostedFunction(
        name=instance.id,
        host=instance.node,
        cores=needs.cores,
        memory_mb=needs.memory_mb,
        disk_mb=disk_mb,
        hosts=targets | {instance.node},
    )


def _between(value: float, most: float) -> float:
    return max(0.0, min(value, most))
