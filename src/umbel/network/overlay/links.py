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
class Pace:
    """A link that came back counts as dead for `hold_down_s` yet, and a new tunnel as alive for
    `grace_s` before its first sign of life."""

    hold_down_s: float = 5.0
    grace_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class EndSeen:
    """A tunnel's end at `node`, toward `neighbour`, is live or not; `new`: it was just made."""

    node: str
    neighbour: str
    live: bool
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class EndGone:
    """There is no tunnel any more at `node` toward `neighbour`."""

    node: str
    neighbour: str


Seen = EndSeen | EndGone


@dataclass(frozen=True, kw_only=True)
class End:
    """A tunnel's end: it counts as `live` from `at_s` on, as the opposite before."""

    live: bool
    at_s: float

    def counts(self, now_s: float) -> bool:
        """Whether it counts as live."""
        return self.live if now_s >= self.at_s else not self.live


@dataclass(frozen=True, kw_only=True)
class Life:
    """What is known of all tunnels' ends, by (node, neighbour)."""

    pace: Pace = field(default_factory=Pace)
    ends: Mapping[Pair, End] = field(default_factory=dict)

    def seen(self, event: Seen, now_s: float) -> "Life":
        """What a switch says of a tunnel's end. A loss counts at once."""
        key = (event.node, event.neighbour)
        ends = {name: end for name, end in self.ends.items() if name != key}
        if isinstance(event, EndSeen):
            ends[key] = self._end(event, self.ends.get(key), now_s)
        return replace(self, ends=ends)

    def dead(self, now_s: float) -> frozenset[Pair]:
        """The links with an end that counts as dead, by `pair`."""
        return frozenset(pair(*key) for key, end in self.ends.items() if not end.counts(now_s))

    def next_at_s(self, now_s: float) -> float | None:
        """When `dead` may answer something new."""
        return min((end.at_s for end in self.ends.values() if end.at_s > now_s), default=None)

    def _end(self, event: EndSeen, before: End | None, now_s: float) -> End:
        if before is None:
            wait_s = self.pace.grace_s if event.new and not event.live else 0.0
            return End(live=event.live, at_s=now_s + wait_s)
        if before.live == event.live:
            return before
        if before.counts(now_s) == event.live or not event.live:
            return End(live=event.live, at_s=now_s)
        return End(live=True, at_s=now_s + self.pace.hold_down_s)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The drawn links: which are dead, which came back (the first to come back first)."""

    drawing: Drawing
    dead: frozenset[Pair] = frozenset()
    late: tuple[Pair, ...] = ()
    _trees: dict[tuple[str, frozenset[str]], SpanningTree] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def tree(self, root: str, leaves: Collection[str]) -> SpanningTree:
        """The tree from a root, in which these nodes are leaves besides those drawn so. Raises
        BadDrawing when the root is not drawn."""
        drawn = self.drawing.roles
        extra = frozenset(leaf for leaf in leaves if drawn.get(leaf) is not Role.LEAF)
        if (root, extra) not in self._trees:
            part = spanning.rooted(self.drawing, root, extra)
            self._trees[root, extra] = spanning.span(part, self._last)
        return self._trees[root, extra]

    @cached_property
    def links(self) -> frozenset[Pair]:
        """The drawn links, by `pair`."""
        return frozenset(pair(*link) for link in self.drawing.links)

    @cached_property
    def _last(self) -> Mapping[Pair, int]:
        late = {link: place for place, link in enumerate(self.late, start=1)}
        return late | dict.fromkeys(self.dead, len(late) + 1)

    def draw(self, drawing: Drawing) -> "Ground":
        """The operator drew another network: what died is known still, what came back is not."""
        links = {pair(*link) for link in drawing.links}
        return Ground(drawing=drawing, dead=self.dead & links)

    def after(self, dead: Collection[Pair]) -> "Ground":
        """These links are dead, as far as they are drawn, and no others."""
        now_dead = self.links.intersection(dead)
        if now_dead == self.dead:
            return self
        back = tuple(sorted(self.dead - now_dead))
        late = (*(link for link in self.late if link not in back), *back)
        return replace(self, dead=now_dead, late=late)
