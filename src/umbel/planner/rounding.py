"""From fractions of servers to whole ones, on the nodes and hosts of a solution.

A linear program for each of a few ways to round, warm from the one before; only where none of
them works, the search in whole numbers. `search` chooses nodes, hosts and servers together.
"""

from dataclasses import replace

import numpy as np

from umbel.planner import decode, fast, highs
from umbel.planner.fast import Fast
from umbel.planner.highs import Limits, Method, Outcome, Session, Word
from umbel.planner.linear import Floats, Ints
from umbel.planner.result import Plan

# A server that would be used less than this is left out; 0 keeps them all, and always works
# unless a node is full.
_LEAST_USE = (0.0, 0.2, 0.4, 0.6, 0.8)
_VCPU = 1e-5
# Where fewer servers take more pivots than this the program is degenerate, and there is a plan.
_MOST_PIVOTS = 500


def whole(program: Fast, chosen: Outcome, limits: Limits) -> tuple[Plan | None, float]:
    """The best plan in whole servers and vCPUs that was found on what an outcome chose, and the
    solver's seconds; None where these nodes cannot do it in whole servers or in that time."""
    if chosen.values is None:
        return None, 0.0
    rough = decode.plan_of(program, chosen.values)
    plans, spent_s = _rounded(program, chosen, rough, limits)
    if not plans:
        left = replace(limits, time_s=limits.time_s - spent_s)
        confined = decode.confine(program.instance, rough.infrastructure)
        exact = fast.build(confined, program.goal, whole_servers=True)
        exact = decode.fix_switches(exact, rough.infrastructure)
        outcome = highs.solve(exact.linear, left)
        spent_s += outcome.run_s
        plans = [] if outcome.values is None else [decode.plan_of(exact, outcome.values)]
    return min(plans, key=lambda plan: objective(program, plan), default=None), spent_s


def search(program: Fast, known: Plan, limits: Limits) -> tuple[Plan | None, Outcome]:
    """The best plan in whole servers over all choices of nodes and hosts, from a known one on."""
    exact = fast.build(program.instance, program.goal, whole_servers=True)
    session = Session(exact.linear)
    session.start_at(*_whole_numbers(exact, known))
    outcome = session.run(limits)
    found = None if outcome.values is None else decode.plan_of(exact, outcome.values)
    if found is not None and decode.overfull(program.instance, found.infrastructure):
        found = None
    return found, outcome


def _whole_numbers(exact: Fast, known: Plan) -> tuple[Floats, Ints]:
    """z, g, r, k, w and t of a plan, and their columns."""
    columns, names = exact.linear.columns, exact.instance.routes.names
    nodes, hosts = known.infrastructure.nodes, known.infrastructure.hosts
    fields = ("switch_on", "router_on", "servers", "bbu_vcpus", "transcode_vcpus")
    given = {f: np.array([getattr(n, f) for n in nodes], dtype=np.float64) for f in fields}
    ends = exact.instance.ends[exact.places.host_end].tolist()
    z = [
        float(hosts.get(names[end]) == names[host])
        for end, host in zip(ends, exact.places.host_node.tolist(), strict=True)
    ]
    places = [columns[family] for family in ("z", "g", "r", "k", "wt")]
    values = np.concatenate([np.array(z), *(given[field] for field in fields)])
    return values, np.concatenate(places)


def objective(program: Fast, plan: Plan) -> float:
    """(1a) of a plan, in W."""
    return plan.power.total_w - program.instance.watts_per_qoe(program.goal) * plan.qoe


def _rounded(
    program: Fast, chosen: Outcome, rough: Plan, limits: Limits
) -> tuple[list[Plan], float]:
    """A plan for each number of servers tried. Quality first takes what vCPUs it wants of all the
    servers that there are; how many of them are worth their watts is tried from there."""
    instance, columns = program.instance, program.linear.columns["u"]
    per_server = instance.problem.network.vcpus_per_server
    nodes = rough.infrastructure.nodes
    bbu = np.array([node.bbu_vcpus for node in nodes], dtype=np.float64)
    # Base bands round up by themselves: what that takes is not there for transcoding.
    lost = bbu - _hosted(program, rough)
    session = _session(program, chosen, rough)
    first = Method.INTERIOR if chosen.basis is None else Method.PRIMAL
    used, plans, spent_s = None, [], 0.0
    for least_use in _LEAST_USE:
        if used is None:
            servers = np.array([node.servers for node in nodes], dtype=np.float64)
        else:
            servers = np.floor(used / per_server + 1.0 - least_use - _VCPU)
        servers = np.clip(servers, np.ceil(bbu / per_server), instance.node_array("servers"))
        upper = servers * per_server - lost
        session.bound_columns(columns, np.zeros(len(upper)), upper)
        left = replace(limits, time_s=limits.time_s - spent_s)
        if used is not None:
            left = replace(left, pivots=_MOST_PIVOTS)
        outcome = session.run(left, first if used is None else Method.DUAL)
        spent_s += outcome.run_s
        if outcome.word is not Word.OPTIMAL or outcome.values is None:
            break
        used = outcome.values[columns] + lost if used is None else used
        plans.append(decode.plan_of(program, outcome.values))
    return plans, spent_s


def _session(program: Fast, chosen: Outcome, rough: Plan) -> Session:
    """The program on the chosen nodes and hosts, at the price of vCPUs alone; warm where it can."""
    fixed = decode.darken(program, rough.infrastructure).linear.relaxed()
    cost = fixed.cost.copy()
    cost[program.linear.columns["u"]] = program.instance.problem.power.vcpu_w
    session = Session(replace(fixed, cost=cost))
    if chosen.basis is not None:
        session.start_from(chosen.basis)
    return session


def _hosted(program: Fast, rough: Plan) -> Floats:
    """vCPUs of the base bands at each node, not rounded."""
    by_name = {node.name: node for node in program.instance.problem.network.nodes}
    at = {name: number for number, name in enumerate(by_name)}
    vcpus = np.zeros(len(by_name))
    for end, host in rough.infrastructure.hosts.items():
        vcpus[at[host]] += by_name[end].bbu_vcpus
    return vcpus
