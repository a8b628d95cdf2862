"""A plan for a task: its power, quality and where the power goes, as plain values.

The audience is drawn as the simulator's controller draws it when a run begins.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from umbel.planner import clustering, demand, drift, solve
from umbel.planner.problem import (
    Effort,
    Goal,
    LeastPower,
    Network,
    PowerModel,
    Problem,
    Tradeoff,
    Variant,
)
from umbel.planner.result import Infrastructure, Plan, Result
from umbel.simulator import steering_plans, world
from umbel.simulator.experiments.tasks import Optimum
from umbel.simulator.world import World


def solved(task: Optimum) -> dict[str, Any]:
    """`meaning`, `qoe`, `best_qoe` (all demand at its best), `objective_w` and its `bound_w` and
    `gap_w`, `solver_s`; with a plan also `levels` (see `by_level`), vCPUs by use and nodes on.
    Raises BadProblem, TooManyPaths."""
    there = world_of(task)
    problem = problem_of(task, there)
    result = solve.plan(
        problem,
        _goal(task, problem),
        Variant(task.config.steering.value),
        routes=there.routes,
        effort=Effort(time_s=task.config.solver_s, gap_share=task.gap_share),
    )
    return as_plain_values(problem, result)


def world_of(task: Optimum) -> World:
    """The network of the task's config, its routing as the task has it."""
    there = world.build(task.config)
    if task.bypass and not task.more_reach:
        return there
    routing = replace(
        there.routing,
        bypass=task.bypass,
        cpri_reach_hops=there.routing.cpri_reach_hops + task.more_reach,
    )
    return world.of_network(there.network, routing, there.qoe, there.power)


def problem_of(task: Optimum, there: World) -> Problem:
    """A clustered audience on that network."""
    config = task.config
    seen = demand.observe(
        np.random.default_rng([config.seed, 0]),
        there.network,
        task.load * config.requests_per_s / demand.REQUESTS_PER_S,
        contents=config.catalogue,
    )
    most = min(config.clusters, clustering.most_clusters(len(there.paths)))
    found = clustering.cluster(seen, most, config.seed)
    return steering_plans.problem_of(there, found.demand, config.miss_share)


def as_plain_values(problem: Problem, result: Result) -> dict[str, Any]:
    """A result as plain values; None for what is not finite."""
    plan = result.plan
    made: dict[str, Any] = {
        "meaning": result.meaning.value,
        "qoe": plan.qoe if plan else None,
        "best_qoe": drift.best_qoe(problem),
        "objective_w": _finite(result.report.objective) if plan else None,
        "bound_w": _finite(result.report.bound),
        "gap_w": _finite(result.report.gap) if plan else None,
        "solver_s": result.report.run_s,
        "full_w": full_power_w(problem.network, problem.power),
    }
    return {**made, **_of_plan(problem, plan)} if plan else made


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of_plan(problem: Problem, plan: Plan) -> dict[str, Any]:
    nodes = plan.infrastructure.nodes
    return {
        "levels": by_level(problem.network, problem.power, plan.infrastructure),
        "bbu_vcpus": sum(node.bbu_vcpus for node in nodes),
        "transcode_vcpus": sum(node.transcode_vcpus for node in nodes),
        "nodes_on": sum(node.switch_on for node in nodes),
        "hosts": len(set(plan.infrastructure.hosts.values())),
    }


def by_level(network: Network, power: PowerModel, on: Infrastructure) -> list[dict[str, float]]:
    """Watts of servers, switches and routers on each level of a network, the PoP's first."""
    level = {node.name: node.level for node in network.nodes}
    found = [
        {"servers_w": 0.0, "switches_w": 0.0, "routers_w": 0.0}
        for _level in range(max(level.values()) + 1)
    ]
    for node in on.nodes:
        watts = found[level[node.name]]
        used = node.bbu_vcpus + node.transcode_vcpus
        watts["servers_w"] += power.server_w * node.servers + power.vcpu_w * used
        watts["switches_w"] += power.switch_w * node.switch_on
        watts["routers_w"] += power.router_w * node.router_on
    return found


def full_power_w(network: Network, power: PowerModel) -> float:
    """Everything on and busy."""
    server_w = power.server_w + power.vcpu_w * network.vcpus_per_server
    servers = sum(node.servers for node in network.nodes)
    return servers * server_w + len(network.nodes) * (power.switch_w + power.router_w)


def _goal(task: Optimum, problem: Problem) -> Goal:
    if task.floor is None:
        return Tradeoff(gamma=task.config.gamma)
    return LeastPower(qoe_floor=task.floor * drift.best_qoe(problem))
