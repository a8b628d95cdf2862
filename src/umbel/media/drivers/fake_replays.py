"""Recordings at edges in memory: a ReplayCache for each function, without HTTP between."""

import asyncio
from dataclasses import dataclass, field

from umbel.kit.clock import Clock
from umbel.kit.errors import Unavailable
from umbel.media.io.replay_cache import ReplayCache
from umbel.media.model import Server
from umbel.media.replay.messages import Orders, Report
from umbel.media.replay.pieces import Piece, Span

_CAPACITY_BYTES = 64 * 2**20


@dataclass
class FakeReplays:
    """A ReplayCaches. Functions among the `silent` do not answer, and those among the `slow` do
    not finish to take a piece."""

    clock: Clock
    caches: dict[str, ReplayCache] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)

    def at(self, function: str) -> ReplayCache:
        """The function's cache. Raises Unavailable."""
        if function in self.silent:
            raise Unavailable("The edge does not answer.")
        if function not in self.caches:
            self.caches[function] = ReplayCache(_CAPACITY_BYTES, self.clock)
        return self.caches[function]

    async def sync(self, server: Server, orders: Orders) -> Report:
        return await self.at(server.function_id).sync(orders)

    async def put(self, server: Server, piece: Piece, span: Span, body: bytes) -> None:
        if server.function_id in self.slow:
            await asyncio.Event().wait()
        # The edge goes on where the control plane ends in the middle.
        await asyncio.shield(self.at(server.function_id).put(piece, span, body))

    async def refuse(self, server: Server, piece: Piece, *, is_unknown: bool) -> None:
        self.at(server.function_id).refuse(piece, is_unknown=is_unknown)

    async def forget(self, function_id: str) -> None:
        """There are no connections."""

    async def close(self) -> None:
        """What edges keep outlives the control plane."""

    def lose(self, function: str) -> None:
        """The function died, and what it kept is gone."""
        if function in self.caches:
            self.caches.pop(function).end()
