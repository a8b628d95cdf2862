"""A stream's captions, made while somebody reads them.

In: the stream's packets, while they are read. Out: the newest cues. A reader has recognition go on:
nobody reads for IDLE_S seconds, nothing is recognised.
"""

import asyncio

from umbel.media.model import CueBatch
from umbel.media.server.elements.fan import Fan, Guard
from umbel.media.speech.model import Engine, SpeechUnavailable, check_language
from umbel.media.workers.captioner import Captioner
from umbel.media.workers.pool import WorkerPool

IDLE_S = 30.0


class LiveCaptions:
    """One for each stream that comes in."""

    def __init__(self, stream: str, fan: Fan, engine: Engine, workers: WorkerPool) -> None:
        self._stream = stream
        self._fan = fan
        self._engine = engine
        self._workers = workers
        self._captioner: Captioner | None = None
        self._guard: Guard | None = None
        self._read_s = 0.0
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def worker_pid(self) -> int:
        """The worker's process id; 0 while there is none."""
        return self._captioner.worker_pid if self._captioner else 0

    def read(self, language: str, boot: str, after: int, now_s: float) -> CueBatch:
        """What was recognised after cue number `after` of the life `boot`. Recognises from now on,
        in that language. Raises SpeechUnavailable."""
        if not self._engine.name:
            raise SpeechUnavailable("No engine is configured: set UMBEL_CAPTIONS_ENGINE.")
        check_language(language)
        if self._captioner is not None and self._captioner.language != language:
            self._end()
        self._read_s = now_s
        if self._captioner is None:
            self._captioner = Captioner(self._stream, language, self._engine, self._workers)
            self._guard = Guard(self._captioner, f"captions of {self._stream}")
            self._fan.attach(self._guard)
        return self._captioner.read(boot, after)

    def tick(self, now_s: float) -> None:
        """Twice a second: end what nobody reads."""
        if self._captioner is not None and now_s - self._read_s > IDLE_S:
            self._end()

    async def close(self) -> None:
        """Nothing more is recognised."""
        self._end()
        if self._ending:
            await asyncio.wait(self._ending)

    def _end(self) -> None:
        captioner, guard = self._captioner, self._guard
        self._captioner = self._guard = None
        if guard is not None:
            self._fan.detach(guard)
        if captioner is not None:
            task = asyncio.create_task(captioner.close(), name="end of captions")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
