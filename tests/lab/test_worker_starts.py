"""Workers that start slowly, and workers that hang while they start."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from support.ingest_lab import alive, offspring
from support.processes import busy_core
from umbel.kit.clock import SystemClock
from umbel.kit.starting import StartLimits, activities
from umbel.media.model import WorkerLimits
from umbel.media.workers import forks, host
from umbel.media.workers.forks import WorkerForkServer, WorkerLost
from umbel.media.workers.host import WorkerCallbacks, WorkerProcess

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
    server = await WorkerForkServer.start()
    try:
        worker = await WorkerProcess.fork(server, SystemClock())
        try:
            await worker.begin(OPTIONS, callbacks)
            yield worker
        finally:
            await worker.close()
    finally:
        await server.close()


@contextmanager
def on_a_busy_core() -> Iterator[None]:
    """This process and those that it starts have little of one core, and nothing of others."""
    usual = os.sched_getaffinity(0)
    with busy_core(min(usual)):
        os.sched_setaffinity(0, {min(usual)})
        try:
            yield
        finally:
            os.sched_setaffinity(0, usual)


async def test_a_start_that_the_machine_delays_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forks, "_START_LIMITS", LIMITS)
    with on_a_busy_core():
        async with asyncio.timeout(DEADLINE_S):
            server = await WorkerForkServer.start()
    # It waited for a processor for longer than a sleeping start is allowed to take.
    waited_s = activities(server.pid)[server.pid].waited_s
    await server.close()
    assert waited_s > LIMITS.asleep_s


async def test_a_fork_server_that_is_stopped_while_it_starts_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forks, "_START_LIMITS", LIMITS)
    before = set(offspring(os.getpid()))
    starting = asyncio.create_task(WorkerForkServer.start())
    async with asyncio.timeout(DEADLINE_S):
        while not (started := set(offspring(os.getpid())) - before):
            await asyncio.sleep(0)
        os.kill(min(started), signal.SIGSTOP)
        with pytest.raises(WorkerLost):
            await starting
    assert set(offspring(os.getpid())) == before


async def test_a_worker_that_is_stopped_while_it_starts_is_given_up(
    starting: WorkerProcess,
) -> None:
    os.kill(starting.pid, signal.SIGSTOP)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(WorkerLost):
            await starting.until_ready()
    assert not alive(starting.pid)
