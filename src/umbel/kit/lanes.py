"""Units of work on threads: one hop there, one hop back.

In: a `Job`, made on the event loop. Out: its awaited result; a `Lane` runs jobs on a bounded number
of threads of its own. A cancelled caller leaves at once: its unit does not start, is rolled back,
or is committed whole. Neighbours: the engines of kit.db, which say what a thread does with a job.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """A function that one thread will call, and what becomes of it."""

    def __init__(self, call: Callable[..., T], on_finished: Callable[[], None]) -> None:
        self.call = call
        self.has_begun = False
        self.is_abandoned = False
        self._on_finished = on_finished
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()

    async def outcome(self, wait_s: float, too_late: Callable[[], Exception]) -> T:
        """What the function returned or raised. Raises `too_late()` when no thread took it within
        `wait_s`; it is not called then."""
        timer = self._loop.call_later(wait_s, self._give_up, too_late)
        try:
            return await self._future
        except asyncio.CancelledError:
            self.is_abandoned = True
            raise
        finally:
            timer.cancel()

    def begin(self) -> bool:
        """A thread takes the job. False when no caller waits for it any more."""
        self.has_begun = not self.is_abandoned
        return self.has_begun

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        """Hand the outcome to the event loop, from a thread."""
        try:
            self._loop.call_soon_threadsafe(self._finished, result, error)
        except RuntimeError:
            pass  # the loop is closed: nobody waits

    def _finished(self, result: Any, error: BaseException | None) -> None:
        self._on_finished()
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)

    def _give_up(self, too_late: Callable[[], Exception]) -> None:
        if not self.has_begun and not self._future.done():
            self.is_abandoned = True
            self._future.set_exception(too_late())


AnyJob = Job[Any]


class Lane:
    """A queue of jobs, and up to `most` threads that `serve` it until they get None from it."""

    def __init__(self, name: str, most: int, serve: Callable[["Lane"], None]) -> None:
        self._name = name
        self._most = most
        self._serve = serve
        self._queue: SimpleQueue[AnyJob | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, job: AnyJob) -> None:
        """Have the job done; starts another thread where all are busy."""
        with self._lock:
            self._queue.put(job)
            if self._idle:
                self._idle -= 1
                return
            if len(self._threads) >= self._most:
                return
            name = f"{self._name}-{len(self._threads)}"
            # A daemon: a database that does not answer must not keep the process from ending.
            thread = threading.Thread(target=self._serve, args=(self,), name=name, daemon=True)
            self._threads.append(thread)
        thread.start()

    def next_job(self) -> AnyJob | None:
        """The next job for the calling thread, as soon as there is one; None is the end."""
        try:
            return self._queue.get_nowait()
        except Empty:
            pass
        with self._lock:
            self._idle += 1
        return self._queue.get()

    def next_waiting(self) -> AnyJob | None:
        """The next job if one waits."""
        try:
            job = self._queue.get_nowait()
        except Empty:
            return None
        if job is None:
            self._queue.put(None)
        return job

    def close(self, within_s: float) -> None:
        """Finish what waits and end the threads. Blocks; one that hangs is left after a while."""
        with self._lock:
            threads, self._threads, self._idle = self._threads, [], 0
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join(within_s)
