"""Running functions move to other nodes, by the VIMs that can do that.

In: a function and where it is to go. Out: it runs there with all its state, or still where it was.
`moves` is how `ensure` knows which functions it must leave alone, whichever instance moves them.
"""

from collections.abc import Awaitable, Callable, Mapping

import structlog

from umbel.compute import reconcile
from umbel.compute.model import Function, Instance, Move, MoveKind, MoveProgress, MoveResult, Node
from umbel.compute.ports import Moves
from umbel.compute.vims import Vims
from umbel.kit.errors import NotFound

log = structlog.get_logger(__name__)


async def _no_moves() -> Mapping[str, Move]:
    return {}


class Moving:
    """`moves` answers what is being moved, or was a moment ago; bootstrap sets it where functions
    are moved at all."""

    def __init__(
        self,
        vims: Vims,
        node: Callable[[str], Node],
        running: Callable[[], Awaitable[Mapping[str, Instance]]],
    ) -> None:
        self.moves: Moves = _no_moves
        self._vims = vims
        self._node = node
        self._running = running

    def is_possible(self, source: str, target: str) -> bool:
        """Whether a running function can be moved from one node to the other. Raises NoSuchNode."""
        return self._vims.migrates(self._node(source), self._node(target))

    async def move(self, owner: str, function: Function, target: str, how: MoveKind) -> MoveResult:
        """Move the owner's running function to the target node; the owner then wants it there.
        Raises NotFound, NoSuchNode, CannotMigrate, Exhausted or Unavailable."""
        instance = reconcile.of_owner(await self._running(), owner).get(function.id)
        if instance is None:
            raise NotFound(f"{owner} has no function {function.id}", function=function.id)
        source = self._node(instance.node)
        result = await self._vims.move(function, source, self._node(target), how)
        log.info("function moved", id=function.id, source=source.name, target=target)
        return result

    async def copying(self) -> frozenset[str]:
        """The functions that are being copied to another node: they may stand still."""
        return frozenset(id_ for id_, move in (await self.moves()).items() if move.is_copying)

    async def settle(self, function_id: str, node: str) -> None:
        """End any move of the function, which runs in that node's pool, and leave nothing of it.
        Raises NoSuchNode or Unavailable."""
        await self._vims.settle(function_id, self._node(node))

    def is_live(self, node: str) -> bool:
        """Whether functions of the node run while they are copied. Raises NoSuchNode."""
        return self._vims.is_live(self._node(node))

    def progress(self, function_id: str) -> MoveProgress | None:
        """How far the function's move is, as far as its VIM says."""
        return self._vims.progress(function_id)
