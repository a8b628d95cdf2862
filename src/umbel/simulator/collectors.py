"""Watching a run from outside: its Record in, totals and time series out. Times are seconds after
the warm-up; a series has one value for each bin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from umbel.planner.admission import CODES, Reason
from umbel.planner.linear import Flags, Floats, Ints
from umbel.planner.result import Infrastructure
from umbel.simulator.ports import Outcomes, SteeringPlan
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.world import World

_RESOLUTIONS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """All that happened in a run, warm-up included: `steering` with when each plan began."""

    world: World
    catalogue: Catalogue
    requests: Requests
    outcomes: Outcomes
    steering: tuple[tuple[float, SteeringPlan], ...]
    warmup_s: float
    end_s: float

    @property
    def measured(self) -> Flags:
        """Requests after the warm-up."""
        return self.requests.time_s >= self.warmup_s

    @property
    def served(self) -> Flags:
        """Requests that were admitted."""
        return self.outcomes.outcome > 0


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Of some requests: how many, how many were refused and why, and of those served the mean
    rate as a share of what they could use, the share found in caches, and the mean wait for the
    first picture. Means of nothing are NaN."""

    requests: int
    rejected: Mapping[Reason, int]
    relative_rate: float
    hit_ratio: float
    delay_s: float

    @property
    def rejection_ratio(self) -> float:
        """The share refused."""
        return sum(self.rejected.values()) / self.requests if self.requests else 0.0


def totals(record: Record, some: Flags | None = None) -> Totals:
    """Of the measured requests, or of some among them."""
    chosen = record.measured if some is None else record.measured & some
    served = chosen & record.served
    return Totals(
        requests=int(chosen.sum()),
        rejected={
            reason: int((record.outcomes.outcome[chosen] == -code).sum())
            for reason, code in CODES.items()
        },
        relative_rate=_mean(relative_rates(record)[served]),
        hit_ratio=_mean(record.outcomes.hit[served].astype(np.float64)),
        delay_s=_mean(record.outcomes.delay_s[served]),
    )


