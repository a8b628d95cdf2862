"""A commit wakes those who follow the journal, in every instance; they share what they read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from support.databases import none_under_way
from support.waiting import until
from umbel.kit.db import Database
from umbel.kit.journal import UNREADABLE, Change, Journal, changes, record
from umbel.kit.sql import Command, Scalar

NEVER_S = 3600.0


@contextlib.asynccontextmanager
async def following(database: Database) -> AsyncIterator[Callable[[], "asyncio.Task[str]"]]:
    """A follower that never looks unasked; answers the next change's subject."""
    changes = Journal(database, poll_s=NEVER_S).follow(0)

    async def following_one() -> str:
        return (await anext(changes)).subject

    async with contextlib.aclosing(changes):
        yield lambda: asyncio.create_task(following_one())


async def tell(database: Database, subject: str) -> None:
    await database.write(record, at_s=0.0, kind="x", subject=subject, body={})


async def test_a_commit_wakes_those_who_follow_the_journal(database: Database) -> None:
    async with following(database) as following_next:
        for subject in ("a", "b", "c"):
            waiting = following_next()
            await asyncio.sleep(0)
            await until(lambda: none_under_way(database))
            await tell(database, subject)
            async with asyncio.timeout(30):
                assert await waiting == subject


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_commit_wakes_the_followers_of_other_instances(
    database: Database, database_url: str
) -> None:
    other = Database(database_url)
    try:
        async with following(other) as following_next:
            for subject in ("a", "b", "c"):
                waiting = following_next()
                await asyncio.sleep(0)
                await until(lambda: none_under_way(other))
                await tell(database, subject)
                async with asyncio.timeout(30):
                    assert await waiting == subject
    finally:
        await other.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_lost_listening_connection_is_made_again_and_nothing_is_missed(
    database: Database, database_url: str
) -> None:
    listening = sa.text("query LIKE 'LISTEN%' AND datname = current_database()")
    backend = sa.select(sa.func.count()).select_from(sa.text("pg_stat_activity")).where(listening)
    end = sa.select(sa.text("pg_terminate_backend(pid)")).select_from(sa.text("pg_stat_activity"))

    async def listens() -> bool:
        return bool(await database.read(lambda c: c.scalar(Scalar(backend, int))))

    other = Database(database_url)
    try:
        async with following(other) as following_next:
            waiting = following_next()
            await until(listens)
            await database.write(lambda c: c.run(Command(end.where(listening))))
            await tell(database, "meanwhile")
            async with asyncio.timeout(30):
                assert await waiting == "meanwhile"
    finally:
        await other.close()


class GatedJournal(Journal):
    """Counts its reads, which wait until the gate is open."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, poll_s=NEVER_S)
        self.reads = 0
        self.gate = asyncio.Event()

    async def since(self, after: int, limit: int = 500) -> list[Change]:
        self.reads += 1
        await self.gate.wait()
        return await super().since(after, limit)


async def first(journal: Journal) -> str:
    async with contextlib.aclosing(journal.follow(0)) as changes:
        return (await anext(changes)).subject


async def begun(*coroutines: Coroutine[None, None, str]) -> list["asyncio.Task[str]"]:
    """The tasks, as far as they get without waiting for the database."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_followers_share_a_read_and_one_that_leaves_takes_nothing_from_the_other(
    database: Database,
) -> None:
    await tell(database, "a")
    journal = GatedJournal(database)
    leaving, staying = await begun(first(journal), first(journal))
    assert journal.reads == 1
    leaving.cancel()
    journal.gate.set()
    assert await staying == "a"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_read_that_began_before_a_commit_is_not_shared_after_it(
    database: Database,
) -> None:
    journal, woken = GatedJournal(database), asyncio.Event()
    (early,) = await begun(first(journal))
    database.watch(woken.set)
    await tell(database, "a")
    await woken.wait()
    reads = journal.reads
    (late,) = await begun(first(journal))
    assert journal.reads == reads + 1
    journal.gate.set()
    assert list(await asyncio.gather(early, late)) == ["a", "a"]


BROKEN = ("not json", "[1]", "null", '"text"')


@pytest.mark.parametrize("body", BROKEN)
async def test_an_entry_that_cannot_be_read_is_skipped_and_logged_once(
    database: Database, body: str
) -> None:
    journal = Journal(database, poll_s=NEVER_S)
    if body == "not json" and not database.is_sqlite:
        body = "[1]"  # PostgreSQL takes no text that is not JSON
    await tell(database, "a")
    row = {"at_s": 0.0, "kind": "x", "subject": "b", "body": sa.literal_column(f"'{body}'")}
    await database.write(lambda c: c.run(Command(sa.insert(changes).values(**row))))
    await tell(database, "c")
    with capture_logs() as logged:
        for _ in range(2):
            async with contextlib.aclosing(journal.follow(0)) as found:
                assert [(await anext(found)).subject for _ in range(2)] == ["a", "c"]
        kinds = [(change.subject, change.kind) for change in await journal.since(0)]
    assert kinds == [("a", "x"), ("b", UNREADABLE), ("c", "x")]
    assert [entry["event"] for entry in logged] == ["journal entry cannot be read"]
