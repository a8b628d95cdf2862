"""One publication: what one encoder sends from its start to its end, whatever its workers do.

In: FLV tags or datagrams. Out: the platform's RTP with sender reports, and what the media are. A
worker that dies is replaced; the new one's media have new SSRCs, as after any restart.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from umbel.kit import backoff
from umbel.kit.errors import Unavailable
from umbel.media.ingest import flv
from umbel.media.ingest.flv import PayloadKind, Tag, Valve
from umbel.media.ingest.reports import SenderReports, SourceClock
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ
from umbel.media.ports import Packets
from umbel.media.rtp.feedback import PICTURE_INTERVAL_S, Throttle
from umbel.media.workers.frames import STREAM_KINDS, TimedMedia
from umbel.media.workers.host import Message, WorkerCallbacks, WorkerProcess
from umbel.media.workers.pool import WorkerPool

log = structlog.get_logger(__name__)

_MOST_FAILURES = 5
_SETTLED_AFTER_S = 20.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 4.0
_DRAIN_S = 3.0
_MOST_EARLY_BYTES = 8_000_000


class IngestFailed(Unavailable):
    """The acquirer could not process the stream."""

    code = "umbel.ingest_failed"


@dataclass(frozen=True, kw_only=True)
class PublicationCallbacks:
    """What the owner of a publication is called with, on the event loop. `on_end` once, with a
    reason when it failed: `(code, message)`."""

    on_packets: Callable[[Packets], None]
    on_media: Callable[[Mapping[str, Any]], None]
    on_trouble: Callable[[str], None]
    on_end: Callable[[tuple[str, str] | None], None]


class Publication:
    """`options` is the worker's `start` message: `kind` flv, ts or rtp, and what belongs to it."""

    def __init__(
        self, options: Mapping[str, Any], callbacks: PublicationCallbacks, workers: WorkerPool
    ) -> None:
        self._options = options
        self._callbacks = callbacks
        self._workers = workers
        self._clock = workers.clock
        self._stream = options["kind"] in STREAM_KINDS
        self._worker: WorkerProcess | None = None
        self._reports = SenderReports(())
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._configurations: dict[int, bytes] = {}
        self._valve = Valve()
        self._reason: tuple[str, str] | None = None
        self._finishing = False
        self._failures = 0
        self._pictures = Throttle(PICTURE_INTERVAL_S)
        self._task = asyncio.create_task(self._run(), name="publication")

    @property
    def worker_pid(self) -> int:
        """The current worker's process id, 0 between workers."""
        return self._worker.pid if self._worker else 0

    @property
    def dropped(self) -> int:
        """Tags dropped because the worker did not keep up."""
        return self._valve.dropped

    def feed(self, data: bytes) -> None:
        """A datagram."""
        if self._worker is not None:
            self._worker.feed(data)
        elif self._early_bytes < _MOST_EARLY_BYTES:
            self._early.append(data)
            self._early_bytes += len(data)

    def feed_tag(self, tag: Tag) -> None:
        """An FLV tag. Raises MalformedFlv."""
        if tag.kind == flv.SCRIPT:
            return
        video = tag.kind == flv.VIDEO
        media = flv.read_video(tag.payload) if video else flv.read_audio(tag.payload)
        if media.part is PayloadKind.NOTHING:
            return
        frame = TimedMedia(tag.kind, tag.timestamp_ms, media).build()
        if media.part is PayloadKind.CONFIG:
            self._configurations[tag.kind] = frame
        waiting_bytes = self._worker.waiting_bytes if self._worker else self._early_bytes
        if self._valve.admits(tag.kind, media, waiting_bytes):
            self.feed(frame)

    def request_picture(self, now_s: float) -> None:
        """Make a key picture now, at most once a second, where a worker encodes.

        What it only passes on cannot be asked for: RTMP, SRT and MPEG-TS have no way back.
        """
        if self._worker is not None and self._pictures.admits(now_s):
            self._worker.send({"op": "key"})

    def finish(self) -> None:
        """The encoder stopped: what is inside still comes out."""
        self._finishing = True
        if self._worker is not None:
            self._worker.finish()

    async def drained(self) -> None:
        """Wait for the end after `finish`, for a few seconds at most."""
        await asyncio.wait({self._task}, timeout=_DRAIN_S)
        await self.close()

    async def close(self) -> None:
        """End now."""
        self._finishing = True
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            while True:
                worked_s = await self._once()
                if self._finishing or self._reason is not None:
                    break
                self._note_failure(worked_s)
                await self._pause()
        except Unavailable as error:
            self._reason = (error.code, error.message)
        finally:
            worker, self._worker = self._worker, None
            if worker is not None:
                await worker.close()
        self._callbacks.on_end(self._reason)

    async def _once(self) -> float:
        """One worker's life; the result is how long it was ready (seconds)."""
        media = _new_media()
        self._reports = SenderReports(tuple(media.values()))
        self._valve = Valve()
        sources = {
            name: {"ssrc": medium.ssrc, "offset": medium.offset} for name, medium in media.items()
        }
        callbacks = WorkerCallbacks(on_packets=self._on_packets, on_message=self._on_message)
        options = {**self._options, **sources}
        worker = await self._workers.start(options, callbacks)
        try:
            await self._hand_over(worker)
            await worker.ready_or_gone()
            ready_s = self._clock.monotonic_s()
            await asyncio.wait({worker.exited})
        finally:
            self._worker = None
            await worker.close()
        return self._clock.monotonic_s() - ready_s

    async def _hand_over(self, worker: WorkerProcess) -> None:
        """What came while there was no worker, behind what a new one must know.

        A starting worker reads nothing, and a second of datagrams may be more than the kernel
        keeps for it.
        """
        while self._early and not self._stream and not worker.exited.done():
            early = self._take_early()
            await worker.feed_all(early)
        if self._stream:
            for frame in self._configurations.values():
                worker.feed(frame)
        for data in self._take_early():
            worker.feed(data)
        self._worker = worker
        if self._finishing:
            worker.finish()

    def _take_early(self) -> list[bytes]:
        early, self._early, self._early_bytes = self._early, [], 0
        return early

    def _note_failure(self, worked_s: float) -> None:
        """Count it. A worker that worked long enough was not ended by what it was given."""
        self._failures = 1 if worked_s >= _SETTLED_AFTER_S else self._failures + 1
        if self._failures >= _MOST_FAILURES:
            raise IngestFailed("the media worker failed again and again")
        self._callbacks.on_trouble("the media worker was lost and is replaced")

    async def _pause(self) -> None:
        """Replace the first at once; workers that keep dying must not load the machine more."""
        if self._failures > 1:
            draw = secrets.randbelow(1000) / 1000
            wait_s = backoff.wait_s(
                self._failures - 1, draw, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S
            )
            await asyncio.sleep(wait_s)

    def _on_packets(self, batch: Sequence[bytes]) -> None:
        packets = self._reports.interleave(batch, self._clock.now_s())
        if packets:
            self._callbacks.on_packets(packets)

    def _on_message(self, message: Message) -> None:
        if message["event"] == "media":
            self._callbacks.on_media({k: v for k, v in message.items() if k != "event"})
        elif message["event"] == "refused":
            self._reason = (message["code"], message["message"])
        elif message["event"] == "failed":
            log.warning("worker failed", reason=message["message"])


def _new_media() -> dict[str, SourceClock]:
    return {
        "video": _medium(VIDEO_CLOCK_HZ),
        "audio": _medium(AUDIO_CLOCK_HZ),
    }


def _medium(clock_hz: int) -> SourceClock:
    return SourceClock(
        ssrc=1 + secrets.randbelow(0xFFFFFFFE), clock_hz=clock_hz, offset=secrets.randbits(32)
    )
