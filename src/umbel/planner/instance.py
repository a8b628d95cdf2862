"""A problem by numbers: what both formulations read. Problem, Routes and Variant in, arrays out.

Rates are in Mbit/s and sizes in GB as in the problem. A commodity is a bundle {ems} with demand;
those of unseen contents [u] come last. `serves` and `may_host` hold every rule on who may do what.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import sparse

from umbel.planner.linear import Flags, Floats, Ints
from umbel.planner.paths import Path, Routes
from umbel.planner.problem import (
    Access,
    Encoding,
    Goal,
    Kind,
    LeastPower,
    Problem,
    Resolution,
    Variant,
)

MBIT_PER_GB = 8000.0
_KINDS = {kind: number for number, kind in enumerate(Kind)}
_RESOLUTIONS = {resolution: number for number, resolution in enumerate(Resolution)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Commodities:
    """One entry for each bundle with demand. `end` and `content` are numbers; content is the
    count of contents for unseen ones. The rates and vCPUs are those of the whole bundle."""

    end: Ints
    content: Ints
    resolution: Ints
    parallel: Floats
    least_mbps: Floats  # b_min v
    most_mbps: Floats  # b_max v
    slope: Floats  # a, QoE per Mbit/s
    vcpus: Floats  # d v
    fill_mbps: Floats  # o: what its cache misses fetch from the PoP when one node serves it all

    def __len__(self) -> int:
        return len(self.end)


@dataclass(frozen=True, kw_only=True, eq=False)
class Instance:
    """Everything the formulations need, by node, end, commodity, path and lightpath number."""

    problem: Problem
    routes: Routes
    variant: Variant
    commodities: Commodities
    ends: Ints  # node of each end
    mobile: Flags  # by end
    serves: Flags  # node x end: may serve its requests
    may_host: Flags  # node x end: traffic for the end may leave the IP network here
    size_gb: Floats  # by content
    paths: tuple[Path, ...]
    path_from: Ints
    path_to: Ints
    on_lightpath: "sparse.csr_array"  # path x lightpath
    on_node: "sparse.csr_array"  # path x node whose router it passes
    at_gate: "sparse.csr_array"  # path x node where it starts or ends
    lightpath_mbps: Floats

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.routes.names)

    @property
    def contents(self) -> int:
        """How many contents there are, unseen ones not counted."""
        return len(self.size_gb)

    @property
    def known(self) -> Flags:
        """Commodities of catalogued contents."""
        return self.commodities.content < self.contents

    @property
    def full_power_w(self) -> float:
        """Everything on: the measure for gaps and for gamma."""
        power, network = self.problem.power, self.problem.network
        server_w = power.server_w + network.vcpus_per_server * power.vcpu_w
        servers = sum(node.servers for node in network.nodes)
        return self.nodes * (power.switch_w + power.router_w) + servers * server_w

    @property
    def full_qoe(self) -> float:
        """All demand at its best quality."""
        return float(self.commodities.slope @ self.commodities.most_mbps)

    def node_array(self, field: str) -> Floats:
        """A field of every node."""
        return np.array([getattr(n, field) for n in self.problem.network.nodes], dtype=np.float64)

    def watts_per_qoe(self, goal: Goal) -> float:
        """gamma in W for one unit of QoE: the whole demand weighs what full power does."""
        if isinstance(goal, LeastPower) or self.full_qoe == 0:
            return 0.0
        return goal.gamma * self.full_power_w / self.full_qoe


def compile_problem(problem: Problem, routes: Routes, variant: Variant = Variant.VIRCA) -> Instance:
    """The arrays of a checked problem; `routes` are those of its network and routing."""
    nodes = problem.network.nodes
    ends = np.array(routes.ends, dtype=np.int64)
    mobile = np.array([nodes[e].access is Access.MOBILE for e in routes.ends], dtype=bool)
    may_host = _may_host(routes, variant, len(nodes))
    per_path = _incidence(routes, len(nodes))
    bundle_mbps = [count * problem.network.lightpath_mbps for _i, _j, count in routes.lightpaths]
    return Instance(
        problem=problem,
        routes=routes,
        variant=variant,
        commodities=_commodities(problem, routes),
        ends=ends,
        mobile=mobile,
        serves=_serves(routes, variant, may_host),
        may_host=may_host,
        size_gb=np.array([content.size_gb for content in problem.demand.contents]),
        paths=routes.paths,
        path_from=np.array([path[0] for path in routes.paths], dtype=np.int64),
        path_to=np.array([path[-1] for path in routes.paths], dtype=np.int64),
        on_lightpath=per_path[0],
        on_node=per_path[1],
        at_gate=per_path[2],
        lightpath_mbps=np.array(bundle_mbps, dtype=np.float64),
    )


def with_paths(instance: Instance, paths: tuple[Path, ...]) -> Instance:
    """The same problem over other paths."""
    routes = replace(instance.routes, paths=paths)
    per_path = _incidence(routes, instance.nodes)
    return replace(
        instance,
        routes=routes,
        paths=paths,
        path_from=np.array([path[0] for path in paths], dtype=np.int64),
        path_to=np.array([path[-1] for path in paths], dtype=np.int64),
        on_lightpath=per_path[0],
        on_node=per_path[1],
        at_gate=per_path[2],
    )


def _may_host(routes: Routes, variant: Variant, nodes: int) -> Flags:
    """(3c) for fixed ends and (4a)-(4c) for base bands, as flags."""
    flags = np.zeros((nodes, len(routes.ends)), dtype=bool)
    for number, end in enumerate(routes.ends):
        stays = variant is Variant.VIRCA2 or end not in routes.hosts
        flags[[end] if stays else list(routes.hosts[end]), number] = True
    return flags


def _serves(routes: Routes, variant: Variant, may_host: Flags) -> Flags:
    flags = np.zeros_like(may_host)
    for number, end in enumerate(routes.ends):
        flags[list(routes.sources[end]), number] = True
    if variant is Variant.VIRCA3:
        pop = flags[routes.pop].copy()
        flags &= may_host
        flags[routes.pop] = pop
    return flags


def _incidence(
    routes: Routes, nodes: int
) -> tuple["sparse.csr_array", "sparse.csr_array", "sparse.csr_array"]:
    """Path by lightpath, by node passed, by node where it starts or ends."""
    number = {(i, j): n for n, (i, j, _count) in enumerate(routes.lightpaths)}
    moving = [(n, path) for n, path in enumerate(routes.paths) if len(path) > 1]
    hops = [(n, number[hop]) for n, p in moving for hop in pairwise(p)]
    passed = [(n, node) for n, path in moving for node in path]
    gates = [(n, node) for n, path in enumerate(routes.paths) for node in {path[0], path[-1]}]
    height = len(routes.paths)
    return (
        _flags_of(hops, (height, len(routes.lightpaths))),
        _flags_of(passed, (height, nodes)),
        _flags_of(gates, (height, nodes)),
    )


def _flags_of(places: list[tuple[int, int]], shape: tuple[int, int]) -> "sparse.csr_array":
    where = np.array(places, dtype=np.int64).reshape(-1, 2)
    return sparse.csr_array((np.ones(len(where)), (where[:, 0], where[:, 1])), shape=shape)


def _commodities(problem: Problem, routes: Routes) -> Commodities:
    end_of = {routes.names[node]: number for number, node in enumerate(routes.ends)}
    content_of = {c.name: number for number, c in enumerate(problem.demand.contents)}
    bundles = [b for b in problem.demand.bundles if b.parallel > 0]
    end = np.array([end_of[b.end] for b in bundles], dtype=np.int64)
    content = np.array([content_of[b.content] for b in bundles], dtype=np.int64)
    resolution = np.array([_RESOLUTIONS[b.resolution] for b in bundles], dtype=np.int64)
    parallel = np.array([b.parallel for b in bundles], dtype=np.float64)
    watch_s = np.array([b.watch_s for b in bundles], dtype=np.float64)
    order = np.lexsort((resolution, content, end))
    end, content, resolution = end[order], content[order], resolution[order]
    parallel, watch_s = parallel[order], watch_s[order]
    mean_gb = np.array([c.mean_gb for c in problem.demand.contents], dtype=np.float64)[content]
    rate = np.array([_KINDS[c.kind] for c in problem.demand.contents], dtype=np.int64)[content]
    known = _encodings(problem)[rate, resolution]
    fill = _fill_mbps(problem, parallel, mean_gb, watch_s)

    # Unseen contents: a share of what the site asks for at that resolution, of its mean size.
    share = problem.qoe.unknown_share
    slot, inverse = np.unique(end * len(Resolution) + resolution, return_inverse=True)
    total: Floats = np.bincount(inverse, parallel, len(slot)).astype(np.float64)
    mean = np.bincount(inverse, parallel * mean_gb, len(slot)) / np.where(total, total, 1)
    watch = np.bincount(inverse, parallel * watch_s, len(slot)) / np.where(total, total, 1)
    if share == 0:
        slot, total, mean, watch = slot[:0], total[:0], mean[:0], watch[:0]
    unseen = _unknown_encodings(problem)[slot % len(Resolution)]
    every = np.concatenate([known, unseen])
    asked = np.concatenate([parallel, total * share])
    return Commodities(
        end=np.concatenate([end, slot // len(Resolution)]),
        content=np.concatenate([content, np.full(len(slot), len(content_of))]),
        resolution=np.concatenate([resolution, slot % len(Resolution)]),
        parallel=asked,
        least_mbps=every[:, 0] * asked,
        most_mbps=every[:, 1] * asked,
        slope=every[:, 2],
        vcpus=every[:, 3] * asked,
        fill_mbps=np.concatenate([fill, _fill_mbps(problem, total * share, mean, watch)]),
    )


def _fill_mbps(problem: Problem, parallel: Floats, mean_gb: Floats, watch_s: Floats) -> Floats:
    """o = kappa v s / wd (3d): Little's law gives the request rate v / wd, and the share kappa of
    it misses. s is the mean content: the sum over a cluster would count its misses many times."""
    return problem.miss_share * parallel * mean_gb * MBIT_PER_GB / watch_s


def _row(encoding: Encoding) -> list[float]:
    slope = encoding.score_per_mbps
    return [encoding.min_mbps, encoding.max_mbps, slope, encoding.vcpus]


def _encodings(problem: Problem) -> Floats:
    return np.array([[_row(problem.qoe.known[k, r]) for r in Resolution] for k in Kind])


def _unknown_encodings(problem: Problem) -> Floats:
    return np.array([_row(problem.qoe.unknown[r]) for r in Resolution])
