"""Readers of the feed are never ahead of it: what they get was followed."""

import pytest

from support.waiting import until
from umbel.kit.db import Database
from umbel.kit.journal import Journal, record
from umbel.portal.feed import Feed

NEVER_S = 3600.0


async def tell(database: Database, subject: str) -> None:
    await database.write(record, at_s=0.0, kind="x", subject=subject, body={})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_change_of_another_instance_waits_until_it_is_followed(
    database: Database, database_url: str
) -> None:
    """On SQLite nobody hears of another instance's commit. A reader that read it from the database
    was ahead of the feed, and was told that its position is gone."""
    other = Database(database_url, durable=False)
    feed = Feed(Journal(database, poll_s=NEVER_S))

    async def head() -> int:
        return feed.head

    try:
        for subject in ("a", "b"):
            await tell(database, subject)
        await feed.start()
        await tell(other, "c")
        *_, newest = await feed.after(1, 0.0)
        assert newest.seq <= feed.head
        await feed.after(newest.seq, 0.0)  # its place is known
        await tell(database, "d")  # a commit of its own wakes it
        await until(head, lambda seq: seq == 4)
        assert [one.subject for one in await feed.after(1, 0.0)] == ["b", "c", "d"]
    finally:
        await feed.stop()
        await other.close()