def relative_rates(record: Record) -> Floats:
    """By request: its rate over the most that its encoding and last hop allow; 0 if refused."""
    rates = np.zeros(len(record.requests))
    starts = [start for start, _plan in record.steering]
    number = np.searchsorted(starts, record.requests.time_s, side="right") - 1
    for at, (_start, steering) in enumerate(record.steering):
        some = np.flatnonzero((number == at) & record.served)
        most = _most_mbps(steering)[
            record.outcomes.label[some] + 1, record.requests.resolution[some]
        ]
        most = np.minimum(most, record.requests.last_hop_mbps[some])
        rates[some] = record.outcomes.mbps[some] / most
    return rates


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Means over bins; `from_s` is when each begins. `rejected` counts by reason.
    `vcpus` and `nodes_on` [bin, node]: transcoding in use, and the share of time that a node was
    on, by its plan or because somebody was still served there; as many servers run as the
    plan has, and at least those that what is in use there needs."""

    from_s: Floats
    requests: Ints
    rejected: Mapping[Reason, Ints]
    relative_rate: Floats
    delay_s: Floats
    vcpus: Floats
    bbu_vcpus: Floats
    nodes_on: Floats
    servers_w: Floats
    switches_w: Floats
    routers_w: Floats
    multipath_share: Floats


def series(record: Record, bin_s: float = 60.0) -> Series:
    """Everything over time."""
    bins = max(1, int(np.ceil((record.end_s - record.warmup_s) / bin_s - 1e-9)))
    edges = record.warmup_s + np.arange(bins + 1, dtype=np.float64) * bin_s
    edges[-1] = record.end_s
    place = np.searchsorted(edges, record.requests.time_s, side="right") - 1
    shares = _steering_shares(record, edges)
    power = record.world.power
    plans = [steering.infrastructure for _start, steering in record.steering]
    vcpus = _by_node(record, edges, record.outcomes.vcpus)
    nodes_on = _nodes_on(record, edges)
    bbu = shares @ np.array([_numbers(plan, "bbu_vcpus") for plan in plans])
    needed = (bbu + vcpus) / record.world.network.vcpus_per_server
    servers = shares @ np.array([_numbers(plan, "servers") for plan in plans])
    servers = np.maximum(servers, needed)
    routers = shares @ np.array([_flags(plan, "router_on") for plan in plans])
    return Series(
        from_s=edges[:-1] - record.warmup_s,
        requests=_count(place, bins, record.measured),
        rejected={
            reason: _count(place, bins, record.measured & (record.outcomes.outcome == -code))
            for reason, code in CODES.items()
        },
        relative_rate=_binned(place, bins, record, relative_rates(record)),
        delay_s=_binned(place, bins, record, record.outcomes.delay_s),
        vcpus=vcpus,
        bbu_vcpus=bbu,
        nodes_on=nodes_on,
        servers_w=power.server_w * servers.sum(axis=1)
        + power.vcpu_w * (bbu.sum(axis=1) + vcpus.sum(axis=1)),
        switches_w=power.switch_w * nodes_on.sum(axis=1),
        routers_w=power.router_w * routers.sum(axis=1),
        multipath_share=np.array([multipath_share(record, at_s) for at_s in edges[1:].tolist()]),
    )


def marks(record: Record) -> tuple[tuple[float, str], ...]:
    """When a new plan began, and why: what was optimised again."""
    return tuple((start - record.warmup_s, steering.why) for start, steering in record.steering)


def multipath_share(record: Record, at_s: float) -> float:
    """Of those served at a moment who share their kind (end, label, resolution) and cache with
    somebody: the share whose kind goes along more than one path. NaN where none does."""
    requests, outcomes = record.requests, record.outcomes
    now = (requests.time_s <= at_s) & (requests.until_s > at_s) & record.served
    source = record.world.path_from[outcomes.path[now]]
    kind = [requests.end[now], outcomes.label[now], requests.resolution[now], source]
    rows = np.column_stack([*kind, outcomes.path[now]])
    if not len(rows):
        return float("nan")
    lanes, members = np.unique(rows, axis=0, return_counts=True)
    _kinds, group = np.unique(lanes[:, :-1], axis=0, return_inverse=True)
    sizes = np.bincount(group.ravel(), members)
    paths = np.bincount(group.ravel())
    shared = sizes[sizes > 1].sum()
    return float(sizes[paths > 1].sum() / shared) if shared else float("nan")


def popularity_classes(rank: Ints, catalogue: int) -> tuple[Flags, Flags, Flags]:
    """By content: the 5 % most asked for, the next 15 %, the rest (the paper's figure 7)."""
    share = rank / catalogue
    return share < 0.05, (share >= 0.05) & (share < 0.2), share >= 0.2


def _most_mbps(steering: SteeringPlan) -> Floats:
    """[label + 1, resolution]: the best rate of each kind of request under a steering plan."""
    qoe = steering.guide.problem.qoe
    rows = [[encoding.max_mbps for encoding in qoe.unknown.values()]]
    for name in steering.names:
        kind = steering.guide.contents[name].kind
        rows.append([qoe.known[kind, resolution].max_mbps for resolution in qoe.unknown])
    return np.array(rows)


def _steering_shares(record: Record, edges: Floats) -> Floats:
    """[bin, plan]: for which share of a bin each plan was in force."""
    starts = [start for start, _plan in record.steering]
    spans = np.array(list(pairwise([*starts, record.end_s])))
    begin = np.maximum(edges[:-1, None], spans[None, :, 0])
    end = np.minimum(edges[1:, None], spans[None, :, 1])
    shares: Floats = np.maximum(end - begin, 0.0) / np.diff(edges)[:, None]
    return shares


def _by_node(record: Record, edges: Floats, weight: Floats) -> Floats:
    """[bin, node]: the mean over each bin of a weight summed over those who are served there."""
    requests, served = record.requests, np.flatnonzero(record.served)
    node = record.world.path_from[record.outcomes.path[served]]
    found = np.zeros((len(edges) - 1, len(record.world.names)))
    for number in range(found.shape[1]):
        some = served[node == number]
        grown = _grown(requests.time_s[some], weight[some], edges)
        found[:, number] = np.diff(grown - _grown(requests.until_s[some], weight[some], edges))
    return found / np.diff(edges)[:, None]


def _nodes_on(record: Record, edges: Floats) -> Floats:
    """[bin, node]: for which share of a bin a plan had the node on, or somebody was served."""
    starts = [start for start, _plan in record.steering]
    spans = np.array(list(pairwise([*starts, record.end_s])))
    on = np.array(
        [_flags(steering.infrastructure, "switch_on") for _start, steering in record.steering]
    )
    served = np.flatnonzero(record.served)
    node = record.world.path_from[record.outcomes.path[served]]
    found = np.zeros((len(edges) - 1, len(record.world.names)))
    for number in range(found.shape[1]):
        some, planned = served[node == number], spans[on[:, number] > 0]
        begin = np.concatenate([planned[:, 0], record.requests.time_s[some]])
        end = np.concatenate([planned[:, 1], record.requests.until_s[some]])
        found[:, number] = _covered(begin, end, edges)
    return found / np.diff(edges)[:, None]


def _covered(begin: Floats, end: Floats, edges: Floats) -> Floats:
    """For how long of each bin at least one of the spans lasts."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    first = np.ones(len(begin), dtype=bool)
    first[1:] = begin[1:] > end[:-1]
    last = np.append(first[1:], True)[: len(end)]
    ones = np.ones(int(first.sum()))
    return np.diff(_grown(begin[first], ones, edges) - _grown(end[last], ones, edges))


def _grown(from_s: Floats, weight: Floats, edges: Floats) -> Floats:
    """At each edge: the sum of weight x time since `from_s` of all that began before it."""
    order = np.argsort(from_s)
    sums = np.concatenate([[0.0], np.cumsum(weight[order])])
    moments = np.concatenate([[0.0], np.cumsum((weight * from_s)[order])])
    place = np.searchsorted(from_s[order], edges, side="right")
    grown: Floats = sums[place] * edges - moments[place]
    return grown


def _count(place: Ints, bins: int, some: Flags) -> Ints:
    return np.bincount(place[some].clip(0, bins - 1), minlength=bins)


def _binned(place: Ints, bins: int, record: Record, values: Floats) -> Floats:
    some = record.measured & record.served
    count = _count(place, bins, some)
    total = np.bincount(place[some].clip(0, bins - 1), values[some], bins)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _flags(plan: Infrastructure, field: str) -> Floats:
    return np.array([float(getattr(node, field)) for node in plan.nodes])


def _numbers(plan: Infrastructure, field: str) -> Floats:
    return np.array([float(getattr(node, field)) for node in plan.nodes])
