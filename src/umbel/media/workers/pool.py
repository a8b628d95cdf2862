"""Starts workers, and keeps one prepared so that the next is ready at once.

In: options and callbacks of a worker that is needed. Out: the WorkerProcess. A prepared worker has
imported everything and initialised GStreamer; it is replaced in the background when it is taken or
dies, after growing pauses when it keeps dying.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import structlog

from umbel.kit import backoff
from umbel.kit.clock import Clock
from umbel.media.model import WORKER_LIMITS, WorkerLimits
from umbel.media.workers.host import WorkerCallbacks, WorkerLost, WorkerProcess

log = structlog.get_logger(__name__)

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0


class WorkerPool:
    """One for each media server. It prepares nothing before `prepare` or the first `start`."""

    def __init__(self, clock: Clock, limits: WorkerLimits = WORKER_LIMITS) -> None:
        self.clock = clock
        self.limits = limits
        self._spare: WorkerProcess | None = None
        self._taken = asyncio.Event()
        # One at a time: who needs a worker takes the one that is being spawned for the next.
        self._spawning = asyncio.Lock()
        self._latest: WorkerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def spare_pid(self) -> int:
        """The prepared worker's process id; 0 when none is prepared."""
        spare = self._spare
        return spare.pid if spare is not None and spare.prepared.is_set() else 0

    def prepare(self) -> None:
        """Keep a worker prepared from now on."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="prepared worker")

    async def start(self, options: Mapping[str, Any], callbacks: WorkerCallbacks) -> WorkerProcess:
        """A worker that does this: the prepared one, or a new one. Raises WorkerLost."""
        async with self._spawning:
            worker, self._spare = self._spare, None
            if worker is None or worker.exited.done():
                worker = await WorkerProcess.spawn(self.clock)
        self._taken.set()
        try:
            await worker.begin({**options, "limits": asdict(self.limits)}, callbacks)
        except BaseException:
            await worker.close()
            raise
        self._latest = worker
        self.prepare()
        return worker

    async def close(self) -> None:
        """End the prepared worker. Workers that were taken belong to those who took them."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            self._keeper = None
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.close()

    async def _keep(self) -> None:
        failures = 0
        while True:
            # Who works comes first: its start is not slowed by that of the next.
            if self._latest is not None:
                await self._latest.ready_or_gone()
            failures = 0 if await self._keep_one() else failures + 1
            if failures:
                draw = secrets.randbelow(1000) / 1000
                await asyncio.sleep(
                    backoff.wait_s(failures, draw, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S)
                )

    async def _keep_one(self) -> bool:
        """Prepare one and wait until it is taken or gone; whether it was taken."""
        try:
            async with self._spawning:
                spare = self._spare = await WorkerProcess.spawn(self.clock)
        except WorkerLost as error:
            log.info("no worker prepared", reason=error.message)
            return False
        while self._spare is spare and not spare.exited.done():
            self._taken.clear()
            await spare.until(self._taken, None)
        if self._spare is not spare:
            return True
        self._spare = None
        log.info("prepared worker lost", pid=spare.pid)
        await spare.close()
        return False
