"""Workers that start slowly, and workers that hang while they start."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import asdict

import pytest

from support.ingest_lab import alive
from support.processes import busy_core
from umbel.kit.clock import SystemClock
from umbel.kit.starting import StartLimits, activities
from umbel.media.model import WorkerLimits
from umbel.media.workers import host
from umbel.media.workers.host import WorkerCallbacks, WorkerLost, WorkerProcess

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
DEADLINE_S = 60.0
LIMITS = StartLimits(asleep_s=0.25)
MEDIUM = {"ssrc": 1, "offset": 0}
OPTIONS = {"kind": "flv", "video": MEDIUM, "audio": MEDIUM, "limits": asdict(WorkerLimits())}


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
