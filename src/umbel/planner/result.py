"""What planning gives: meaning x solver's word x plan x report. Infeasible is a value.

Watts, Mbit/s, vCPUs, shares in [0, 1]. Names are those of the problem; the empty content name
stands for contents not seen yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from umbel.planner.problem import Resolution, Variant


class Meaning(StrEnum):
    """What a result is worth."""

    OPTIMAL = "optimal"  # no plan is better by more than the gap that was asked for
    FEASIBLE = "feasible"  # a plan, and `report.gap` says how far from the best it can be
    INFEASIBLE = "infeasible"  # no plan exists; `binding` says what stands in the way
    UNKNOWN = "unknown"  # stopped before there was a plan or a proof that there is none


@dataclass(frozen=True, kw_only=True)
class Report:
    """The solver's account. `objective` is power_w - gamma x QoE in W (RCA: -QoE), `bound` is
    below that of every plan, and `gap` between the two; `run_s` is the solver's own clock."""

    solver: str
    word: str
    objective: float
    bound: float
    run_s: float
    branch_nodes: int
    iterations: int
    columns: int
    rows: int
    entries: int

    @property
    def gap(self) -> float:
        """How much better a plan could still be."""
        return max(0.0, self.objective - self.bound)


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """What runs at a node. `hits` are (content, share of its requests found in the cache)."""

    name: str
    switch_on: bool
    router_on: bool
    servers: int
    bbu_vcpus: int
    transcode_vcpus: int
    hits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Infrastructure:
    """The decisions that RCA takes as given: nodes, and the host of each mobile end's base band."""

    nodes: tuple[NodePlan, ...]
    hosts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Service:
    """A bundle's part that one node serves: its share of the requests, and their total rate."""

    end: str
    content: str
    resolution: Resolution
    source: str
    share: float
    mbps: float


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Traffic for an end along an IP path; without an end, what a cache fetches from the PoP."""

    end: str
    path: tuple[str, ...]
    mbps: float


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What of a bundle goes along one path: x_p^{ems}, which admits requests one by one."""

    end: str
    content: str
    resolution: Resolution
    path: tuple[str, ...]
    mbps: float


@dataclass(frozen=True, kw_only=True)
class Power:
    """Where the watts go."""

    servers_w: float
    switches_w: float
    routers_w: float

    @property
    def total_w(self) -> float:
        """All of it."""
        return self.servers_w + self.switches_w + self.routers_w


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole configuration: infrastructure, who serves what, and along which paths."""

    variant: Variant
    infrastructure: Infrastructure
    services: tuple[Service, ...]
    flows: tuple[Flow, ...]
    power: Power
    qoe: float

    def budgets(self) -> tuple[Budget, ...]:
        """Services over flows: a source's paths to an end share its bundles in proportion."""
        paths: dict[tuple[str, str], list[Flow]] = {}
        for flow in self.flows:
            if flow.end:
                paths.setdefault((flow.end, flow.path[0]), []).append(flow)
        found = []
        for service in self.services:
            some = paths.get((service.end, service.source), [])
            total = sum(flow.mbps for flow in some)
            found += [
                Budget(
                    end=service.end,
                    content=service.content,
                    resolution=service.resolution,
                    path=flow.path,
                    mbps=service.mbps * flow.mbps / total,
                )
                for flow in some
            ]
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A constraint family that stands in the way: its number in the paper and what it limits."""

    family: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer. `plan` is None unless the meaning is OPTIMAL or FEASIBLE."""

    meaning: Meaning
    plan: Plan | None
    report: Report
    binding: tuple[Binding, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether no plan is better by more than the gap that was asked for."""
        return self.meaning is Meaning.OPTIMAL
