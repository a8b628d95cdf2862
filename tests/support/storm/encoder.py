"""The demo's encoder, started again whenever it ends, with a count of the frames that it sent.

A frame carries its time as a row of squares: `time_ms` reads it from a decoded picture.
"""

import asyncio
import time
from contextlib import suppress

from av import VideoFrame

from support.platform import Platform
from umbel.demo import stage
from umbel.demo.encoder import BIT_PX, BITS, push_command
from umbel.demo.stage import Child, LiveEvent

AGAIN_S = 0.25
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.1")
_TAIL_BYTES = 1024
_WRAP_MS = 2**BITS


def time_ms(frame: VideoFrame) -> int | None:
    """When the frame was drawn, in ms since the epoch; None when it cannot be read: a time that
    is in the future or more than a minute old is a broken picture."""
    plane = frame.planes[0]
    start = BIT_PX // 2 * plane.line_size + BIT_PX // 2
    row = memoryview(plane)[start : start + BITS * BIT_PX : BIT_PX]
    value = sum(1 << bit for bit, luma in enumerate(bytes(row)) if luma > 127)
    now_ms = int(time.time() * 1000)
    age_ms = (now_ms - value) % _WRAP_MS
    return now_ms - age_ms if age_ms < 60_000 else None


class Encoder:
    """Pushes to the event until `stop`; `starts` counts those that sent something."""

    def __init__(self, made: Platform, event: LiveEvent) -> None:
        self._made = made
        self._event = event
        self._child: Child | None = None
        self._sent_before = 0
        self._task = asyncio.create_task(self._run(), name="encoder")

    @property
    def sent(self) -> int:
        """How many frames were sent so far, by all lives."""
        return self._sent_before + self._sent_now()

    @property
    def pid(self) -> int:
        """The process that sends now; 0 when none does."""
        child = self._child
        is_sending = child is not None and child.process.returncode is None and self._sent_now()
        return child.process.pid if child is not None and is_sending else 0

    async def stop(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        command = push_command(self._event.ingest, self._event.stream_key)
        command[1:1] = _PROGRESS
        number = 0
        while True:
            number += 1
            log = self._made.folder / f"encoder-{number}.log"
            self._child = child = await stage.start("encoder", command, log)
            try:
                await child.process.wait()
            finally:
                with suppress(ProcessLookupError):
                    child.process.kill()
            self._sent_before, self._child = self.sent, None
            if not _frames(child):  # nobody listens yet
                await asyncio.sleep(AGAIN_S)

    def _sent_now(self) -> int:
        return _frames(self._child) if self._child is not None else 0


def _frames(child: Child) -> int:
    """The last count that it reported."""
    with child.log.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(0, log.tell() - _TAIL_BYTES))
        text = log.read().decode(errors="replace")
    found = [line[6:].strip() for line in text.splitlines() if line.startswith("frame=")]
    return int(found[-1]) if found else 0
