"""A database in memory whose units run at once, on the thread that asks: no thread, no wait.

For simulations and tests on virtual time, where everything must happen in the same order every
time. Several InlineDatabases may share one, as several processes share a file. Neighbour: kit.db.
"""

import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import StaticPool

from umbel.kit.db import Database
from umbel.kit.sql import Connection

P = ParamSpec("P")
T = TypeVar("T")


class Tables:
    """What InlineDatabases share: one SQLite connection, and who wants to hear of its journal."""

    def __init__(self) -> None:
        self.raw = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self.cursor = self.raw.cursor()
        self.watchers: list[Callable[[], None]] = []


class InlineDatabase(Database):
    """As Database promises, but for threads: a unit is done when the call is."""

    def __init__(self, tables: Tables | None = None) -> None:
        super().__init__("sqlite://")
        self.tables = tables or Tables()
        self._dialect = SQLiteDialect_pysqlite()

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.read_now(unit, *args, **kwargs)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.write_now(unit, *args, **kwargs)

    async def migrate(self, step: Callable[[sa.Connection], T]) -> T:
        engine = sa.create_engine(
            "sqlite://", creator=lambda: self.tables.raw, poolclass=StaticPool
        )
        sa.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN"))
        with engine.begin() as connection:
            return step(connection)

    def watch(self, wake: Callable[[], None]) -> None:
        self.tables.watchers.append(wake)

    def unwatch(self, wake: Callable[[], None]) -> None:
        self.tables.watchers.remove(wake)

    async def close(self) -> None:
        """Do nothing: other databases may share the tables."""

    def read_now(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `read`. No transaction is needed: no other unit runs before this one has ended.
        Raises AssertionError when the unit changed rows."""
        before = self.tables.raw.total_changes
        result = unit(self._connection(), *args, **kwargs)
        if self.tables.raw.total_changes != before:
            raise AssertionError(f"{unit!r} changed rows, and it was to read")
        return result

    def write_now(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`."""
        cursor, connection = self.tables.cursor, self._connection()
        cursor.execute("BEGIN")
        try:
            result = unit(connection, *args, **kwargs)
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")
        if connection.has_news:
            for wake in self.tables.watchers:
                wake()
        return result

    def _connection(self) -> Connection:
        return Connection(self.tables.cursor, self._dialect, sqlite3.IntegrityError)
