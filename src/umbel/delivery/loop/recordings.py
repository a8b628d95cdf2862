"""Which streams are recorded, and where from they are pulled.

In: what the recordings' owner wants, and what recorders say. Out: trees with a recorder where one
is wanted; the reason where there is no room. Neighbour: policy/recorders.py decides.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Tree
from umbel.delivery.policy import recorders
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import NoCapacity, View
from umbel.kit.clock import Clock

log = structlog.get_logger(__name__)


class RecordingDemand(Protocol):
    """Says which streams are to be recorded."""

    async def wanted(self, streams: Collection[str]) -> frozenset[str]:
        """Those of these streams that are to be recorded now, or of which not all was pulled yet.
        Asked again and again for each stream there is, also after its end. Raises Unavailable."""


@dataclass
class RecordingSet:
    """A RecordingDemand in memory."""

    streams: set[str] = field(default_factory=set)

    async def wanted(self, streams: Collection[str]) -> frozenset[str]:
        return frozenset(self.streams.intersection(streams))


@dataclass(kw_only=True)
class Recordings:
    """The recorders of all streams."""

    collector: Collector
    clock: Clock
    demand: RecordingDemand = field(default_factory=RecordingSet)
    _lacking: dict[str, str] = field(default_factory=dict)

    async def kept(self, tree: Tree) -> tuple[Tree, bool]:
        """The tree without recorders that are not needed; and whether it is to have one."""
        is_wanted = tree.stream in await self.demand.wanted([tree.stream])
        tree = recorders.kept(
            tree, is_wanted=is_wanted, finished=self._finished(tree), now_s=self.clock.now_s()
        )
        return tree, is_wanted

    def attached(self, view: View, tree: Tree, relaying: Relaying) -> Tree:
        """The tree with a recorder, or as it is where there is no room for one."""
        try:
            found = recorders.attached(
                view,
                tree,
                sending=self.collector.sending(tree.stream),
                now_s=self.clock.now_s(),
                relaying=relaying,
            )
        except NoCapacity as error:
            if self._lacking.get(tree.stream) != error.message:
                log.warning("no recorder", stream=tree.stream, reason=error.message)
            self._lacking[tree.stream] = error.message
            return tree
        self.forget(tree.stream)
        return found

    def shortage(self, trees: Mapping[str, Tree], stream: str) -> str:
        """Why the stream can have no recorder; empty where there is room, and one comes."""
        view = self.collector.view(trees)
        try:
            recorders.attached(view, trees[stream], sending=(), now_s=0.0, relaying=Relaying.NONE)
        except NoCapacity as error:
            return error.message
        return ""

    def forget(self, stream: str) -> None:
        """Nothing is known of the stream."""
        self._lacking.pop(stream, None)

    def _finished(self, tree: Tree) -> set[str]:
        """The recorders that gave all they will ever have."""
        states = {
            b.function: self.collector.stream(b.function, tree.stream) for b in recorders.of(tree)
        }
        return {f for f, state in states.items() if state and state.is_over and not state.unpulled}
