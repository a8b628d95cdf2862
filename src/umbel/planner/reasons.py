"""Why a plan is as it is, in sentences: which duties keep a node on, why a flow takes its path.

Problem, Routes and Plan in, texts by node and by flow out. What is said is read off the plan and
the network alone; `family` numbers are those of the formulation.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from umbel.planner.paths import Routes
from umbel.planner.problem import Access, Node, Problem
from umbel.planner.result import Flow, NodePlan, Plan

_MOST_ALTERNATIVES = 5
_TINY_MBPS = 1e-3
_FULL = 0.999


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """The plan by node and by lightpath."""

    problem: Problem
    plan: Plan
    nodes: Mapping[str, Node]
    state: Mapping[str, NodePlan]
    hosted: Mapping[str, tuple[str, ...]]
    requests: Mapping[tuple[str, str], float]  # (source, end) -> parallel requests
    passing: Mapping[str, float]  # Mbit/s by router
    starting: Mapping[str, float]  # Mbit/s by switch where a path ends
    used: Mapping[tuple[str, str], float]  # Mbit/s by lightpath, base bands included
    room: Mapping[tuple[str, str], float]  # Mbit/s


def of_nodes(problem: Problem, routes: Routes, plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each node what it is on for, or why it may be off."""
    facts = _facts(problem, routes, plan)
    return {name: tuple(_why_node(facts, name)) for name in facts.nodes}


def of_flows(problem: Problem, routes: Routes, plan: Plan) -> tuple[tuple[str, ...], ...]:
    """For each flow of the plan, in its order: why from there, to there, and along this path."""
    facts = _facts(problem, routes, plan)
    others: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    for path in routes.paths:
        named = tuple(routes.names[node] for node in path)
        others[named[0], named[-1]].append(named)
    return tuple(
        tuple(_why_path(facts, flow, others[flow.path[0], flow.path[-1]])) for flow in plan.flows
    )


def _facts(problem: Problem, routes: Routes, plan: Plan) -> _Facts:
    passing: dict[str, float] = defaultdict(float)
    starting: dict[str, float] = defaultdict(float)
    used: dict[tuple[str, str], float] = defaultdict(float)
    for flow in plan.flows:
        for name in flow.path if len(flow.path) > 1 else ():
            passing[name] += flow.mbps
        for name in {flow.path[0], flow.path[-1]}:
            starting[name] += flow.mbps
        for hop in pairwise(flow.path):
            used[hop] += flow.mbps
    network = problem.network
    for end, host in plan.infrastructure.hosts.items():
        if end != host:
            used[host, end] += network.cpri_lightpaths * network.lightpath_mbps
    hosted: dict[str, list[str]] = defaultdict(list)
    for end, host in plan.infrastructure.hosts.items():
        hosted[host].append(end)
    return _Facts(
        problem=problem,
        plan=plan,
        nodes={node.name: node for node in network.nodes},
        state={node.name: node for node in plan.infrastructure.nodes},
        hosted={name: tuple(ends) for name, ends in hosted.items()},
        requests=_requests(problem, plan),
        passing=passing,
        starting=starting,
        used=used,
        room={
            (routes.names[i], routes.names[j]): count * network.lightpath_mbps
            for i, j, count in routes.lightpaths
        },
    )


def _requests(problem: Problem, plan: Plan) -> dict[tuple[str, str], float]:
    asked = {(b.end, b.content, b.resolution): b.parallel for b in problem.demand.bundles}
    requests: dict[tuple[str, str], float] = defaultdict(float)
    for service in plan.services:
        count = asked.get((service.end, service.content, service.resolution), 0.0)
        requests[service.source, service.end] += service.share * count
    return requests


def _why_node(facts: _Facts, name: str) -> Iterator[str]:
    state = facts.state[name]
    if not state.switch_on and not state.router_on:
        yield from _why_off(facts, name)
        return
    duties = [*_duties(facts, name), *_router_duty(facts, name)]
    yield from duties
    if not duties:
        yield "on: nothing uses it, but switching it off alone would save too little to be sought"


