"""Captions of one stream, recognised in a worker of its own.

In: the stream's packets. Out: the newest cues, numbered. A worker that is lost is replaced, after a
wait that grows; one that is too slow loses sound, which is counted, and one that stands still is
replaced. Nothing of this keeps the stream waiting. Neighbours: inside/speech.py works,
elements/captions.py decides when.
"""

import asyncio
import secrets
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict

import structlog

from umbel.kit import backoff
from umbel.media.model import (
    AUDIO_CLOCK_HZ,
    MOST_CUES_SENT,
    CueBatch,
    NumberedCue,
    PayloadType,
)
from umbel.media.ports import Packets
from umbel.media.rtp import packet, sync
from umbel.media.rtp.depacketize import OpusDepacketizer, OpusPacket
from umbel.media.rtp.packet import MalformedPacket, RtpPacket
from umbel.media.rtp.sync import StreamTimeline
from umbel.media.speech import cues
from umbel.media.speech.model import Engine
from umbel.media.workers.forks import WorkerLost
from umbel.media.workers.frames import PROGRESS, build_block
from umbel.media.workers.host import Message, WorkerCallbacks, WorkerProcess
from umbel.media.workers.pool import WorkerPool

log = structlog.get_logger(__name__)

MOST_CUES = 256
"""Of a stream, the newest."""
STALLED_S = 15.0
_WALL = struct.Struct("!q")
_MOST_WAITING_BYTES = 128 * 1024  # some 8 s of sound
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_SETTLED_S = 120.0
_LOOK_S = 1.0
_BOOT_BYTES = 9


class Captioner:
    """A PacketSink. Works from its making to `close`."""

    def __init__(self, stream: str, language: str, engine: Engine, workers: WorkerPool) -> None:
        self.language = language
        self._stream = stream
        self._engine = engine
        self._workers = workers
        self._clock = workers.clock
        self._timeline = StreamTimeline({PayloadType.OPUS: AUDIO_CLOCK_HZ})
        self._sounds = OpusDepacketizer()
        self._boot = secrets.token_urlsafe(_BOOT_BYTES)
        self._cues: deque[NumberedCue] = deque(maxlen=MOST_CUES)
        self._number = 0
        self._worker: WorkerProcess | None = None
        self._dropped_ticks = 0
        self._stalled_since_s: float | None = None
        self._failures = 0
        self._problem = ""
        self._reason = ""
        self._task = asyncio.create_task(self._run(), name=f"captions of {stream}")

    @property
    def worker_pid(self) -> int:
        """The worker's process id; 0 while there is none."""
        return self._worker.pid if self._worker else 0

    def packets(self, batch: Packets, now_s: float) -> None:
        for data in batch:
            if packet.is_rtcp(data):
                for report in sync.sender_reports(data):
                    self._timeline.report(report)
            elif packet.payload_type(data) == PayloadType.OPUS:
                self._take(data, now_s)

    def read(self, boot: str, after: int) -> CueBatch:
        """The cues after that number, the oldest first; all where `boot` is another."""
        least = after if boot == self._boot else 0
        found = [one for one in self._cues if one.number > least]
        return CueBatch(
            boot=self._boot,
            cues=tuple(found[:MOST_CUES_SENT]),
            dropped_s=round(self._dropped_ticks / AUDIO_CLOCK_HZ, 3),
            problem=self._problem,
        )

    async def close(self) -> None:
        """End the worker."""
        self._task.cancel()
        await asyncio.wait({self._task})

    def _take(self, data: bytes, now_s: float) -> None:
        try:
            sound = self._sounds.push(RtpPacket.parse(data))
        except MalformedPacket:
            return
        if sound is None:
            return
        moment = self._timeline.place(PayloadType.OPUS, sound.ssrc, sound.timestamp, now_s)
        clock = self._clock
        wall_s = sync.plausible_wall_s(
            self._timeline,
            moment.ticks / AUDIO_CLOCK_HZ,
            now_s=clock.now_s(),
            steady_s=clock.monotonic_s(),
        )
        self._feed(sound, wall_s, now_s)

    def _feed(self, sound: OpusPacket, wall_s: float, now_s: float) -> None:
        worker = self._worker
        if worker is None:
            return
        if worker.waiting_bytes < _MOST_WAITING_BYTES:
            worker.feed(build_block(_WALL.pack(round(wall_s * 1_000_000)) + sound.data))
            return
        if self._stalled_since_s is None:
            self._stalled_since_s = now_s
            log.warning("captions fall behind: sound is dropped", stream=self._stream)
        self._dropped_ticks += sound.duration
        self._problem = "The engine is slower than the sound: some of it was left out."

    async def _run(self) -> None:
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self._once()
            except WorkerLost as error:
                self._problem = self._reason or error.message
            lasted_s = self._clock.monotonic_s() - began_s
            self._failures = 1 if lasted_s >= _SETTLED_S else self._failures + 1
            wait_s = backoff.wait_s(
                self._failures,
                backoff.draw(self._stream, self._failures),
                first_s=_FIRST_WAIT_S,
                longest_s=_LONGEST_WAIT_S,
            )
            log.warning(
                "captions pause", stream=self._stream, reason=self._problem, wait_s=round(wait_s, 1)
            )
            await asyncio.sleep(wait_s)

    async def _once(self) -> None:
        """One worker's life. Raises WorkerLost."""
        self._reason = ""
        callbacks = WorkerCallbacks(on_packets=self._on_packets, on_message=self._on_message)
        options = {"kind": "speech", "language": self.language, "engine": asdict(self._engine)}
        worker = await self._workers.start(options, callbacks)
        try:
            await worker.until_ready()
            self._worker, self._stalled_since_s, self._problem = worker, None, ""
            while not worker.exited.done():
                await asyncio.wait({worker.exited}, timeout=_LOOK_S)
                self._end_stalled()
        finally:
            self._worker = None
            await worker.close()
        self._problem = self._reason or "The engine ended."

    def _end_stalled(self) -> None:
        """Raises WorkerLost when sound is dropped and nothing was worked on for STALLED_S."""
        since_s = self._stalled_since_s
        if since_s is not None and self._clock.monotonic_s() - since_s > STALLED_S:
            raise WorkerLost("The engine stands still.")

    def _on_packets(self, batch: Sequence[bytes]) -> None:
        for message in batch:
            if message == PROGRESS:
                self._note_progress()
                continue
            try:
                cue = cues.decode(message)
            except cues.MalformedCue:
                log.warning("cue left out", stream=self._stream)
                continue
            self._number += 1
            self._cues.append(
                NumberedCue(
                    number=self._number, text=cue.text, start_s=cue.start_s, end_s=cue.end_s
                )
            )

    def _note_progress(self) -> None:
        worker = self._worker
        if worker is not None and worker.waiting_bytes < _MOST_WAITING_BYTES // 2:
            self._problem = ""
        self._stalled_since_s = None

    def _on_message(self, message: Message) -> None:
        if message["event"] in {"refused", "failed"}:
            self._reason = str(message["message"])[:500]
