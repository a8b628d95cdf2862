"""Make steering plans from plans, or from infrastructure alone. Both controllers use this."""

import math
from collections.abc import Mapping
from dataclasses import replace

from umbel.planner import admission
from umbel.planner.admission import Guide
from umbel.planner.linear import Ints
from umbel.planner.problem import Content, Demand, Kind, Problem, Variant
from umbel.planner.result import Infrastructure, NodePlan, Plan, Power
from umbel.simulator.ports import SteeringPlan
from umbel.simulator.world import Path, World


def everything_on(world: World) -> Infrastructure:
    """All servers, switches and routers on, each base band at its own site."""
    mobile = {end for end, some in zip(world.ends, world.mobile, strict=True) if some}
    nodes = tuple(
        NodePlan(
            name=node.name,
            switch_on=True,
            router_on=True,
            servers=node.servers,
            bbu_vcpus=math.ceil(node.bbu_vcpus) if node.name in mobile else 0,
            transcode_vcpus=0,
        )
        for node in world.network.nodes
    )
    return Infrastructure(nodes=nodes, hosts={end: end for end in sorted(mobile)})


def nearest(world: World, kinds: Ints) -> SteeringPlan:
    """No plan: everything on, and the shortest path with room. Contents are known by kind alone,
    `kinds` being theirs."""
    contents = tuple(Content(name=k.value, kind=k, size_gb=1.0, mean_gb=1.0) for k in Kind)
    problem = problem_of(world, Demand(contents=contents, bundles=()))
    on = everything_on(world)
    nothing = Plan(
        variant=Variant.VIRCA2,
        infrastructure=on,
        services=(),
        flows=(),
        power=Power(servers_w=0.0, switches_w=0.0, routers_w=0.0),
        qoe=0.0,
    )
    return SteeringPlan(
        why="start",
        guide=admission.guide_of(problem, world.routes, nothing),
        infrastructure=on,
        fills=_fills(world, on, {}),
        names=tuple(content.name for content in contents),
        labels=kinds,
    )


def planned(world: World, problem: Problem, plan: Plan, why: str, labels: Ints) -> SteeringPlan:
    """What a plan for a problem comes to; `labels` number the problem's contents."""
    on = plan.infrastructure
    guide = admission.guide_of(problem, world.routes, plan)
    if plan.variant is Variant.VIRCA3:
        guide = _confined(guide, on, world.network.pop)
    fetched = {flow.path: flow.mbps for flow in plan.flows if not flow.end}
    return SteeringPlan(
        why=why,
        guide=guide,
        infrastructure=on,
        fills=_fills(world, on, fetched),
        names=tuple(content.name for content in problem.demand.contents),
        labels=labels,
        plan=plan,
    )


def problem_of(world: World, demand: Demand, miss_share: float = 0.5) -> Problem:
    """The world's problem for a demand."""
    return Problem(
        network=world.network,
        demand=demand,
        qoe=world.qoe,
        routing=world.routing,
        power=world.power,
        miss_share=miss_share,
    )


def _confined(guide: Guide, on: Infrastructure, pop: str) -> Guide:
    """ViRCA3 serves from the end node, or its base band's host, and from the PoP alone."""
    paths = {
        end: tuple(path for path in some if path[0] in (pop, on.hosts.get(end, end)))
        for end, some in guide.paths.items()
    }
    return replace(guide, paths=paths)


def _fills(
    world: World, on: Infrastructure, fetched: Mapping[Path, float]
) -> dict[str, tuple[Path, ...]]:
    """Lit paths from the PoP to each node: those that the plan fetches along first, by their
    rate, then the shortest."""
    switches = {node.name for node in on.nodes if node.switch_on}
    routers = {node.name for node in on.nodes if node.router_on}
    found: dict[str, list[Path]] = {}
    for path in world.paths:
        lit = routers.issuperset(path) and {path[0], path[-1]} <= switches
        if path[0] == world.network.pop and len(path) > 1 and lit:
            found.setdefault(path[-1], []).append(path)
    return {
        node: tuple(sorted(some, key=lambda path: (-fetched.get(path, 0.0), len(path))))
        for node, some in found.items()
    }
