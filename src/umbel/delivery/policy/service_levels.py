"""Room that is promised to providers (SLA), kept from viewers whose claim comes after. Pure.

In: a view, a viewer's provider, and the service levels that apply now. Out: the view without the
room that is kept for others, for any policy; or a refusal that names the level. A viewer whom the
level promises a place may use what is kept for lower priorities; any other viewer, nothing that is
kept.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from umbel.catalogue.service_levels.model import Commitment, ServiceLevel
from umbel.delivery.guidance import Watch
from umbel.delivery.trees import renditions
from umbel.delivery.trees.view import EDGE, FunctionView, NoCapacity, NodeView, View

RESERVED = "reserved"
"""The reason of a refusal while there is room, all of it promised to others."""
_WHOLE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Claim:
    """On whose behalf a viewer asks: its provider, and all service levels that apply now."""

    provider_id: str
    commitments: tuple[Commitment, ...] = ()

    @property
    def own(self) -> Commitment:
        """The provider's own level; nothing is promised where there is none."""
        none = Commitment(level=ServiceLevel(provider_id=self.provider_id))
        mine = (c for c in self.commitments if c.level.provider_id == self.provider_id)
        return next(mine, none)

    def is_promised(self, watching: Mapping[Watch, int], height: int) -> bool:
        """Whether the level promises a place to another viewer of pictures of that height (0: not
        known)."""
        level = self.own.level
        is_covered = not level.height or height <= level.height
        return is_covered and _watching(self.own, watching) < level.viewers

    def before(
        self, watching: Mapping[Watch, int], height: int
    ) -> Iterator[tuple[Commitment, int]]:
        """The other levels whose claim comes before the viewer's, each with the viewers whom it
        promises a place and who do not watch yet."""
        is_promised = self.is_promised(watching, height)
        for other in self.commitments:
            if other.level.provider_id == self.provider_id or not other.events:
                continue
            missing = other.level.viewers - _watching(other, watching)
            goes_first = not is_promised or other.level.priority > self.own.level.priority
            if missing > 0 and goes_first:
                yield other, missing


def without_reserved(view: View, claim: Claim, access_node: str, height: int) -> View:
    """The view without the room that is kept for others: of all nodes, those farthest from the
    viewer keep it. Room on links is not kept."""
    kept = list(claim.before(view.watching, height))
    if not kept:
        return view
    hops = {access_node: 0}
    hops.update((way.target, way.hops) for way in view.routes.nearest(access_node))
    by_distance = sorted(view.nodes, key=lambda name: (hops.get(name, math.inf), name))
    room = _Room(view=view, nodes=dict(view.nodes), functions=dict(view.functions))
    for commitment, missing in kept:
        room.keep(commitment, missing, by_distance[::-1])
    return replace(view, nodes=room.nodes, functions=room.functions)


def refusal(view: View, claim: Claim, stream: str, access_node: str) -> NoCapacity:
    """The error for a viewer for whom there is room, but none that is not promised to others."""
    level, watching = claim.own.level, _watching(claim.own, view.watching)
    return NoCapacity(
        "The room that is left is promised to other providers: the service level of this provider"
        f" promises a place to {level.viewers} viewers, and {watching} watch; try again shortly.",
        stream=stream,
        access_node=access_node,
        reason=RESERVED,
        provider=claim.provider_id,
        priority=level.priority,
        promised=level.viewers,
        watching=watching,
    )


def _watching(commitment: Commitment, watching: Mapping[Watch, int]) -> int:
    events = set(commitment.events)
    return sum(n for (stream, _, _), n in watching.items() if renditions.event_of(stream) in events)


@dataclass(kw_only=True)
class _Room:
    """What is left of the view's rooms while some of it is kept."""

    view: View
    nodes: dict[str, NodeView]
    functions: dict[str, FunctionView]
    _mbps: float = field(default=0.0, init=False)

    def keep(self, commitment: Commitment, viewers: int, names: list[str]) -> None:
        """Keep room for that many viewers of the provider's event with the highest rate."""
        rates = {stream: self._rate(commitment, stream) for stream in commitment.events}
        stream = max(rates, key=lambda one: (rates[one], one))
        self._mbps = rates[stream]
        for name in names:
            node = self.nodes[name]
            if node.is_access and not node.is_closed and viewers > 0:
                viewers -= self._keep_at(name, stream, viewers)

    def _rate(self, commitment: Commitment, stream: str) -> float:
        rate = self.view.mbps(stream)
        return min(rate, renditions.LADDER_MBPS.get(commitment.level.height, rate))

    def _keep_at(self, name: str, stream: str, viewers: int) -> int:
        """Keep room on the node for as many of the viewers as fit; answers how many that are."""
        left, costs = viewers, self.view.costs
        for edge in self._edges(name, stream):
            has_stream = self._carries(edge, stream)
            taken = self._fit(name, left, edge.cores_free, 0 if has_stream else costs.stream_cores)
            used = self._take(name, taken, 0 if has_stream else costs.stream_cores)
            self.functions[edge.id] = replace(edge, cores_free=edge.cores_free - used)
            left -= taken
        begin = costs.function_cores + costs.stream_cores
        while left and self._may_start(name):
            taken = self._fit(name, left, costs.server_cores, begin)
            if not taken:
                break
            self._take(name, taken, begin, costs.function_mb)
            left -= taken
        return viewers - left

    def _may_start(self, name: str) -> bool:
        return replace(self.view, nodes=self.nodes).fits_function(name)

    def _edges(self, name: str, stream: str) -> list[FunctionView]:
        here = (f for f in self.functions.values() if f.node == name and f.role == EDGE)
        usable = (f for f in here if f.usable)
        return sorted(usable, key=lambda f: (not self._carries(f, stream), f.id))

    def _carries(self, edge: FunctionView, stream: str) -> bool:
        tree = self.view.trees.get(stream)
        return tree is not None and tree.branch(edge.id) is not None

    def _fit(self, name: str, viewers: int, cores_free: float, begin: float) -> int:
        """How many of the viewers fit, after the cores that beginning takes."""
        node = self.nodes[name]
        cores = min(node.cores_free, cores_free) - begin
        by_cpu = math.floor(cores / self.view.costs.viewer_cores + _WHOLE)
        by_rate = math.floor(node.mbps_free / self._mbps + _WHOLE)
        return max(0, min(viewers, by_cpu, by_rate))

    def _take(self, name: str, viewers: int, begin: float, memory_mb: float = 0.0) -> float:
        """Keep it; answers the cores that it takes."""
        if not viewers:
            return 0.0
        node, cores = self.nodes[name], begin + viewers * self.view.costs.viewer_cores
        self.nodes[name] = replace(
            node,
            cores_free=node.cores_free - cores,
            memory_free_mb=node.memory_free_mb - memory_mb,
            mbps_free=node.mbps_free - viewers * self._mbps,
        )
        return cores
