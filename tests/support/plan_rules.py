"""The rules of the model, checked on a finished plan by name, without the planner's own arrays."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from umbel.planner.paths import Routes
from umbel.planner.problem import Access, Bundle, Content, Encoding, Problem, Resolution, Variant
from umbel.planner.result import Plan, Service

SLACK = 1.0005


def broken(problem: Problem, routes: Routes, plan: Plan) -> list[str]:
    """Every rule that the plan breaks, in words."""
    return [*_rates(problem, plan), *_servers(problem, plan), *_network(problem, routes, plan)]


def _unknown_demand(problem: Problem) -> dict[tuple[str, Resolution], float]:
    total: dict[tuple[str, Resolution], float] = defaultdict(float)
    for bundle in problem.demand.bundles:
        total[bundle.end, bundle.resolution] += bundle.parallel * problem.qoe.unknown_share
    return total


def _facts(problem: Problem, service: Service) -> tuple[Encoding, float, float]:
    """Encoding, parallel requests and fill rate when all is served here."""
    if service.content:
        bundle = _bundle(problem, service)
        content = _content(problem, service.content)
        encoding = problem.qoe.known[content.kind, service.resolution]
        fill = bundle.parallel * content.mean_gb * 8000 / bundle.watch_s
        return encoding, bundle.parallel, fill * problem.miss_share
    same = [
        b
        for b in problem.demand.bundles
        if (b.end, b.resolution) == (service.end, service.resolution)
    ]
    total = sum(b.parallel for b in same)
    mean = sum(b.parallel * _content(problem, b.content).mean_gb for b in same) / total
    watch = sum(b.parallel * b.watch_s for b in same) / total
    parallel = total * problem.qoe.unknown_share
    fill = parallel * mean * 8000 / watch * problem.miss_share
    return problem.qoe.unknown[service.resolution], parallel, fill


def _content(problem: Problem, name: str) -> Content:
    return next(c for c in problem.demand.contents if c.name == name)


def _bundle(problem: Problem, service: Service) -> Bundle:
    key = (service.end, service.content, service.resolution)
    return next(b for b in problem.demand.bundles if (b.end, b.content, b.resolution) == key)


def qoe_of(problem: Problem, plan: Plan) -> float:
    """(1e) from the services."""
    return sum(s.mbps * _facts(problem, s)[0].score_per_mbps for s in plan.services)


def power_of(problem: Problem, plan: Plan) -> float:
    """(1b)-(1d) from the nodes."""
    power = problem.power
    return sum(
        power.switch_w * node.switch_on
        + power.router_w * node.router_on
        + power.server_w * node.servers
        + power.vcpu_w * (node.bbu_vcpus + node.transcode_vcpus)
        for node in plan.infrastructure.nodes
    )


def _rates(problem: Problem, plan: Plan) -> Iterator[str]:
    shares: dict[tuple[str, str, Resolution], float] = defaultdict(float)
    for service in plan.services:
        encoding, parallel, _fill = _facts(problem, service)
        shares[service.end, service.content, service.resolution] += service.share
        least = encoding.min_mbps * parallel * service.share
        most = encoding.max_mbps * parallel * service.share
        if not least / SLACK - 1e-4 <= service.mbps <= most * SLACK + 1e-4:
            yield f"(2) {service}"
    yield from (f"(5a) {key} {share}" for key, share in shares.items() if share > SLACK)
    hits = {node.name: dict(node.hits) for node in plan.infrastructure.nodes}
    for service in plan.services:
        if service.content and service.share > hits[service.source].get(service.content, 0) + 1e-5:
            yield f"(5b) {service}"
    nodes = {node.name: node for node in problem.network.nodes}
    for name, stored in hits.items():
        size = sum(_content(problem, c).size_gb * share for c, share in stored.items())
        if size > nodes[name].storage_gb * SLACK:
            yield f"(5c) {name} {size}"


def _servers(problem: Problem, plan: Plan) -> Iterator[str]:
    nodes = {node.name: node for node in problem.network.nodes}
    mobile = {n.name for n in problem.network.nodes if n.access is Access.MOBILE}
    if set(plan.infrastructure.hosts) != mobile:
        yield "(4d) hosts"
    bbu: dict[str, float] = defaultdict(float)
    work: dict[str, float] = defaultdict(float)
    for end, host in plan.infrastructure.hosts.items():
        bbu[host] += nodes[end].bbu_vcpus
        if plan.variant is Variant.VIRCA2 and end != host:
            yield f"ViRCA2 {end} at {host}"
    for service in plan.services:
        encoding, parallel, _fill = _facts(problem, service)
        work[service.source] += encoding.vcpus * parallel * service.share
    yield from _packed(problem, plan, bbu, work)


def _packed(
    problem: Problem, plan: Plan, bbu: dict[str, float], work: dict[str, float]
) -> Iterator[str]:
    nodes = {node.name: node for node in problem.network.nodes}
    for node in plan.infrastructure.nodes:
        if bbu[node.name] > node.bbu_vcpus + 1e-3:
            yield f"(4e) {node.name}"
        if work[node.name] > node.transcode_vcpus + 1e-3:
            yield f"(5d) {node.name} {work[node.name]} {node.transcode_vcpus}"
        vcpus = node.bbu_vcpus + node.transcode_vcpus
        if vcpus > problem.network.vcpus_per_server * node.servers:
            yield f"(6a) {node.name}"
        if node.servers > nodes[node.name].servers * node.switch_on:
            yield f"(6b) {node.name}"


def _network(problem: Problem, routes: Routes, plan: Plan) -> Iterator[str]:
    yield from _lightpaths(problem, routes, plan)
    passing: dict[str, float] = defaultdict(float)
    gate: dict[str, float] = defaultdict(float)
    for flow in plan.flows:
        for name in flow.path if len(flow.path) > 1 else ():
            passing[name] += flow.mbps
        for name in {flow.path[0], flow.path[-1]}:
            gate[name] += flow.mbps
    state = {node.name: node for node in plan.infrastructure.nodes}
    for node in problem.network.nodes:
        name = node.name
        if passing[name] > node.router_mbps * state[name].router_on * SLACK:
            yield f"(3g) {name}"
        if gate[name] > node.switch_mbps * state[name].switch_on * SLACK:
            yield f"(3h) {name}"
    yield from _delivery(problem, plan)
    yield from _fills(problem, plan)


def _lightpaths(problem: Problem, routes: Routes, plan: Plan) -> Iterator[str]:
    on_link: dict[tuple[str, str], float] = defaultdict(float)
    for flow in plan.flows:
        for i, j in pairwise(flow.path):
            on_link[i, j] += flow.mbps
    network = problem.network
    for end, host in plan.infrastructure.hosts.items():
        if end != host:
            on_link[host, end] += network.cpri_lightpaths * network.lightpath_mbps
    size = {(routes.names[i], routes.names[j]): count for i, j, count in routes.lightpaths}
    for pair, mbps in on_link.items():
        if mbps > size[pair] * network.lightpath_mbps * SLACK:
            yield f"(3f) {pair} {mbps}"


def _delivery(problem: Problem, plan: Plan) -> Iterator[str]:
    sent: dict[tuple[str, str], float] = defaultdict(float)
    landed: dict[str, float] = defaultdict(float)
    for flow in plan.flows:
        if flow.end:
            sent[flow.end, flow.path[0]] += flow.mbps
            landed[flow.end] += flow.mbps
            if flow.path[-1] != plan.infrastructure.hosts.get(flow.end, flow.end):
                yield f"(3a)/(3c) {flow}"
    served: dict[tuple[str, str], float] = defaultdict(float)
    for service in plan.services:
        served[service.end, service.source] += service.mbps
    for key in {*sent, *served}:
        if abs(sent[key] - served[key]) > 1e-3 + 1e-4 * served[key]:
            yield f"(3b) {key} {sent[key]} {served[key]}"
    mobile = [node for node in problem.network.nodes if node.access is Access.MOBILE]
    over = [n.name for n in mobile if landed[n.name] > n.radio_mbps * SLACK]
    yield from (f"(3a) {name}" for name in over)


def _fills(problem: Problem, plan: Plan) -> Iterator[str]:
    need: dict[str, float] = defaultdict(float)
    for node in problem.network.nodes:
        hosted = sum(host == node.name for host in plan.infrastructure.hosts.values())
        need[node.name] = node.connectivity_mbps * (hosted + (node.access is Access.FIXED))
    for service in plan.services:
        need[service.source] += _facts(problem, service)[2] * service.share
    fetched: dict[str, float] = defaultdict(float)
    for flow in plan.flows:
        if not flow.end:
            fetched[flow.path[-1]] += flow.mbps
            if flow.path[0] != problem.network.pop:
                yield f"(3e) {flow}"
    for name, mbps in need.items():
        if name != problem.network.pop and fetched[name] < mbps / SLACK - 1e-3:
            yield f"(3d) {name} {fetched[name]} {mbps}"
