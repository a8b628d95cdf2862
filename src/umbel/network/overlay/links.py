"""The drawn links: which of them live, and the trees over them. Pure.

In: what an operator drew, and what switches say of tunnels' ends, with the time. Out: trees, which
leave dead links out as far as they can.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from umbel.network.model import Pair, pair
from umbel.network.overlay import spanning
from umbel.network.overlay.spanning import Drawing, Role, SpanningTree


@dataclass(frozen=True, kw_only=True)
class LivenessTimers:
    """A link that came back counts as dead for `hold_down_s` yet, and a new tunnel as alive for
    `grace_s` before its first sign of life."""

    hold_down_s: float = 5.0
    grace_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class TunnelEndSeen:
    """A tunnel's end at `node`, toward `neighbour`, is live or not; `new`: it was just made."""

    node: str
    neighbour: str
    live: bool
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class TunnelEndRemoved:
    """There is no tunnel any more at `node` toward `neighbour`."""

    node: str
    neighbour: str


TunnelEvent = TunnelEndSeen | TunnelEndRemoved


@dataclass(frozen=True, kw_only=True)
class TunnelEnd:
    """A tunnel's end: it counts as `live` from `at_s` on, as the opposite before."""

    live: bool
    at_s: float

    def is_live(self, now_s: float) -> bool:
        """Whether it counts as live."""
        return self.live if now_s >= self.at_s else not self.live


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """What is known of all tunnels' ends, by (node, neighbour)."""

    timers: LivenessTimers = field(default_factory=LivenessTimers)
    ends: Mapping[Pair, TunnelEnd] = field(default_factory=dict)

    def observe(self, event: TunnelEvent, now_s: float) -> "Liveness":
        """What a switch says of a tunnel's end. A loss counts at once."""
        key = (event.node, event.neighbour)
        ends = {name: end for name, end in self.ends.items() if name != key}
        if isinstance(event, TunnelEndSeen):
            ends[key] = self._end(event, self.ends.get(key), now_s)
        return replace(self, ends=ends)

    def dead(self, now_s: float) -> frozenset[Pair]:
        """The links with an end that counts as dead, by `pair`."""
        return frozenset(pair(*key) for key, end in self.ends.items() if not end.is_live(now_s))

    def next_at_s(self, now_s: float) -> float | None:
        """When `dead` may answer something new."""
        return min((end.at_s for end in self.ends.values() if end.at_s > now_s), default=None)

    def _end(self, event: TunnelEndSeen, before: TunnelEnd | None, now_s: float) -> TunnelEnd:
        if before is None:
            wait_s = self.timers.grace_s if event.new and not event.live else 0.0
            return TunnelEnd(live=event.live, at_s=now_s + wait_s)
        if before.live == event.live:
            return before
        if before.is_live(now_s) == event.live or not event.live:
            return TunnelEnd(live=event.live, at_s=now_s)
        return TunnelEnd(live=True, at_s=now_s + self.timers.hold_down_s)


@dataclass(frozen=True, kw_only=True)
class LinkState:
    """The drawn links: which are dead, which came back (the first to come back first)."""

    drawing: Drawing
    dead: frozenset[Pair] = frozenset()
    recovered: tuple[Pair, ...] = ()
    _trees: dict[tuple[str, frozenset[str]], SpanningTree] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def tree(self, root: str, leaves: Collection[str]) -> SpanningTree:
        """The tree from a root, in which these nodes are leaves, like those drawn as leaves.
        Raises InvalidDrawing when the root is not drawn."""
        drawn = self.drawing.roles
        extra = frozenset(leaf for leaf in leaves if drawn.get(leaf) is not Role.LEAF)
        if (root, extra) not in self._trees:
            part = spanning.rooted(self.drawing, root, extra)
            self._trees[root, extra] = spanning.span(part, self._recovered_order, self.dead)
        return self._trees[root, extra]

    @cached_property
    def links(self) -> frozenset[Pair]:
        """The drawn links, by `pair`."""
        return frozenset(pair(*link) for link in self.drawing.links)

    @cached_property
    def _recovered_order(self) -> Mapping[Pair, int]:
        return {link: place for place, link in enumerate(self.recovered, start=1)}

    def draw(self, drawing: Drawing) -> "LinkState":
        """The operator drew another network: what died is known still, what came back is not."""
        links = {pair(*link) for link in drawing.links}
        return LinkState(drawing=drawing, dead=self.dead & links)

    def after(self, dead: Collection[Pair]) -> "LinkState":
        """These links are dead, as far as they are drawn, and no others."""
        now_dead = self.links.intersection(dead)
        if now_dead == self.dead:
            return self
        back = tuple(sorted(self.dead - now_dead))
        recovered = (*(link for link in self.recovered if link not in back), *back)
        return replace(self, dead=now_dead, recovered=recovered)
