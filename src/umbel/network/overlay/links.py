"""The drawn links: which of them live, and the trees over them. Pure.

In: what an operator drew, and which links are dead (liveness.py). Out: trees, which leave dead
links out as far as they can.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from umbel.network.model import Pair
from umbel.network.overlay import spanning
from umbel.network.overlay.spanning import Drawing, Role, SpanningTree


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

    @property
    def links(self) -> frozenset[Pair]:
        """The drawn links, by `pair`."""
        return self.drawing.pairs

    @cached_property
    def _recovered_order(self) -> Mapping[Pair, int]:
        return {link: place for place, link in enumerate(self.recovered, start=1)}

    def draw(self, drawing: Drawing) -> "LinkState":
        """The operator drew another network: what died is known still, what came back is not."""
        return LinkState(drawing=drawing, dead=self.dead & drawing.pairs)

    def after(self, dead: Collection[Pair]) -> "LinkState":
        """These links are dead, as far as they are drawn, and no others."""
        now_dead = self.links.intersection(dead)
        if now_dead == self.dead:
            return self
        back = sorted(self.dead - now_dead)
        if not back:
            return replace(self, dead=now_dead)
        again = set(back)
        recovered = (*(link for link in self.recovered if link not in again), *back)
        return replace(self, dead=now_dead, recovered=recovered)
