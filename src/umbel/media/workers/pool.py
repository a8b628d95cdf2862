"""Starts workers, by a fork server that has imported everything for them.

In: options and callbacks of a worker that is needed. Out: the WorkerProcess, ready a few hundredths
of a second later. A fork server that is lost is replaced when it is needed again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import structlog

from umbel.kit.clock import Clock
from umbel.media.model import WORKER_LIMITS, WorkerLimits
from umbel.media.workers.forks import WorkerForkServer, WorkerLost
from umbel.media.workers.host import WorkerCallbacks, WorkerProcess

log = structlog.get_logger(__name__)


class WorkerPool:
    """One for each media server. It starts nothing before `prepare` or the first `start`."""

    def __init__(self, clock: Clock, limits: WorkerLimits = WORKER_LIMITS) -> None:
        self.clock = clock
        self.limits = limits
        self._server: WorkerForkServer | None = None
        self._forking = asyncio.Lock()
        self._preparing: asyncio.Task[None] | None = None

    @property
    def fork_server_pid(self) -> int:
        """The process that forks workers; 0 for none."""
        return self._server.pid if self._server is not None else 0

    def prepare(self) -> None:
        """Have a fork server soon."""
        if self._preparing is None:
            self._preparing = asyncio.create_task(self._prepare(), name="prepare workers")

    async def start(self, options: Mapping[str, Any], callbacks: WorkerCallbacks) -> WorkerProcess:
        """A worker that does this. Raises WorkerLost."""
        async with self._forking:
            try:
                worker = await self._fork()
            except WorkerLost:  # perhaps only the fork server: another one is started
                worker = await self._fork()
        try:
            await worker.begin({**options, "limits": asdict(self.limits)}, callbacks)
        except BaseException:
            await worker.close()
            raise
        return worker

    async def close(self) -> None:
        """End the fork server. Workers belong to those who started them."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait({self._preparing})
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    async def _prepare(self) -> None:
        async with self._forking:
            with suppress(WorkerLost):  # the first start of a worker tries again
                await self._ready_server()

    async def _fork(self) -> WorkerProcess:
        return await WorkerProcess.fork(await self._ready_server(), self.clock)

    async def _ready_server(self) -> WorkerForkServer:
        if self._server is not None and not self._server.is_alive:
            await self._server.close()
            self._server = None
        if self._server is None:
            self._server = await WorkerForkServer.start()
        return self._server
