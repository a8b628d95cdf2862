"""A prepared worker: taken at once, replaced when it is taken or dies, ended with its pool."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from support.ingest_lab import alive, offspring
from umbel.kit.clock import SystemClock
from umbel.media.workers.host import WorkerCallbacks, WorkerProcess
from umbel.media.workers.pool import WorkerPool

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
DEADLINE_S = 60.0
CALLBACKS = WorkerCallbacks(on_packets=lambda _: None, on_message=lambda _: None)
MEDIUM = {"ssrc": 1, "offset": 0}
OPTIONS = {"kind": "flv", "video": MEDIUM, "audio": MEDIUM}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def prepared(pool: WorkerPool, *, other_than: int = 0) -> int:
    await until(lambda: pool.spare_pid not in (0, other_than))
    return pool.spare_pid


async def work(pool: WorkerPool) -> WorkerProcess:
    worker = await pool.start(OPTIONS, CALLBACKS)
    async with asyncio.timeout(DEADLINE_S):
        await worker.until_ready()
    return worker


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(SystemClock())
    yield pool
    await pool.close()


async def test_nothing_is_prepared_before_it_is_wanted() -> None:
    before = asyncio.all_tasks()
    pool = WorkerPool(SystemClock())
    assert asyncio.all_tasks() == before
    await pool.close()


async def test_the_prepared_worker_is_taken_and_replaced(pool: WorkerPool) -> None:
    pool.prepare()
    first = await prepared(pool)
    worker = await work(pool)
    assert worker.pid == first
    second = await prepared(pool)
    assert second != first
    assert alive(first)
    await worker.close()
    assert pool.spare_pid == second


async def test_workers_start_before_one_is_prepared(pool: WorkerPool) -> None:
    pool.prepare()
    workers = await asyncio.gather(*(work(pool) for _ in range(3)))
    assert len({worker.pid for worker in workers}) == 3
    spare = await prepared(pool)
    assert spare not in {worker.pid for worker in workers}
    for worker in workers:
        await worker.close()


async def test_a_prepared_worker_that_dies_is_replaced_without_noise(pool: WorkerPool) -> None:
    pool.prepare()
    first = await prepared(pool)
    with capture_logs() as logged:
        os.kill(first, signal.SIGKILL)
        second = await prepared(pool, other_than=first)
    assert {entry["log_level"] for entry in logged} <= {"info", "debug"}
    worker = await work(pool)
    assert worker.pid == second
    await worker.close()


async def test_the_prepared_worker_ends_with_its_pool(pool: WorkerPool) -> None:
    before = set(offspring(os.getpid()))
    pool.prepare()
    spare = await prepared(pool)
    await pool.close()
    assert not alive(spare)
    assert set(offspring(os.getpid())) == before


async def test_a_pool_that_is_closed_while_it_prepares_leaves_nothing(pool: WorkerPool) -> None:
    before = set(offspring(os.getpid()))
    pool.prepare()
    await until(lambda: set(offspring(os.getpid())) - before)
    await pool.close()
    await until(lambda: set(offspring(os.getpid())) == before)
    assert pool.spare_pid == 0
