"""Which streams are recorded, and where from they are pulled.

In: what the recordings' owner wants, and what recorders say. Out: trees with a recorder where one
is wanted, and with a transcoder where it is to record a rendition; the reason where there is no
room. Neighbours: policy/recorders.py and policy/transcoders.py decide.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Tree
from umbel.delivery.policy import recorders, transcoders
from umbel.delivery.trees import renditions
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.renditions import NoSuchQuality
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
        if not is_wanted:
            self.forget(tree.stream)
        return tree, is_wanted

    def attached(self, view: View, tree: Tree, relaying: Relaying) -> Tree:
        """The tree with a recorder, or as it is where there is no room for one."""
        try:
            found = self._with_recorder(view, tree, relaying)
        except (NoCapacity, NoSuchQuality) as error:
            if self._lacking.get(tree.stream) != error.message:
                log.warning("no recorder", stream=tree.stream, reason=error.message)
            self._lacking[tree.stream] = error.message
            return tree
        self.forget(tree.stream)
        return found

    def shortage(self, trees: Mapping[str, Tree], stream: str) -> str:
        """Why the stream can have no recorder; empty where there is room, and one comes."""
        tree = trees.get(stream) or Tree(stream=stream)
        try:
            self._with_recorder(self.collector.view(trees), tree, Relaying.NONE)
        except (NoCapacity, NoSuchQuality) as error:
            return error.message
        return ""

    def lacks(self, stream: str) -> bool:
        """Whether there was no room for the stream's recorder when it was looked for."""
        return stream in self._lacking

    def forget(self, stream: str) -> None:
        """Nothing is known of the stream."""
        self._lacking.pop(stream, None)

    def _with_recorder(self, view: View, tree: Tree, relaying: Relaying) -> Tree:
        """The tree with a recorder; that of a rendition which nobody watches gets a transcoder,
        too. Raises NoCapacity, NoSuchQuality."""
        source_stream = renditions.event_of(tree.stream)
        source = view.trees.get(source_stream)
        is_new = tree.root is None and tree.stream != source_stream
        if is_new and source is not None and source.root is not None:
            renditions.check(tree.stream, self.collector.height(source))
            view = transcoders.begun(view, tree, relaying)
            tree = view.trees[tree.stream]
        return recorders.attached(
            view,
            tree,
            sending=self.collector.sending(tree.stream),
            now_s=self.clock.now_s(),
            relaying=relaying,
        )

    def _finished(self, tree: Tree) -> set[str]:
        """The recorders that gave all they will ever have."""
        states = {
            b.function: self.collector.stream(b.function, tree.stream) for b in recorders.of(tree)
        }
        return {f for f, state in states.items() if state and state.is_over and not state.unpulled}
