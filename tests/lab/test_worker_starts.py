"""Workers that start slowly, and workers that hang while they start."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from support.ingest_lab import alive
from umbel.kit.clock import SystemClock
from umbel.kit.starting import StartLimits, activities
from umbel.media.workers import host
from umbel.media.workers.host import WorkerCallbacks, WorkerLost, WorkerProcess

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
DEADLINE_S = 60.0
LIMITS = StartLimits(asleep_s=1.0)
OPTIONS = {"kind": "flv", "video": {"ssrc": 1, "offset": 0}, "audio": {"ssrc": 2, "offset": 0}}


@contextmanager
def busy_core(core: int, loops: int = 6) -> Iterator[None]:
    """Loops that leave little of a core to anybody else."""
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        for _ in range(loops)
    ]
    try:
        for process in started:
            os.sched_setaffinity(process.pid, {core})
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture
async def starting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerProcess]:
    """A worker that was started just now, with little patience for sleep."""
    monkeypatch.setattr(host, "_START_LIMITS", LIMITS)
    callbacks = WorkerCallbacks(on_packets=lambda _: None, on_message=lambda _: None)
    worker = await WorkerProcess.spawn(SystemClock())
    await worker.begin(OPTIONS, callbacks)
    try:
        yield worker
    finally:
        await worker.close()


async def test_a_start_that_the_machine_delays_is_waited_for(starting: WorkerProcess) -> None:
    core = min(os.sched_getaffinity(0))
    with busy_core(core):
        os.sched_setaffinity(starting.pid, {core})
        async with asyncio.timeout(DEADLINE_S):
            await starting.until_ready()
    # It waited for a processor for longer than a sleeping start is allowed to take.
    assert activities(starting.pid)[starting.pid].waited_s > LIMITS.asleep_s


async def test_a_worker_that_is_stopped_while_it_starts_is_given_up(
    starting: WorkerProcess,
) -> None:
    os.kill(starting.pid, signal.SIGSTOP)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(WorkerLost):
            await starting.until_ready()
    assert not alive(starting.pid)
