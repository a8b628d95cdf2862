"""An edge gives way to another one on the node that an operator chose; its viewers follow.

In: calls of mobility, each of which may be repeated. Out: trees with the successor, then without
the edge. The loop starts and stops functions, and asks viewers to open their sessions again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.compute.model import Function, NodeKind
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.model import Branch, Tree
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import replacement
from umbel.delivery.trees.view import EDGE, NoCapacity
from umbel.kit.clock import Clock


@dataclass(kw_only=True)
class EdgeReplacement:
    """Replaces edges."""

    store: DeliveryStore
    collector: Collector
    controller: DeliveryController
    clock: Clock

    def refusal(self, function: Function, target: str) -> str:
        """Why the function cannot be replaced by one on that node; empty: it can. Raises
        NoSuchNode."""
        role = function.description.name
        if role != EDGE:
            return f"only edges are replaced where an operator says, and this is of role {role}"
        if self.collector.compute.node(target).kind is not NodeKind.PROVIDER_EDGE:
            return f"edges run on provider edge nodes, and {target} is none"
        return ""

    async def begin(self, function: str, node: str) -> bool:
        """Have a successor in each of the function's trees. True once all of them get their
        streams. Raises NoCapacity, and VersionMismatch when a tree changed at the same time."""
        mine = await self._trees_of(function)
        known = next((n for tree in mine if (n := replacement.successor(tree, function))), None)
        new, is_ready = known, True
        for tree in mine:
            made = replacement.successor(tree, function)
            if made is None:
                new = await self._begin(tree, function, new, node)
                is_ready = False
            else:
                is_ready = is_ready and await self._is_fed(tree, made.function)
        return is_ready

    async def viewers(self, function: str) -> int:
        """How many viewers have not left the function yet."""
        return sum(o.count for o in await self.store.counts() if o.function == function)

    async def end(self, function: str) -> None:
        """The function is in no tree any more. Raises VersionMismatch."""
        await self._save(replacement.ended(t, function) for t in await self._trees_of(function))

    async def undo(self, function: str) -> None:
        """The function stays; what its successor serves already stays there. Raises
        VersionMismatch."""
        mine = [
            (tree, replacement.undone(tree, function)) for tree in await self._trees_of(function)
        ]
        await self._save(after for before, after in mine if after != before)

    async def _begin(self, tree: Tree, function: str, known: Branch | None, node: str) -> Branch:
        view = self.collector.view(await self.store.trees())
        if known is None and not view.fits_edge(node, tree.stream):
            raise NoCapacity(f"{node} has no room for another edge", node=node)
        new = known or Branch(function=view.fresh_id(EDGE, node), role=EDGE, node=node)
        relaying = self.controller.policy.relaying
        await self._save([replacement.begun(view, tree, function, new, relaying)])
        return new

    async def _is_fed(self, tree: Tree, function: str) -> bool:
        if self.collector.stream(function, tree.stream) is None:
            return False
        return await self.controller.is_settled(tree, function)

    async def _trees_of(self, function: str) -> list[Tree]:
        trees = await self.store.trees()
        return [tree for tree in trees.values() if tree.branch(function) is not None]

    async def _save(self, trees: Iterable[Tree]) -> None:
        for tree in trees:
            with self.collector.promises.placing(tree):
                await self.store.save_tree(tree, at_s=self.clock.now_s())
            self.controller.wake(tree.stream)
        self.controller.wake(FLEET)
