"""SQLite on a disk that is really full: a small tmpfs, which only root can mount."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.disks import full, small_disk
from umbel import migrations
from umbel.kit.db import Database, DatabaseDiskFull
from umbel.kit.journal import Journal, record
from umbel.kit.sql import Connection

SIZE_MB = 4
HEAVY = {"text": "x" * 4_000}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE_MB) as folder:
        yield folder


@pytest.fixture
async def database(disk: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{disk / 'umbel.db'}")
    try:
        await migrations.upgrade(opened)
        yield opened
    finally:
        await opened.close()


def add(connection: Connection, subject: str) -> str:
    record(connection, at_s=0.0, kind="x", subject=subject, body=HEAVY)
    return subject


async def acknowledged(database: Database, subjects: list[str]) -> list[str]:
    """Write an entry for each, all at once; answers those that were acknowledged. The others were
    refused by DatabaseDiskFull, and by nothing else."""
    writing = (database.write(add, subject) for subject in subjects)
    outcomes = await asyncio.gather(*writing, return_exceptions=True)
    failed = [o for o in outcomes if not isinstance(o, str)]
    assert all(type(o) is DatabaseDiskFull for o in failed), failed
    return [o for o in outcomes if isinstance(o, str)]


def on_disk(disk: Path) -> list[str]:
    """The entries that somebody finds who opens the file as it is."""
    with contextlib.closing(sqlite3.connect(disk / "umbel.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [subject for (subject,) in raw.execute("SELECT subject FROM changes ORDER BY seq")]


async def test_a_full_disk_is_reported_and_left_behind_and_nothing_acknowledged_is_lost(
    database: Database, disk: Path
) -> None:
    kept = await acknowledged(database, ["before"])
    for round_ in range(3):
        with full(disk):
            refused = 0
            for batch in range(100):
                subjects = [f"{round_}.{batch}.{number}" for number in range(8)]
                done = await acknowledged(database, subjects)
                kept += done
                refused += len(subjects) - len(done)
                if not done:
                    break
            assert refused, "the disk was not full"
            seen = await Journal(database).since(0, limit=10_000)
            assert [change.subject for change in seen] == kept, "reads go on"
        kept += (after := await acknowledged(database, [f"after {round_}"]))
        assert after == [f"after {round_}"], "it goes on by itself"
    assert on_disk(disk) == kept
    await database.close()
    assert on_disk(disk) == kept


async def test_a_database_on_a_disk_that_was_full_before_it_began_comes_up_when_there_is_room(
    disk: Path,
) -> None:
    database = Database(f"sqlite:///{disk / 'umbel.db'}")
    try:
        with full(disk), pytest.raises(DatabaseDiskFull):
            await migrations.upgrade(database)
        await migrations.upgrade(database)
        assert await acknowledged(database, ["first"]) == ["first"]
    finally:
        await database.close()
    assert on_disk(disk) == ["first"]
