"""One schema, two databases. Domains' stores declare tables on `metadata` and use `Database`.

A unit of work is one synchronous function of a `Connection`, run on a database thread: one hop
there and one back (docs/decisions/0043). It is committed whole or not at all. SQLite for one
machine, PostgreSQL for many instances; neighbours: kit.sqlite and kit.postgresql run the units.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog

from umbel.kit.errors import Conflict, Unavailable
from umbel.kit.lanes import Job, Lane
from umbel.kit.sql import Connection
from umbel.kit.sqlite import PRAGMAS, SqliteEngine, keep_private

if TYPE_CHECKING:
    from umbel.kit.postgresql import PostgresqlEngine

P = ParamSpec("P")
T = TypeVar("T")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_WAIT_S = 5
_SCHEMA_WAIT_MS = 60_000
log = structlog.get_logger(__name__)


class DatabaseUnavailable(Unavailable):
    """The database does not answer or is locked; nothing was written, try again."""

    code = "umbel.database_unavailable"


class DatabaseDiskFull(DatabaseUnavailable):
    """The database cannot write to its disk: it is full or it fails. Nothing was written."""

    code = "umbel.database_disk_full"


class VersionMismatch(Conflict):
    """Somebody else changed this first; read it again."""

    code = "umbel.version_mismatch"


class Database:
    """Runs read and write units, from one event loop; `under_way` says how many right now.

    SQLite that is not `durable` may lose what it answered last when the power is cut.
    """

    def __init__(self, url: str, *, durable: bool = True) -> None:
        made = sa.make_url(url)
        self.is_sqlite = made.get_backend_name() == "sqlite"
        self.url = made.set(drivername="sqlite" if self.is_sqlite else "postgresql+psycopg")
        self.under_way = 0
        outage = _sqlite_outage if self.is_sqlite else _postgresql_outage
        self._translated = partial(_translated, outage)
        self._engine = self._make_engine(durable)
        self._watchers: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `unit(connection, ...)` returns; it sees one snapshot and changes nothing."""
        return await self._run(self._engine.readers, lambda c: unit(c, *args, **kwargs))

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `unit(connection, ...)` returns, committed; what it raises undoes all it did.

        It may be run again, where what it did was lost before the commit. A caller that is
        cancelled does not learn whether the unit was committed or undone.
        """
        return await self._run(self._engine.writers, lambda c: unit(c, *args, **kwargs))

    async def migrate(self, step: Callable[[sa.Connection], T]) -> T:
        """What `step` returns, committed, of a connection of SQLAlchemy's own: for Alembic."""

        def migrated() -> T:
            engine = _schema_engine(self.url)
            try:
                with engine.begin() as connection:
                    return step(connection)
            except Exception as error:
                raise self._translated(error) from error
            finally:
                engine.dispose()

        return await self._apart(migrated)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop whenever the journal grew: on SQLite by this process."""
        self._watchers.append(wake)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._engine.listen(self._heard)

    def unwatch(self, wake: Callable[[], None]) -> None:
        """Call it no more."""
        self._watchers.remove(wake)

    async def close(self) -> None:
        """End the threads and give every connection back. Units that wait are run before."""
        await self._apart(self._engine.close)
        self._loop = None

    # -- inside -----------------------------------------------------------------------------

    async def _run(self, lane: Lane, unit: Callable[..., T]) -> T:
        job = Job(unit, self._begun())
        lane.submit(job)
        return await job.outcome(_WAIT_S, DatabaseUnavailable)

    async def _apart(self, call: Callable[[], T]) -> T:
        """Run something on a thread of its own."""
        lane = Lane("db-apart", 1, _serve_calls)
        try:
            return await self._run(lane, call)
        finally:
            lane.close(0.0)

    def _begun(self) -> Callable[[], None]:
        """A unit begins; what is answered is called on the loop when its thread is done with it,
        whatever became of the caller."""
        self.under_way += 1
        return self._ended

    def _ended(self) -> None:
        self.under_way -= 1

    def _heard(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody follows
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for wake in self._watchers:
            wake()

    def _make_engine(self, durable: bool) -> "SqliteEngine | PostgresqlEngine":
        dialect, path = self.url.get_dialect()(), self.url.database or ""
        if self.is_sqlite:
            return SqliteEngine(path, dialect, self._translated, durable=durable)
        from umbel.kit.postgresql import PostgresqlEngine  # noqa: PLC0415 -- psycopg loads slowly

        return PostgresqlEngine(self.url, dialect, self._translated)


def expect_one(count: int, what: str) -> None:
    """Raise VersionMismatch unless the guarded UPDATE or DELETE touched exactly one row."""
    if count != 1:
        raise VersionMismatch(f"{what} changed since it was read")


def _serve_calls(lane: Lane) -> None:
    while (job := lane.next_job()) is not None:
        try:
            job.begin()
            job.finish(job.call())
        except Exception as error:  # noqa: BLE001 -- the caller's to handle
            job.finish(error=error)


def _translated(
    outage: Callable[[BaseException], type[DatabaseUnavailable] | None], error: Exception
) -> Exception:
    """The driver's failure as ours; what is no outage stays what it is."""
    kind = outage(getattr(error, "orig", None) or error)
    if kind is None:
        return error
    # The driver's words name hosts and files: they are for the log, not for clients.
    log.warning("database unavailable", code=kind.code, reason=str(error))
    ours = kind()
    ours.__cause__ = error
    return ours


def _postgresql_outage(error: BaseException) -> type[DatabaseUnavailable] | None:
    from umbel.kit import postgresql  # noqa: PLC0415 -- psycopg loads slowly

    if postgresql.is_disk_full(error):
        return DatabaseDiskFull
    return DatabaseUnavailable if postgresql.is_outage(error) else None


def _sqlite_outage(error: BaseException) -> type[DatabaseUnavailable] | None:
    if not isinstance(error, sqlite3.OperationalError):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what the system adds
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return DatabaseDiskFull
    # A wrong statement is operational to SQLite, too.
    return None if code == sqlite3.SQLITE_ERROR else DatabaseUnavailable


def _schema_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    if url.get_backend_name() != "sqlite":
        return engine
    keep_private(url.database or "")

    def on_connect(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves
        # Instances that start together wait for the one that makes the schema.
        for pragma in (f"busy_timeout={_SCHEMA_WAIT_MS}", *PRAGMAS[1:]):
            raw.execute(f"PRAGMA {pragma}")

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "begin", on_begin)
    return engine
