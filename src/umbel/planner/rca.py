"""RCA: routing and caching of the best quality on an infrastructure that stays as it is (7).

A linear program. Problem and Infrastructure in, Rerouting out; the end basis of one run starts
the next one where the demand has drifted little.
"""

from dataclasses import dataclass, replace

import numpy as np

from umbel.kit.errors import Invalid
from umbel.planner import checks, decode, explain, fast, highs, paths
from umbel.planner.fast import Fast
from umbel.planner.highs import Basis, Limits, Outcome, Session, Word
from umbel.planner.instance import Instance, compile_problem
from umbel.planner.linear import Floats
from umbel.planner.paths import Routes
from umbel.planner.problem import Problem, Variant
from umbel.planner.result import Infrastructure, Meaning, Plan, Report, Result

# Beyond this share of changed demand a warm basis costs more pivots than it saves.
MOST_DRIFT = 0.05


class BadInfrastructure(Invalid):
    """The infrastructure does not belong to the network."""

    code = "umbel.bad_infrastructure"


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Where a run ended, for the next one on the same infrastructure."""

    basis: Basis
    keys: tuple[int, ...]
    parallel: Floats
    infrastructure: Infrastructure


@dataclass(frozen=True, kw_only=True)
class Rerouting:
    """The result (its objective is -QoE), where to start the next time, and whether this run
    used the start that it was given."""

    result: Result
    start: Start | None
    warm: bool


def solve(
    problem: Problem,
    infrastructure: Infrastructure,
    variant: Variant = Variant.VIRCA,
    *,
    routes: Routes | None = None,
    start: Start | None = None,
    time_s: float = 30.0,
) -> Rerouting:
    """The best QoE on what is on. Raises BadProblem, BadInfrastructure, TooManyPaths."""
    checks.check(problem)
    if routes is None:
        routes = paths.find_routes(problem.network, problem.routing)
    _check(routes, infrastructure)
    instance = decode.confine(compile_problem(problem, routes, variant), infrastructure)
    program = build(instance, infrastructure)
    session = Session(program.linear)
    keys = _keys(instance)
    warm = start is not None and _near(start, keys, instance, infrastructure, program)
    if start is not None and warm:
        session.start_from(start.basis)
    outcome = session.run(Limits(time_s=time_s))
    result = _result(program, infrastructure, outcome, time_s)
    end = None
    if outcome.basis is not None:
        end = Start(
            basis=outcome.basis,
            keys=keys,
            parallel=instance.commodities.parallel,
            infrastructure=infrastructure,
        )
    return Rerouting(result=result, start=end, warm=warm)


def build(instance: Instance, infrastructure: Infrastructure) -> Fast:
    """max QoE s.t. (2), (3), (5) with z, g, r, k, w, t fixed; the instance is confined."""
    program = decode.fix_switches(fast.build(instance, whole_servers=True), infrastructure)
    linear, columns = program.linear, program.linear.columns
    lower, upper = linear.lower.copy(), linear.upper.copy()
    by_name = {node.name: node for node in infrastructure.nodes}
    nodes = [by_name[name] for name in instance.routes.names]
    # Servers behind a dark switch or router are of no use.
    live = upper[columns["g"]]
    given = np.array([[n.bbu_vcpus, n.transcode_vcpus, n.servers] for n in nodes]) * live[:, None]
    lower[columns["wt"]] = upper[columns["wt"]] = given[:, :2].T.ravel()
    lower[columns["k"]] = upper[columns["k"]] = given[:, 2]
    cost = np.zeros_like(linear.cost)
    c, some = instance.commodities, program.places.share_commodity
    cost[columns["share"]] = -(c.slope * c.most_mbps)[some]
    cost[columns["shed"]] = program.places.shed_slope
    fixed = replace(linear, lower=lower, upper=upper, cost=cost).relaxed()
    return replace(program, linear=fixed)


def _check(routes: Routes, infrastructure: Infrastructure) -> None:
    given = [node.name for node in infrastructure.nodes]
    problems = [f"node {name!r} is missing" for name in routes.names if name not in given]
    problems += [f"node {name!r} is unknown" for name in given if name not in routes.names]
    ends = {routes.names[end] for end in routes.hosts}
    problems += [
        f"{end!r} at {host!r}: no such mobile end or node"
        for end, host in infrastructure.hosts.items()
        if end not in ends or host not in routes.names
    ]
    if problems:
        raise BadInfrastructure(problems=problems)


def _keys(instance: Instance) -> tuple[int, ...]:
    c = instance.commodities
    return tuple(((c.end * (instance.contents + 1) + c.content) * 8 + c.resolution).tolist())


def _near(
    start: Start,
    keys: tuple[int, ...],
    instance: Instance,
    infrastructure: Infrastructure,
    program: Fast,
) -> bool:
    """Whether the start is of the same shape and nearly the same demand."""
    columns, rows, _entries = program.linear.shape
    shape = (len(start.basis.columns), len(start.basis.rows))
    if start.keys != keys or start.infrastructure != infrastructure or shape != (columns, rows):
        return False
    now = instance.commodities.parallel
    drift = float(np.abs(now - start.parallel).sum())
    return drift <= MOST_DRIFT * float(start.parallel.sum())


def _result(
    program: Fast, infrastructure: Infrastructure, outcome: Outcome, time_s: float
) -> Result:
    report = report_of(program, outcome)
    if outcome.word is Word.INFEASIBLE:
        short = explain.binding(program, time_s)
        return Result(meaning=Meaning.INFEASIBLE, plan=None, report=report, binding=short)
    if outcome.values is None:
        return Result(meaning=Meaning.UNKNOWN, plan=None, report=report)
    best = outcome.word is Word.OPTIMAL
    return Result(
        meaning=Meaning.OPTIMAL if best else Meaning.FEASIBLE,
        plan=_plan(program, infrastructure, outcome.values),
        report=report,
    )


def _plan(program: Fast, infrastructure: Infrastructure, values: Floats) -> Plan:
    """The plan on what is on: only hit ratios, services and flows are new."""
    plan = decode.plan_of(program, values)
    hits = {node.name: node.hits for node in plan.infrastructure.nodes}
    nodes = tuple(replace(node, hits=hits[node.name]) for node in infrastructure.nodes)
    kept = replace(infrastructure, nodes=nodes)
    return replace(plan, infrastructure=kept, power=decode.power_of(program.instance, kept))


def report_of(program: Fast, outcome: Outcome) -> Report:
    """A run's account."""
    columns, rows, entries = program.linear.shape
    return Report(
        solver=highs.version(),
        word=outcome.word,
        objective=outcome.objective,
        bound=outcome.bound,
        run_s=outcome.run_s,
        branch_nodes=outcome.branch_nodes,
        iterations=outcome.iterations,
        columns=columns,
        rows=rows,
        entries=entries,
    )
