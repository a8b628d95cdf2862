"""Small pictures of streams, decoded in a worker of their own: key pictures in, JPEG out.

One worker serves all streams of a media server, one picture at a time. It starts with the first
picture and ends when none was wanted for a while. Neighbours: inside/thumbnails.py decodes,
elements/thumbnail.py decides when.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from umbel.media.rtp import h264
from umbel.media.workers.forks import WorkerLost
from umbel.media.workers.frames import build_block
from umbel.media.workers.host import Message, WorkerCallbacks, WorkerProcess
from umbel.media.workers.pool import WorkerPool

log = structlog.get_logger(__name__)

_DEADLINE_S = 10.0
_IDLE_S = 60.0


class Thumbnailer:
    """One for each media server."""

    def __init__(self, workers: WorkerPool, *, idle_s: float = _IDLE_S) -> None:
        self._workers = workers
        self._idle_s = idle_s
        self._turn = asyncio.Lock()
        self._worker: WorkerProcess | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._idle: asyncio.Task[None] | None = None

    @property
    def worker_pid(self) -> int:
        """The worker's process id; 0 while there is none."""
        return self._worker.pid if self._worker else 0

    async def make(self, nals: Sequence[bytes]) -> bytes:
        """The JPEG of an H.264 key picture with its parameter sets; empty when it cannot be
        decoded."""
        async with self._turn:
            await self._stop_waiting()
            try:
                return await self._make(build_block(h264.join_start_codes(nals)))
            except WorkerLost as error:
                log.warning("no thumbnail", reason=error.message)
                return b""
            finally:
                self._answer = None
                self._idle = asyncio.create_task(self._end_idle(), name="idle thumbnailer")

    async def close(self) -> None:
        """End the worker."""
        async with self._turn:
            await self._stop_waiting()
            await self._end()

    async def _make(self, block: bytes) -> bytes:
        worker = await self._started()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answer = answer
        worker.feed(block)
        either: set[asyncio.Future[Any]] = {answer, worker.exited}
        try:
            await asyncio.wait(either, timeout=_DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not answer.done():
                # It may answer yet, and the next picture must not get that answer.
                await self._end()
        if not answer.done():
            raise WorkerLost
        return answer.result()

    async def _started(self) -> WorkerProcess:
        if self._worker is not None and self._worker.exited.done():
            await self._end()
        if self._worker is None:
            callbacks = WorkerCallbacks(on_packets=self._on_packets, on_message=self._on_message)
            self._worker = await self._workers.start({"kind": "thumbnails"}, callbacks)
            await self._worker.until_ready()
        return self._worker

    def _on_packets(self, batch: Sequence[bytes]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(batch[0])

    def _on_message(self, message: Message) -> None:
        if message["event"] == "undecodable":
            log.info("key picture not decoded", reason=message["message"])
            self._on_packets([b""])

    async def _end_idle(self) -> None:
        await asyncio.sleep(self._idle_s)
        async with self._turn:
            await self._end()

    async def _stop_waiting(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None and idle is not asyncio.current_task():
            idle.cancel()
            await asyncio.wait({idle})

    async def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()
