"""Which VIM runs which node's functions: a node belongs to a pool, and each pool has one VIM.

In: functions and nodes from service.py. Out: calls of the pool's VIM; what all VIMs see, as one. A
VIM that does not answer hides nothing of the others: its functions are shown as last seen.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from umbel.compute.model import (
    Function,
    HostUsage,
    Instance,
    MoveKind,
    MoveProgress,
    MoveResult,
    Node,
)
from umbel.compute.ports import (
    CannotMigrate,
    LosesNodes,
    MeasuresHosts,
    Migrates,
    NoSuchPool,
    ReportsMoves,
    Vim,
)
from umbel.kit.errors import Unavailable

log = structlog.get_logger(__name__)


class Vims:
    """The VIMs by pool. `silent` are the pools whose VIM did not answer when last asked."""

    def __init__(self, by_pool: Mapping[str, Vim]) -> None:
        self._by_pool = dict(by_pool)
        self._measuring = {p: v for p, v in by_pool.items() if isinstance(v, MeasuresHosts)}
        self._losing = {p: v for p, v in by_pool.items() if isinstance(v, LosesNodes)}
        self._seen: dict[str, dict[str, Instance]] = {pool: {} for pool in by_pool}
        self.silent: frozenset[str] = frozenset()

    @property
    def pools(self) -> frozenset[str]:
        """The pools there are."""
        return frozenset(self._by_pool)

    def of(self, node: Node) -> Vim:
        """The VIM of the node's pool. Raises NoSuchPool."""
        try:
            return self._by_pool[node.pool]
        except KeyError:
            raise NoSuchPool(f"There is no pool {node.pool}", node=node.name) from None

    def is_lost(self, node: Node) -> bool:
        """Whether the node, or the VIM of its pool, did not answer when last asked."""
        vim = self._losing.get(node.pool)
        is_away = vim is not None and node.name in vim.lost_nodes
        return node.pool in self.silent or is_away

    async def start(self, owner: str, function: Function, node: Node) -> None:
        """Start the function by the VIM of its node's pool. Raises NoSuchPool and what that VIM
        raises."""
        await self.of(node).start(owner, function, node)

    async def stop(self, function_id: str) -> None:
        """Stop the function wherever it is; by every VIM where it was not seen."""
        having = [pool for pool, seen in self._seen.items() if function_id in seen]
        for pool in having or self._by_pool:
            await self._by_pool[pool].stop(function_id)

    async def move(
        self, function: Function, source: Node, target: Node, how: MoveKind
    ) -> MoveResult:
        """Move a running function within its pool. Raises CannotMigrate and what the VIM raises."""
        vim = self.of(source)
        if source.pool != target.pool or not isinstance(vim, Migrates):
            raise CannotMigrate(function=function.id, pool=source.pool)
        return await vim.move(function, target, how)

    async def settle(self, function_id: str, node: Node) -> None:
        """End any move of the function, which runs in the node's pool. Raises NoSuchPool and what
        the VIM raises."""
        vim = self.of(node)
        if isinstance(vim, Migrates):
            await vim.settle(function_id)

    def migrates(self, source: Node, target: Node) -> bool:
        """Whether a running function can be moved from one to the other."""
        return source.pool == target.pool and isinstance(self.of(source), Migrates)

    def is_live(self, node: Node) -> bool:
        """Whether functions of the node run while they are copied. Raises NoSuchPool."""
        vim = self.of(node)
        return not isinstance(vim, ReportsMoves) or vim.is_live(node.name)

    def progress(self, function_id: str) -> MoveProgress | None:
        """How far a function's move is, as far as its VIM says."""
        found = (
            vim.progress(function_id)
            for vim in self._by_pool.values()
            if isinstance(vim, ReportsMoves)
        )
        return next((one for one in found if one is not None), None)

    async def running(self) -> dict[str, Instance]:
        """Every function by id. Raises Unavailable where no VIM answers."""
        pools = list(self._by_pool)
        answers = await asyncio.gather(
            *(self._by_pool[pool].running() for pool in pools), return_exceptions=True
        )
        silent: dict[str, Unavailable] = {}
        for pool, answer in zip(pools, answers, strict=True):
            if isinstance(answer, Unavailable):
                log.warning("VIM does not answer", pool=pool, reason=answer.message)
                silent[pool] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self._seen[pool] = answer
        self.silent = frozenset(silent)
        if len(silent) == len(pools):
            raise next(iter(silent.values()))
        return {id_: one for pool in pools for id_, one in self._seen[pool].items()}

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        """What the nodes' machines use, as far as their VIMs see it and answer."""
        found: dict[str, HostUsage] = {}
        for pool, vim in self._measuring.items():
            mine = [node for node in nodes if node.pool == pool]
            if not mine or pool in self.silent:
                continue
            try:
                found |= await vim.hosts(mine)
            except Unavailable as error:
                log.warning("hosts not measured", pool=pool, reason=error.message)
        return found

    def watch(self, on_change: Callable[[str], None]) -> None:
        """Hear of changes from every VIM."""
        for vim in self._by_pool.values():
            vim.watch(on_change)

    async def close(self) -> None:
        """Stop watching. Functions go on."""
        for vim in self._by_pool.values():
            await vim.close()
