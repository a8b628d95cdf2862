"""Readers of the feed are never ahead of it: what they get was followed."""

import asyncio

import pytest

from support.waiting import until
from umbel.kit.db import Database
from umbel.kit.journal import Change, Journal, record
from umbel.portal.feed import Feed

NEVER_S = 3600.0


async def tell(database: Database, subject: str) -> None:
    await database.write(record, at_s=0.0, kind="x", subject=subject, body={})


class WatchedJournal(Journal):
    """`looked` is set once somebody has read on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, poll_s=NEVER_S)
        self.looked = asyncio.Event()

    async def since(self, after: int, limit: int = 500) -> list[Change]:
        found = await super().since(after, limit)
        self.looked.set()
        return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_change_of_another_instance_waits_until_it_is_followed(
    database: Database, database_url: str
) -> None:
    """On SQLite nobody hears of another instance's commit. A reader that read it from the database
    was ahead of the feed, and was told that its position is gone."""
    other = Database(database_url, durable=False)
    journal = WatchedJournal(database)
    feed = Feed(journal)

    async def head() -> int:
        return feed.head

    try:
        for subject in ("a", "b"):
            await tell(database, subject)
        await feed.start()
        await journal.looked.wait()  # it has, and waits for a commit of this instance
        await tell(other, "c")
        assert feed.head == 2
        assert [one.subject for one in await feed.after(1, 0.0)] == ["b"]
        assert await feed.after(2, 0.0) == []
        await tell(database, "d")
        await until(head, lambda seq: seq == 4)
        assert [one.subject for one in await feed.after(2, 0.0)] == ["c", "d"]
    finally:
        await feed.stop()
        await other.close()
