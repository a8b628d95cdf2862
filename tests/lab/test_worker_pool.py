"""Workers by fork: the server is replaced when it is lost, and ends with its pool."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from support.ingest_lab import alive, offspring
from support.processes import descriptors_of
from umbel.kit import prctl
from umbel.kit.clock import SystemClock
from umbel.media.workers import forks
from umbel.media.workers.forks import WorkerLost
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


async def prepared(pool: WorkerPool) -> int:
    pool.prepare()
    await until(lambda: pool.fork_server_pid)
    return pool.fork_server_pid


async def work(pool: WorkerPool) -> WorkerProcess:
    worker = await pool.start(OPTIONS, CALLBACKS)
    async with asyncio.timeout(DEADLINE_S):
        await worker.until_ready()
    return worker


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


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


async def test_workers_are_forked_by_one_server_and_are_our_children(pool: WorkerPool) -> None:
    server = await prepared(pool)
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1  # or forks of it would be broken
    workers = await asyncio.gather(*(work(pool) for _ in range(3)))
    pids = {worker.pid for worker in workers}
    assert len(pids) == 3
    assert pids | {server} <= set(offspring(os.getpid()))
    assert pool.fork_server_pid == server
    for worker in workers:
        assert name_of(worker.pid) == "umbel-worker"
        # Its input and output (twice each), and three sockets for media; what GStreamer opens.
        assert sum(name.startswith("socket:") for name in descriptors_of(worker.pid)) == 5
        await worker.close()
        assert not alive(worker.pid)
    assert alive(server)


async def test_workers_start_before_a_server_is_prepared(pool: WorkerPool) -> None:
    pool.prepare()
    worker = await work(pool)
    assert worker.pid != pool.fork_server_pid
    await worker.close()


async def test_a_server_that_dies_is_replaced_and_its_workers_work_on(pool: WorkerPool) -> None:
    server = await prepared(pool)
    first = await work(pool)
    os.kill(server, signal.SIGKILL)
    second = await work(pool)  # perhaps before its end is seen
    assert pool.fork_server_pid != server
    assert alive(first.pid)
    for worker in (first, second):
        await worker.close()
    assert not alive(server)


async def test_a_worker_that_dies_before_it_has_begun_is_gone(pool: WorkerPool) -> None:
    await prepared(pool)
    worker = await WorkerProcess.fork(await pool._ready_server(), SystemClock())
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait({worker.exited})
    await worker.begin(OPTIONS, CALLBACKS)
    with pytest.raises(WorkerLost):
        await worker.until_ready()


async def test_a_server_that_hangs_is_replaced(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "_ORDER_WITHIN_S", 1.0)
    before = set(offspring(os.getpid()))
    server = await prepared(pool)
    os.kill(server, signal.SIGSTOP)
    worker = await work(pool)
    assert not alive(server)
    await worker.close()
    # The next server may be on its way.
    await until(lambda: set(offspring(os.getpid())) - before == {pool.fork_server_pid})


async def test_a_start_that_is_given_up_leaves_no_worker(pool: WorkerPool) -> None:
    server = await prepared(pool)
    before = set(offspring(os.getpid()))
    os.kill(server, signal.SIGSTOP)
    starting = asyncio.create_task(pool.start(OPTIONS, CALLBACKS))
    await until(prctl._adopting.locked)  # its order is on the way
    starting.cancel()
    await asyncio.wait({starting})
    os.kill(server, signal.SIGCONT)
    await (await work(pool)).close()  # forked after the one that nobody waits for
    await until(lambda: set(offspring(os.getpid())) == before)


async def test_the_server_ends_with_its_pool(pool: WorkerPool) -> None:
    before = set(offspring(os.getpid()))
    server = await prepared(pool)
    await pool.close()
    assert not alive(server)
    assert set(offspring(os.getpid())) == before


async def test_a_pool_that_is_closed_while_it_prepares_leaves_nothing(pool: WorkerPool) -> None:
    before = set(offspring(os.getpid()))
    pool.prepare()
    await until(lambda: set(offspring(os.getpid())) - before)
    await pool.close()
    await until(lambda: set(offspring(os.getpid())) == before)
    assert pool.fork_server_pid == 0
