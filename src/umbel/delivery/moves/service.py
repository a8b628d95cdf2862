"""Delivery's functions move: which it wants, where one is from now on, what its links have left.

In: calls of mobility, which knows nothing of trees. Out: trees and sessions that name the other
node, and a wake-up of the loop. Each call may be repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from umbel.compute.model import Function
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.model import Tree
from umbel.delivery.moves.store import MoveStore
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, Unavailable


@dataclass(kw_only=True)
class FunctionMoves:
    """Delivery as the owner of functions that move."""

    store: DeliveryStore
    moved: MoveStore
    collector: Collector
    controller: DeliveryController
    clock: Clock

    async def wanted(self) -> Mapping[str, Function]:
        """The functions of all trees, by id."""
        return self.collector.media_functions.to_run((await self.store.trees()).values())

    async def relocate(self, function_id: str, node: str) -> None:
        """The function runs on that node now: trees and sessions say so, too. Raises
        VersionMismatch when a tree changed at the same time."""
        await self.moved.relocate_sessions(function_id, node)
        for stream, tree in (await self.store.trees()).items():
            branch = tree.branch(function_id)
            if branch is None or branch.node == node:
                continue
            branches = (
                replace(b, node=node) if b.function == function_id else b for b in tree.branches
            )
            await self._save(replace(tree, branches=tuple(branches)))
            self.controller.wake(stream)
        self.controller.wake(FLEET)

    async def free_mbps(self, source: str, target: str) -> float | None:
        """What the way between two nodes has left; None where no way leads there."""
        view = self.collector.view(await self.store.trees())
        try:
            nodes = view.routes.path(source, target).nodes
        except (NotFound, Unavailable):
            return None
        links = [view.links_free_mbps.get(frozenset(pair), 0.0) for pair in pairwise(nodes)]
        return min(links, default=0.0)

    async def _save(self, tree: Tree) -> None:
        with self.collector.promises.placing(tree):
            await self.store.save_tree(tree, at_s=self.clock.now_s())
