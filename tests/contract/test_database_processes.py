"""Two processes over one database: what one commits, the other's followers of the journal get."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from umbel.kit.db import Database
from umbel.kit.journal import record

NEVER_S = 3600.0
WITHIN_S = 60.0

Next = Callable[[], Awaitable[str]]

_FOLLOWER = """
import asyncio, sys
from umbel.kit.db import Database
from umbel.kit.journal import Journal

async def main():
    database, poll_s = Database(sys.argv[1]), float(sys.argv[2]) if sys.argv[2] else None
    async for change in Journal(database, poll_s=poll_s).follow(0):
        print(change.subject, flush=True)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def follower(database_url: str, poll_s: float | None = None) -> AsyncIterator[Next]:
    """Another process that follows the journal; answers the next subject that it saw."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _FOLLOWER, database_url, "" if poll_s is None else str(poll_s)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    stdout = process.stdout

    async def following() -> str:
        async with asyncio.timeout(WITHIN_S):
            return (await stdout.readline()).decode().strip()

    try:
        yield following
    finally:
        process.kill()
        await process.communicate()


async def commit(database: Database, subject: str) -> None:
    await database.write(record, at_s=0.0, kind="x", subject=subject, body={})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_commit_notifies_the_followers_of_another_process(
    database: Database, database_url: str
) -> None:
    async with follower(database_url, NEVER_S) as following:
        # The first may be there already when the other process looks; the later ones are not.
        for subject in ("a", "b", "c"):
            await commit(database, subject)
            assert await following() == subject


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_another_process_over_the_same_file_finds_a_commit_by_its_poll(
    database: Database, database_url: str
) -> None:
    async with follower(database_url) as following:
        for subject in ("a", "b"):
            await commit(database, subject)
            assert await following() == subject


@pytest.mark.parametrize("poll_s", [0.05, None])
async def test_what_two_processes_write_at_once_is_followed_in_order_and_whole(
    database: Database, database_url: str, poll_s: float | None
) -> None:
    """Entries of one unit stay together, each writer's in its order, none twice and none lost."""
    other = Database(database_url)
    each = 30
    try:
        async with follower(database_url, poll_s) as following:

            async def write(writer: Database, name: str) -> None:
                for number in range(each):
                    await commit(writer, f"{name}{number}")

            await asyncio.gather(write(database, "a"), write(other, "b"))
            seen = [await following() for _ in range(2 * each)]
    finally:
        await other.close()
    for name in "ab":
        assert [s for s in seen if s[0] == name] == [f"{name}{n}" for n in range(each)]
