"""Whether a plan still holds: slack of its budgets, and how far the demand has moved. Pure.

Problem, Plan and monitored samples in; names of outgrown budgets out, for `control`. Bandwidth is
counted per end node, as Algorithm 2 falls back to an end's whole budget; vCPUs per serving node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from umbel.planner.problem import Content, Encoding, Problem, Resolution
from umbel.planner.result import Plan

Key = tuple[str, str, Resolution, str]
"""Of parallel requests: their end node, content (empty: unseen), resolution, serving node."""
Sample = Mapping[Key, float]
"""How many run at once. Refused ones count at the node that would have served them, or at none
(an empty name): then they weigh on the end's bandwidth alone."""


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Mbit/s by end node, and vCPUs by serving node."""

    mbps: Mapping[str, float] = field(default_factory=dict)
    vcpus: Mapping[str, float] = field(default_factory=dict)


def peak(samples: Iterable[Sample]) -> dict[Key, float]:
    """The largest of each count since the last optimisation: max over k of vf(k)."""
    most: dict[Key, float] = {}
    for sample in samples:
        for key, count in sample.items():
            most[key] = max(most.get(key, 0.0), count)
    return most


def planned(problem: Problem, plan: Plan) -> dict[Key, float]:
    """The requests that the plan serves, by who serves them: v f."""
    asked = {(b.end, b.content, b.resolution): b.parallel for b in problem.demand.bundles}
    known: dict[tuple[str, Resolution], float] = {}
    for (end, _, resolution), count in asked.items():
        known[end, resolution] = known.get((end, resolution), 0.0) + count
    unknown = problem.qoe.unknown_share
    counts: dict[Key, float] = {}
    for service in plan.services:
        if service.content:
            whole = asked[service.end, service.content, service.resolution]
        else:
            whole = unknown * known.get((service.end, service.resolution), 0.0)
        key = (service.end, service.content, service.resolution, service.source)
        counts[key] = counts.get(key, 0.0) + whole * service.share
    return counts


def slack(problem: Problem, plan: Plan) -> Budgets:
    """What of the budgets the planned requests leave free at their least quality: of x by (2a),
    of t by (5d)."""
    need = _needs(problem, planned(problem, plan))
    mbps = {end: -rate for end, rate in need.mbps.items()}
    for service in plan.services:
        mbps[service.end] = mbps.get(service.end, 0.0) + service.mbps
    vcpus = {
        node.name: node.transcode_vcpus - need.vcpus.get(node.name, 0.0)
        for node in plan.infrastructure.nodes
    }
    return Budgets(mbps=mbps, vcpus=vcpus)


def variation(problem: Problem, plan: Plan, seen: Sample) -> Budgets:
    """What the seen requests need at their least quality beyond the planned ones, by end and by
    node. Fewer requests of a bundle make room for more of another."""
    expected = planned(problem, plan)
    change = {
        key: seen.get(key, 0.0) - expected.get(key, 0.0) for key in sorted({*seen, *expected})
    }
    return _needs(problem, change)


def outgrown(change: Budgets, spare: Budgets, *, tolerance: float = 1e-6) -> tuple[str, ...]:
    """The budgets that the change does not fit into, by name; empty while the plan holds."""
    ends = (f"bandwidth to {e}" for e in _over(change.mbps, spare.mbps, tolerance))
    nodes = (f"vCPUs of {n}" for n in _over(change.vcpus, spare.vcpus, tolerance))
    return (*ends, *nodes)


def encoding_of(problem: Problem, content: Content | None, resolution: Resolution) -> Encoding:
    """The encoding of a content, or of an unseen one."""
    if content is None:
        return problem.qoe.unknown[resolution]
    return problem.qoe.known[content.kind, resolution]


def best_qoe(problem: Problem) -> float:
    """All demand at its best quality, unseen contents at their most: what shares of QoE mean."""
    kinds = {content.name: content.kind for content in problem.demand.contents}
    qoe = problem.qoe
    return sum(
        b.parallel * qoe.known[kinds[b.content], b.resolution].score
        + b.parallel * qoe.unknown_share * qoe.unknown[b.resolution].score
        for b in problem.demand.bundles
    )


def share_of(problem: Problem, plan: Plan) -> float:
    """A plan's QoE as a share of all demand at its best; 1 where there is no demand."""
    most = best_qoe(problem)
    return plan.qoe / most if most > 0 else 1.0


def _needs(problem: Problem, counts: Mapping[Key, float]) -> Budgets:
    contents = {content.name: content for content in problem.demand.contents}
    mbps: dict[str, float] = {}
    vcpus: dict[str, float] = {}
    for (end, content, resolution, source), count in counts.items():
        encoding = encoding_of(problem, contents.get(content), resolution)
        mbps[end] = mbps.get(end, 0.0) + encoding.min_mbps * count
        if source:
            vcpus[source] = vcpus.get(source, 0.0) + encoding.vcpus * count
    return Budgets(mbps=mbps, vcpus=vcpus)


def _over(need: Mapping[str, float], spare: Mapping[str, float], tolerance: float) -> list[str]:
    return [name for name, more in need.items() if more > spare.get(name, 0.0) + tolerance]
