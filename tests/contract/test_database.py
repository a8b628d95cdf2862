"""Units of work on both databases: whole or not at all, cancelled or not, with the disk full or the
server gone."""

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from support import postgres
from support.databases import none_under_way
from support.waiting import until
from umbel import migrations
from umbel.kit.db import Database, DatabaseDiskFull, DatabaseUnavailable
from umbel.kit.leases import leases
from umbel.kit.sql import Command, Connection, ConstraintViolated, Scalar, given

ADD = Command(sa.insert(leases))
NAMES = Scalar(sa.select(leases.c.name).order_by(leases.c.name), str)


def add(connection: Connection, *names: str) -> None:
    for name in names:
        connection.run(ADD, name=name, owner="me", until_s=1.0)


async def names(database: Database) -> list[str]:
    return await database.read(lambda connection: connection.scalars(NAMES))


class Gate:
    """Holds a unit on its database thread."""

    def __init__(self) -> None:
        self._reached, self._open = threading.Event(), threading.Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 30)


@contextlib.asynccontextmanager
async def held(database: Database) -> AsyncIterator[None]:
    """Meanwhile SQLite's one writer is at work, so that other write units wait for it."""
    gate = Gate()
    unit = asyncio.create_task(database.write(lambda _: gate.wait()))
    try:
        await gate.reached()
        yield
    finally:
        gate.open()
        await unit


# -- whole or not at all ----------------------------------------------------------------------


async def test_what_a_unit_raises_undoes_all_of_it(database: Database) -> None:
    await database.write(add, "a")
    with pytest.raises(ConstraintViolated):
        await database.write(add, "b", "c", "a")
    assert await names(database) == ["a"]


async def test_a_read_unit_changes_nothing(database: Database) -> None:
    with contextlib.suppress(Exception):
        await database.read(add, "a")
    assert await names(database) == []


async def test_units_that_wait_fail_and_succeed_each_for_itself(database: Database) -> None:
    units = [("a",), ("b", "a"), ("c",), ("d", "c"), ("e",)]
    async with held(database):
        writing = [asyncio.create_task(database.write(add, *unit)) for unit in units]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writing, return_exceptions=True)
    # Of the units that add "a" one succeeds whole, of those that add "c" one; PostgreSQL picks.
    valid = [["a", *b, "c", *d, "e"] for b in ([], ["b"]) for d in ([], ["d"])]
    assert await names(database) in valid
    failed = [isinstance(outcome, ConstraintViolated) for outcome in outcomes]
    if database.is_sqlite:  # there they run in order
        assert failed == [False, True, False, True, False]
        assert await names(database) == ["a", "c", "e"]


def commits(database: Database) -> int:
    """How many transactions SQLite's write-ahead log holds: the frames that end one."""
    log = Path(f"{database.url.database}-wal").read_bytes()
    page_size, salt = struct.unpack(">I", log[8:12])[0], log[16:24]
    frames = range(32, len(log), 24 + page_size)
    return sum(log[f + 8 : f + 16] == salt and log[f + 4 : f + 8] != bytes(4) for f in frames)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_units_that_wait_are_committed_together(database: Database) -> None:
    await database.write(add, "first")
    before = commits(database)
    for n in range(3):
        await database.write(add, f"alone {n}")
    assert commits(database) - before == 3
    async with held(database):
        writing = [asyncio.create_task(database.write(add, f"together {n}")) for n in range(40)]
        await asyncio.sleep(0)
    await asyncio.gather(*writing)
    assert commits(database) - before == 4
    assert len(await names(database)) == 44


async def test_a_commit_is_on_the_disk_before_it_is_answered(sqlite_url: str) -> None:
    level, full = Scalar(sa.text("PRAGMA synchronous"), int), 2
    database = Database(sqlite_url)
    try:
        assert await database.write(lambda connection: connection.scalar(level)) == full
    finally:
        await database.close()


_WRITER = """
import asyncio, sys
from contract.test_database import add
from umbel.kit.db import Database

async def main():
    database = Database(sys.argv[1])
    async def write(lane):
        number = 0
        while True:
            await database.write(add, name := f"{lane}-{number}")
            print(name, flush=True)
            number += 1
    await asyncio.gather(*map(write, range(8)))

asyncio.run(main())
"""


