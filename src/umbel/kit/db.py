"""One schema, two databases. Domains' stores declare tables on `metadata` and use `Database`.

SQLite runs in WAL mode; each write unit starts with BEGIN IMMEDIATE, because a read that turns
into a write gets SQLITE_BUSY whatever the busy timeout is. PostgreSQL is for many instances.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from umbel.kit.errors import Conflict, Unavailable

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_BUSY_TIMEOUT_MS = 2_000
_WAIT_S = 5
_SQLITE_ERROR = 1
_WRITE = "umbel_write"
log = structlog.get_logger(__name__)


class DatabaseUnavailable(Unavailable):
    """The database does not answer or is locked; nothing was written, try again."""

    code = "umbel.database_unavailable"


class VersionMismatch(Conflict):
    """Somebody else changed this first; read it again."""

    code = "umbel.version_mismatch"


class Database:
    """Read and write units over one engine; a unit commits whole or not at all."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgresql_engine(url)
        # SQLite has one writer: queueing here is fair, its own busy loop is not.
        self._turn = asyncio.Lock() if self.is_sqlite else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read unit: one consistent snapshot."""
        with _translated():
            async with self.engine.connect() as connection:
                if not self.is_sqlite:
                    # By default each statement there has a snapshot of its own.
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A write unit: commits on the way out, rolls back on an exception."""
        with _translated():
            async with AsyncExitStack() as stack:
                if self._turn is not None:
                    await _take(self._turn)
                    stack.callback(self._turn.release)
                connection = await stack.enter_async_context(self.engine.connect())
                await connection.execution_options(**{_WRITE: True})
                async with connection.begin():
                    yield connection

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


def expect_one(result: sa.CursorResult[Any], what: str) -> None:
    """Raise VersionMismatch unless the guarded UPDATE or DELETE touched exactly one row."""
    if result.rowcount != 1:
        raise VersionMismatch(f"{what} changed since it was read")


async def _take(turn: asyncio.Lock) -> None:
    try:
        async with asyncio.timeout(_WAIT_S):
            await turn.acquire()
    except TimeoutError as error:
        raise DatabaseUnavailable from error


class _translated:  # noqa: N801 -- reads as a word in a with statement
    """Turns the driver's failures into ours."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if _is_outage(error):
            # The driver's words name hosts and files: they are for the log, not for clients.
            log.warning("database unavailable", reason=str(getattr(error, "orig", error)))
            raise DatabaseUnavailable from error


def _is_outage(error: BaseException | None) -> bool:
    if isinstance(error, DBAPIError):
        if getattr(error.orig, "sqlite_errorcode", 0) == _SQLITE_ERROR:
            return False  # a wrong statement: SQLite calls that operational, too
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, PoolTimeout)


def _sqlite_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=5, max_overflow=5, pool_timeout=_WAIT_S)

    def on_connect(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves
        cursor = raw.cursor()
        for pragma in (
            f"busy_timeout={_BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: sa.Connection) -> None:
        immediate = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    sa.event.listen(engine.sync_engine, "connect", on_connect)
    sa.event.listen(engine.sync_engine, "begin", on_begin)
    return engine


def _postgresql_engine(url: str) -> AsyncEngine:
    return create_async_engine(url, pool_size=10, max_overflow=10, pool_timeout=_WAIT_S)