def _duties(facts: _Facts, name: str) -> Iterator[str]:
    node, state = facts.nodes[name], facts.state[name]
    if node.access is Access.FIXED:
        yield f"homes hang on it: {node.connectivity_mbps:g} Mbit/s are kept free for them (3d)"
    for end in facts.hosted.get(name, ()):
        where = "its own" if end == name else f"{end}'s"
        alone = "" if _could_move(facts, end) else ", which cannot run anywhere else (4b, 4c)"
        yield f"{where} base band runs here: {facts.nodes[end].bbu_vcpus:g} vCPU{alone} (4d)"
    served = {end: n for (source, end), n in facts.requests.items() if source == name and n > 0}
    if served:
        ends = ", ".join(sorted(served))
        yield (
            f"serves {sum(served.values()):.1f} parallel requests of {ends} with"
            f" {state.transcode_vcpus} vCPU for transcoding (5d)"
        )
    if state.hits:
        sizes = {content.name: content.size_gb for content in facts.problem.demand.contents}
        stored = sum(sizes[content] * share for content, share in state.hits)
        yield f"caches {stored:.1f} of {node.storage_gb:g} GB, {len(state.hits)} contents (5c)"


def _router_duty(facts: _Facts, name: str) -> Iterator[str]:
    through = facts.passing.get(name, 0.0) - facts.starting.get(name, 0.0)
    if facts.state[name].router_on and through > _TINY_MBPS:
        yield f"its router passes on {through:.1f} Mbit/s of others' traffic (3g)"
    if name == facts.problem.network.pop and facts.starting.get(name, 0.0) > _TINY_MBPS:
        yield f"it is the PoP: {facts.starting[name]:.1f} Mbit/s start or end here (3h)"


def _could_move(facts: _Facts, end: str) -> bool:
    """Whether another node is within the base band's reach."""
    near: dict[str, set[str]] = defaultdict(set)
    for link in facts.problem.network.links:
        near[link.a].add(link.b)
        near[link.b].add(link.a)
    at, seen = {end}, {end}
    for _hop in range(facts.problem.routing.cpri_reach_hops):
        at = {other for name in at for other in near[name]} - seen
        seen |= at
    core = {n for n in seen if facts.nodes[n].access is Access.TRANSIT}
    return bool(core) and facts.plan.variant != "virca2"


def _why_off(facts: _Facts, name: str) -> Iterator[str]:
    node = facts.nodes[name]
    host = facts.plan.infrastructure.hosts.get(name)
    if host is not None and host != name:
        yield f"off: its base band runs at {host}"
    sources = sorted({source for (source, end), n in facts.requests.items() if end == name and n})
    if sources:
        yield f"off: its requests are served by {', '.join(sources)}"
    if node.access is Access.TRANSIT:
        yield "off: no base band, request or path needs it, and it would only take power"


def _why_path(facts: _Facts, flow: Flow, others: list[tuple[str, ...]]) -> Iterator[str]:
    source, target = flow.path[0], flow.path[-1]
    if not flow.end:
        yield f"{source} is the PoP: what {target} fetches for its caches starts there (3d, 3e)"
    else:
        yield f"{source} serves {facts.requests.get((source, flow.end), 0.0):.1f} of its requests"
        yield _why_there(facts, flow.end, target)
    if len(flow.path) == 1:
        yield "it stays inside the node: no lightpath and no router"
        return
    count = len(flow.path) - 1
    yield f"{count} lightpath{'s' * (count > 1)}, the routers of {', '.join(flow.path)}"
    mine = set(flow.path)
    for path in [path for path in others if path != flow.path][:_MOST_ALTERNATIVES]:
        yield f"not {' > '.join(path)}: {_why_not(facts, path, mine)}"


def _why_there(facts: _Facts, end: str, target: str) -> str:
    if facts.nodes[end].access is not Access.MOBILE:
        return f"it ends at {target}, where the homes are (3c)"
    where = "itself" if end == target else target
    return f"it ends at {target}: the base band of {end} runs at {where} (3a)"


def _why_not(facts: _Facts, path: tuple[str, ...], mine: set[str]) -> str:
    dark = [name for name in path if not facts.state[name].router_on]
    if dark:
        return f"the router of {', '.join(dark)} is off"
    full = [hop for hop in pairwise(path) if facts.used.get(hop, 0) >= facts.room[hop] * _FULL]
    if full:
        return f"its lightpaths {'-'.join(full[0])} are full"
    more = [name for name in path if name not in mine]
    if more:
        return f"it would also pass {', '.join(more)}, at no gain"
    return "as good: it needs nothing that is off or full"
