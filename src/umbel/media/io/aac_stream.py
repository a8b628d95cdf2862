"""AAC for HLS players that know no Opus, encoded while somebody listens.

In: the muxer's pictures and Opus packets. Out: a variant with AAC. One worker serves all such
viewers of a stream at this edge; it starts with the first of them and ends with the last.
Neighbours: hls/aac.py, workers/inside/sound.py, hls_stream.py.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from umbel.media.hls import playlist
from umbel.media.hls.aac import AacSegments
from umbel.media.hls.segmenter import Segmenter
from umbel.media.hls.variant import Variant
from umbel.media.workers.forks import WorkerLost
from umbel.media.workers.frames import build_block
from umbel.media.workers.host import Message, WorkerCallbacks, WorkerProcess
from umbel.media.workers.pool import WorkerPool

log = structlog.get_logger(__name__)

_LISTENER_S = 30.0
_MOST_WAITING_BYTES = 256 * 1024
_PLACE = struct.Struct("!q")


@dataclass(frozen=True, kw_only=True)
class AacCallbacks:
    """`on_ready` once, when packets can be encoded; `on_frames` when some were."""

    on_ready: Callable[["AacStream"], None]
    on_frames: Callable[["AacStream"], None]


class AacStream:
    """Opened for a player, closed when none was seen for 30 s or the worker is lost. Segments are
    numbered from the calendar's seconds, or from `least_number` if that is more."""

    def __init__(
        self,
        workers: WorkerPool,
        like: Segmenter,
        callbacks: AacCallbacks,
        least_number: int,
    ) -> None:
        self._workers = workers
        self._clock = workers.clock
        self._callbacks = callbacks
        self._worker: WorkerProcess | None = None
        self._seen_s = self._clock.monotonic_s()
        self._starting = asyncio.create_task(self._start(), name="AAC encoder")
        self.segments = AacSegments(like, self._encode)
        first_number = max(int(self._clock.now_s()), least_number)
        self.variant = Variant(playlist.AAC, self.segments.segmenter, first_number)

    @property
    def worker_pid(self) -> int:
        """The worker's process id; 0 while there is none."""
        return self._worker.pid if self._worker else 0

    @property
    def is_over(self) -> bool:
        """Whether nobody listens any more, or the worker is lost."""
        idle_s = self._clock.monotonic_s() - self._seen_s
        is_lost = self._starting.done() and (self._worker is None or self._worker.exited.done())
        return idle_s > _LISTENER_S or is_lost

    def mark_seen(self) -> None:
        """A player asked for something."""
        self._seen_s = self._clock.monotonic_s()

    async def close(self) -> None:
        """End the worker."""
        self._starting.cancel()
        await asyncio.wait({self._starting})
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()

    async def _start(self) -> None:
        callbacks = WorkerCallbacks(on_packets=self._on_frames, on_message=self._on_message)
        try:
            self._worker = await self._workers.start({"kind": "aac"}, callbacks)
            await self._worker.until_ready()
        except WorkerLost as error:
            log.warning("no AAC encoder", reason=error.message)
        else:
            self._callbacks.on_ready(self)

    def _encode(self, at: int, data: bytes) -> None:
        worker = self._worker
        if worker is not None and worker.waiting_bytes < _MOST_WAITING_BYTES:
            worker.feed(build_block(_PLACE.pack(at) + data))

    def _on_frames(self, batch: Sequence[bytes]) -> None:
        now_s = self._clock.monotonic_s()
        for frame in batch:
            (at,) = _PLACE.unpack_from(frame)
            self.segments.frame(at, frame[_PLACE.size :], now_s)
        self._callbacks.on_frames(self)

    def _on_message(self, message: Message) -> None:
        log.warning("AAC encoder", reason=message.get("message"))