async def test_what_was_answered_outlives_a_killed_process(
    database: Database, database_url: str
) -> None:
    command = [sys.executable, "-c", _WRITER, database_url]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    try:
        answered = [process.stdout.readline().strip() for _ in range(50)]
        assert all(answered)
    finally:
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
    *complete, _cut = [*answered, *rest.split("\n")]
    assert set(complete) <= set(await names(database))
    await database.write(add, "goes on")


# -- cancelled --------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_unit_that_waits_is_not_begun_when_its_caller_is_cancelled(
    database: Database,
) -> None:
    async with held(database):
        waiting = asyncio.create_task(database.write(add, "a"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await database.write(add, "b")
    assert await names(database) == ["b"]


async def test_a_unit_that_runs_is_undone_when_its_caller_is_cancelled(database: Database) -> None:
    gate = Gate()

    def unit(connection: Connection) -> None:
        add(connection, "a")
        gate.wait()
        add(connection, "b")

    running = asyncio.create_task(database.write(unit))
    await gate.reached()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert database.under_way == 1, "its thread goes on"
    gate.open()
    await until(lambda: none_under_way(database))
    await database.write(add, "c")
    assert await names(database) == ["c"]


# -- the disk and the server ------------------------------------------------------------------


def most_pages(connection: Connection, most: int) -> int:
    return connection.scalar(Scalar(sa.text(f"PRAGMA max_page_count = {most}"), int)) or 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_said_and_nothing_is_written_until_there_is_room(
    database: Database,
) -> None:
    many = [f"{n:064d}" for n in range(2_000)]
    await database.write(add, "before")
    pages = await database.write(most_pages, 1)  # no fewer than there are
    async with held(database):
        fat = asyncio.create_task(database.write(add, *many))
        await asyncio.sleep(0)
        slim = asyncio.create_task(database.write(lambda c: c.run(ADD_ONE)))
        await asyncio.sleep(0)
    with pytest.raises(DatabaseDiskFull):
        await fat
    await slim
    assert await names(database) == ["before", "slim"]
    await database.write(most_pages, pages + 10_000)
    await database.write(add, *many)
    assert len(await names(database)) == 2_002


ADD_ONE = Command(sa.insert(leases).values(name="slim", owner="me", until_s=1.0))


async def test_a_connection_that_is_lost_costs_one_answer() -> None:
    if postgres.programs() is None:
        pytest.skip(postgres.ABSENT)
    with postgres.cluster() as cluster:
        database = Database(cluster.fresh())
        try:
            await migrations.upgrade(database)
            reads = (names(database) for _ in range(20))
            await asyncio.gather(*reads)  # over several connections
            cluster.stop()
            cluster.start()
            with pytest.raises(DatabaseUnavailable):
                await names(database)
            for _ in range(20):
                assert await names(database) == []
        finally:
            await database.close()


# -- statements -------------------------------------------------------------------------------


async def test_a_value_too_many_or_too_few_is_refused(database: Database) -> None:
    for values in ({"name": "a"}, {"name": "a", "owner": "b", "until_s": 1.0, "more": 1}):
        with pytest.raises(TypeError, match="values"):
            await database.write(Connection.run, ADD, **values)
    assert await names(database) == []


async def test_a_list_of_values_is_refused_where_it_cannot_be_compiled_once(
    database: Database,
) -> None:
    one_of = Scalar(sa.select(leases.c.name).where(leases.c.name.in_(["a", "b"])), str)
    with pytest.raises(TypeError, match=r"sa\.literal"):
        await database.read(lambda c: c.scalars(one_of))
    members = [sa.literal("a"), given("other")]
    spelt = Scalar(sa.select(leases.c.name).where(leases.c.name.in_(members)), str)
    await database.write(add, "a", "b", "c")
    found = await database.read(lambda c: c.scalars(spelt, other="c"))
    assert sorted(found) == ["a", "c"]
