"""PostgreSQL as an engine of `kit.db`: threads with a connection each, and LISTEN for the journal.

Reads are REPEATABLE READ, so that a unit sees one snapshot; writes are READ COMMITTED and the
server groups their commits. After a lost connection every thread connects again.
"""

import os
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
import sqlalchemy as sa
import structlog

from umbel.kit.lanes import AnyJob, Lane
from umbel.kit.sql import CHANNEL, Connection

log = structlog.get_logger(__name__)

_MOST = 8
_CLOSE_S = 5.0
_RETRY_S = 1.0
_OPTIONS: dict[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class PostgresqlEngine:
    """Runs jobs on threads, each with a connection of its own."""

    def __init__(
        self, url: sa.URL, dialect: sa.Dialect, translate: Callable[[Exception], Exception]
    ) -> None:
        arguments, options = dialect.create_connect_args(url)
        self._connect = lambda: psycopg.connect(*arguments, **{**_OPTIONS, **options})
        self._dialect = dialect
        self._translate = translate
        self._age = 0
        self._listener: _Listener | None = None
        self.readers = Lane("db-read", _MOST, self._read)
        self.writers = Lane("db-write", _MOST, self._write)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, on a thread, when any process adds to the journal."""
        if self._listener is None:
            self._listener = _Listener(self._connect, wake)

    def close(self) -> None:
        """End the threads. Blocks."""
        if self._listener is not None:
            self._listener.close()
        self.readers.close(_CLOSE_S)
        self.writers.close(_CLOSE_S)

    def _read(self, lane: Lane) -> None:
        self._serve(lane, is_reader=True)

    def _write(self, lane: Lane) -> None:
        self._serve(lane, is_reader=False)

    def _serve(self, lane: Lane, *, is_reader: bool) -> None:
        session = _PostgresqlConnection(self._connect, is_reader=is_reader)
        while (job := lane.next_job()) is not None:
            if not job.begin():
                job.finish()
                continue
            try:
                result = self._run(session, job)
            except Exception as error:  # noqa: BLE001 -- the caller's to handle
                if session.roll_back():
                    self._age += 1  # the server is another one: so are all connections to be
                job.finish(error=self._translate(error))
            else:
                job.finish(result)
        session.close()

    def _run(self, session: "_PostgresqlConnection", job: AnyJob) -> object:
        cursor = session.cursor(self._age)
        result = job.call(Connection(cursor, self._dialect, psycopg.IntegrityError))
        if job.is_abandoned:
            session.roll_back()
        else:
            session.commit()
        return result


class _PostgresqlConnection:
    """A thread's connection, opened when it is needed."""

    def __init__(self, connect: Callable[[], psycopg.Connection], *, is_reader: bool) -> None:
        self._connect = connect
        self._is_reader = is_reader
        self._raw: psycopg.Connection | None = None
        self._cursor: psycopg.Cursor | None = None
        self._age = 0

    def cursor(self, age: int) -> psycopg.Cursor:
        """A cursor over a connection that is not older than `age`."""
        if self._cursor is None or self._age < age:
            self.close()
            self._raw = self._connect()
            if self._is_reader:
                self._raw.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                self._raw.read_only = True
            self._cursor = self._raw.cursor()
            self._age = age
        return self._cursor

    def commit(self) -> None:
        """What the unit did is there to stay."""
        if self._raw is not None:
            self._raw.commit()

    def roll_back(self) -> bool:
        """Undo what the unit did. Answers whether the connection was lost."""
        if self._raw is None:
            return False
        with suppress(psycopg.Error):
            self._raw.rollback()
        if not self._raw.closed:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Give the connection back."""
        if self._raw is not None:
            with suppress(psycopg.Error):
                self._raw.close()
        self._raw = self._cursor = None


class _Listener:
    """A thread that waits for NOTIFY on a connection of its own, and connects again when it is
    lost. It wakes then, too: something may have been missed."""

    def __init__(self, connect: Callable[[], psycopg.Connection], wake: Callable[[], None]) -> None:
        self._connect = connect
        self._wake = wake
        self._closing, self._closed = os.pipe()
        self._thread = threading.Thread(target=self._run, name="db-listen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. Blocks."""
        os.close(self._closed)
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            try:
                with self._connect() as connection:
                    connection.autocommit = True
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._wake()
                    goes_on = self._listen(connection)
            except psycopg.Error as error:
                log.warning("journal not listened to", reason=str(error))
                goes_on = not self._is_closed(_RETRY_S)
        os.close(self._closing)

    def _listen(self, connection: psycopg.Connection) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._closing, selectors.EVENT_READ)
            selector.register(connection.fileno(), selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._closing in ready:
                    return False
                if list(connection.notifies(timeout=0)):
                    self._wake()

    def _is_closed(self, within_s: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._closing, selectors.EVENT_READ)
            return bool(selector.select(within_s))


def is_disk_full(error: BaseException) -> bool:
    """Whether the server cannot write to its disk."""
    return isinstance(error, psycopg.errors.DiskFull)


def is_outage(error: BaseException) -> bool:
    """Whether the server does not answer, or not as it should."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
