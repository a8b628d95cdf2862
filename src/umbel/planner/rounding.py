"""From fractions of servers to whole ones, on the nodes and hosts of a solution.

A linear program for each of a few ways to round, warm from the one before; only where none of
them works, the search in whole numbers.
"""

from dataclasses import replace

import numpy as np

from umbel.planner import decode, fast, highs
from umbel.planner.fast import Fast
from umbel.planner.highs import Limits, Method, Session, Word
from umbel.planner.linear import Floats
from umbel.planner.result import Plan

# A server that would be used less than this is left out; 0 keeps them all, and always works
# unless a node is full.
_LEAST_USE = (0.0, 0.2, 0.4, 0.6, 0.8)
_VCPU = 1e-5


def whole(program: Fast, values: Floats, limits: Limits) -> tuple[Plan | None, float]:
    """The best plan in whole servers and vCPUs that was found, and the solver's seconds; None
    where these nodes cannot do it in whole servers or in that time."""
    rough = decode.plan_of(program, values)
    confined = decode.confine(program.instance, rough.infrastructure)
    lit = decode.fix_switches(fast.build(confined, program.goal), rough.infrastructure)
    plans, spent_s = _rounded(lit, rough, limits)
    if not plans:
        left = replace(limits, time_s=limits.time_s - spent_s)
        exact = fast.build(confined, program.goal, whole_servers=True)
        exact = decode.fix_switches(exact, rough.infrastructure)
        outcome = highs.solve(exact.linear, left)
        spent_s += outcome.run_s
        plans = [] if outcome.values is None else [decode.plan_of(exact, outcome.values)]
    return min(plans, key=lambda plan: objective(program, plan), default=None), spent_s


def objective(program: Fast, plan: Plan) -> float:
    """(1a) of a plan, in W."""
    return plan.power.total_w - program.instance.watts_per_qoe(program.goal) * plan.qoe


def _rounded(lit: Fast, rough: Plan, limits: Limits) -> tuple[list[Plan], float]:
    instance, columns = lit.instance, lit.linear.columns["u"]
    per_server = instance.problem.network.vcpus_per_server
    nodes = rough.infrastructure.nodes
    bbu = np.array([node.bbu_vcpus for node in nodes], dtype=np.float64)
    # Base bands round up by themselves: what that takes is not there for transcoding.
    lost = bbu - _hosted(lit, rough)
    cost = lit.linear.cost.copy()
    cost[columns] = instance.problem.power.vcpu_w
    session = Session(replace(lit.linear, cost=cost).relaxed())
    used = None
    plans: list[Plan] = []
    spent_s = 0.0
    for least_use in _LEAST_USE:
        if used is None:
            servers = np.array([node.servers for node in nodes], dtype=np.float64)
        else:
            servers = np.floor(used / per_server + 1.0 - least_use - _VCPU)
        servers = np.clip(servers, np.ceil(bbu / per_server), instance.node_array("servers"))
        upper = servers * per_server - lost
        session.bound_columns(columns, np.zeros(len(upper)), upper)
        left = replace(limits, time_s=limits.time_s - spent_s)
        outcome = session.run(left, Method.INTERIOR if used is None else Method.DUAL)
        spent_s += outcome.run_s
        if outcome.word is not Word.OPTIMAL or outcome.values is None:
            break
        used = outcome.values[columns] + lost if used is None else used
        plans.append(decode.plan_of(lit, outcome.values))
    return plans, spent_s


def _hosted(lit: Fast, rough: Plan) -> Floats:
    """vCPUs of the base bands at each node, not rounded."""
    by_name = {node.name: node for node in lit.instance.problem.network.nodes}
    at = {name: number for number, name in enumerate(by_name)}
    vcpus = np.zeros(len(by_name))
    for end, host in rough.infrastructure.hosts.items():
        vcpus[at[host]] += by_name[end].bbu_vcpus
    return vcpus
