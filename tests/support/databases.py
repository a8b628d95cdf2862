"""What tests ask of a database, and the newest schema at once.

In: an empty database of a test's own. Out: its tables. The migrations run once a process, and the
others are copies: migrations take longer than most tests.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from support.postgres import Cluster
from umbel import migrations
from umbel.kit.db import Database

_SCHEMA = "umbel_schema"
_copies: list[bytes] = []


async def none_under_way(database: Database) -> bool:
    """Whether no unit of work runs now."""
    return database.under_way == 0


async def prepare(database: Database) -> None:
    """Give a SQLite database the newest schema, as a start does. Nothing may be connected to an
    empty one yet."""
    assert database.is_sqlite
    file = Path(database.url.database or "")
    if _copies and not file.exists():
        file.write_bytes(_copies[0])
        return
    is_first = not file.exists()
    await migrations.upgrade(database)
    if is_first:
        with closing(sqlite3.connect(file)) as made:
            _copies.append(made.serialize())


def prepared(cluster: Cluster) -> str:
    """The URL of a database of PostgreSQL with the newest schema."""
    if not cluster.has(_SCHEMA):
        asyncio.run(_migrate(Database(cluster.fresh(name=_SCHEMA))))
    return cluster.fresh(like=_SCHEMA)


async def _migrate(database: Database) -> None:
    try:
        await migrations.upgrade(database)
    finally:
        await database.close()
