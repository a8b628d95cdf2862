"""A plan as plain values for JSON: Problem, Routes and Result in, mappings out."""

import math
from collections import defaultdict

from umbel.planner import reasons
from umbel.planner.front import Point
from umbel.planner.paths import Routes
from umbel.planner.problem import Goal, LeastPower, Problem
from umbel.planner.result import Plan, Result

# Most cached contents and flows that are listed one by one; the sums next to them are of all.
_MOST_HITS = 50
_MOST_FLOWS = 2000


def result(
    problem: Problem, routes: Routes, found: Result, full: tuple[float, float]
) -> dict[str, object]:
    """Everything of a result; `full` are the power with everything on and the best QoE."""
    report, (full_w, full_qoe) = found.report, full
    gap_w = number(report.gap) if found.plan else None
    said: dict[str, object] = {
        "meaning": found.meaning.value,
        "solver": report.solver,
        "word": str(report.word),
        "run_s": round(report.run_s, 3),
        "objective": number(report.objective),
        "bound": number(report.bound),
        "gap": gap_w,
        "gap_share": gap_w / full_w if gap_w is not None and full_w > 0 else None,
        "full_power_w": full_w,
        "full_qoe": full_qoe,
        "size": {"columns": report.columns, "rows": report.rows, "entries": report.entries},
        "binding": [{"family": one.family, "what": one.what} for one in found.binding],
        "links": [[link.a, link.b] for link in problem.network.links],
        "plan": None,
    }
    if found.plan is not None:
        said["plan"] = _plan(problem, routes, found.plan)
    return said


def number(value: float) -> float | None:
    """JSON has no infinity."""
    return float(value) if math.isfinite(value) else None


def point(found: Point) -> dict[str, object]:
    """One point of a front."""
    report, plan = found.result.report, found.result.plan
    return {
        **goal(found.goal),
        "meaning": found.result.meaning.value,
        "qoe": plan.qoe if plan else None,
        "power_w": plan.power.total_w if plan else None,
        "servers_w": plan.power.servers_w if plan else None,
        "switches_w": plan.power.switches_w if plan else None,
        "routers_w": plan.power.routers_w if plan else None,
        "nodes_on": sum(n.switch_on for n in plan.infrastructure.nodes) if plan else None,
        "gap": number(report.gap) if plan else None,
        "run_s": round(report.run_s, 3),
        "ideal": found.ideal,
    }


def goal(given: Goal) -> dict[str, object]:
    """The goal's two faces; the one that was not asked for is null."""
    if isinstance(given, LeastPower):
        return {"gamma": None, "qoe_floor": given.qoe_floor}
    return {"gamma": given.gamma, "qoe_floor": None}


def _plan(problem: Problem, routes: Routes, plan: Plan) -> dict[str, object]:
    power = plan.power
    return {
        "variant": plan.variant.value,
        "qoe": plan.qoe,
        "power": {
            "total_w": power.total_w,
            "servers_w": power.servers_w,
            "switches_w": power.switches_w,
            "routers_w": power.routers_w,
        },
        "nodes": _nodes(problem, routes, plan),
        "hosts": dict(plan.infrastructure.hosts),
        "services": _services(problem, plan),
        "flows": _flows(problem, routes, plan),
    }


def _nodes(problem: Problem, routes: Routes, plan: Plan) -> list[dict[str, object]]:
    why = reasons.of_nodes(problem, routes, plan)
    sizes = {content.name: content.size_gb for content in problem.demand.contents}
    made: list[dict[str, object]] = []
    for given, node in zip(problem.network.nodes, plan.infrastructure.nodes, strict=True):
        hits = sorted(node.hits, key=lambda hit: (-hit[1], hit[0]))
        made.append(
            {
                "name": node.name,
                "access": given.access.value,
                "level": given.level,
                "is_pop": node.name == problem.network.pop,
                "switch_on": node.switch_on,
                "router_on": node.router_on,
                "servers": node.servers,
                "most_servers": given.servers,
                "bbu_vcpus": node.bbu_vcpus,
                "transcode_vcpus": node.transcode_vcpus,
                "cached_gb": sum(sizes[name] * share for name, share in node.hits),
                "storage_gb": given.storage_gb,
                "caches": [
                    {"content": name, "share": round(share, 6)} for name, share in hits[:_MOST_HITS]
                ],
                "why": list(why[node.name]),
            }
        )
    return made


def _services(problem: Problem, plan: Plan) -> list[dict[str, object]]:
    """Who serves whom: parallel requests and rate by end and source, over all contents."""
    request = {(b.end, b.content, b.resolution): b.parallel for b in problem.demand.bundles}
    total: dict[str, float] = defaultdict(float)
    for bundle in problem.demand.bundles:
        total[bundle.end] += bundle.parallel
    served: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for service in plan.services:
        both = served[service.end, service.source]
        known = request.get((service.end, service.content, service.resolution), 0.0)
        both[0] += service.share * known
        both[1] += service.mbps
    return [
        {
            "end": end,
            "source": source,
            "requests": requests,
            "share": requests / total[end] if total[end] else 0.0,
            "mbps": mbps,
        }
        for (end, source), (requests, mbps) in sorted(served.items())
    ]


def _flows(problem: Problem, routes: Routes, plan: Plan) -> list[dict[str, object]]:
    why = reasons.of_flows(problem, routes, plan)
    every = sorted(
        zip(plan.flows, why, strict=True), key=lambda one: (one[0].end, -one[0].mbps, one[0].path)
    )
    return [
        {"end": flow.end, "path": list(flow.path), "mbps": flow.mbps, "why": list(because)}
        for flow, because in every[:_MOST_FLOWS]
    ]
