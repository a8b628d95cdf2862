"""SQLite as an engine of `kit.db`: one writer thread, some readers, WAL, group commit.

Write units that wait are committed together: a savepoint each, so that one that fails undoes itself
alone, and one fsync for all (`synchronous=FULL`), so that what was answered survives a power cut.
Several processes may share the file: they take turns by the busy timeout, and hear of each other's
journal by its slow poll.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from umbel.kit import private
from umbel.kit.lanes import AnyJob, Lane
from umbel.kit.sql import Connection

_BUSY_TIMEOUT_MS = 2_000
_READERS = 2
_MOST_TOGETHER = 64
_CLOSE_S = 5.0
PRAGMAS = (
    f"busy_timeout={_BUSY_TIMEOUT_MS}",
    "journal_mode=WAL",
    "foreign_keys=ON",
)


def keep_private(name: str) -> None:
    """Make the file or take it from everybody else. SQLite gives its helpers the same mode."""
    if name in ("", ":memory:"):
        return
    path = Path(name)
    with suppress(OSError):  # what is wrong is said by who opens it
        private.ensure_file(path)
        for helper in ("-wal", "-shm"):
            if (helper_file := path.with_name(path.name + helper)).exists():
                private.ensure_file(helper_file)


class SqliteEngine:
    """Runs jobs on threads, each with a connection of its own."""

    def __init__(
        self,
        path: str,
        dialect: sa.Dialect,
        translate: Callable[[Exception], Exception],
        *,
        durable: bool = True,
    ) -> None:
        self._path = path
        self._durable = durable
        self._dialect = dialect
        self._translate = translate
        self._listener: Callable[[], None] = lambda: None
        self.readers = Lane("db-read", _READERS, self._read)
        self.writers = Lane("db-write", 1, self._write)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, on a thread, whenever the journal grew in this process."""
        self._listener = wake

    def close(self) -> None:
        """End the threads. Blocks."""
        self.readers.close(_CLOSE_S)
        self.writers.close(_CLOSE_S)

    def _read(self, lane: Lane) -> None:
        session = _SqliteConnection(self._path, durable=self._durable)
        while (job := lane.next_job()) is not None:
            if not job.begin():
                job.finish()
                continue
            try:
                cursor = session.begin("BEGIN")
                result = job.call(self._connection(cursor))
            except Exception as error:  # noqa: BLE001 -- the caller's to handle
                session.roll_back()
                job.finish(error=self._translate(error))
            else:
                session.roll_back()
                job.finish(result)
        session.close()

    def _write(self, lane: Lane) -> None:
        session = _SqliteConnection(self._path, durable=self._durable)
        while (job := lane.next_job()) is not None:
            _Group(session, self._connection, self._translate, self._notify).commit(job, lane)
        session.close()

    def _connection(self, cursor: sqlite3.Cursor) -> Connection:
        return Connection(cursor, self._dialect, sqlite3.IntegrityError)

    def _notify(self) -> None:
        self._listener()


class _SqliteConnection:
    """A thread's connection, opened when it is needed and again after a failure to begin."""

    def __init__(self, path: str, *, durable: bool) -> None:
        self._path = path
        self._synchronous = "FULL" if durable else "OFF"
        self._raw: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None

    def begin(self, how: str) -> sqlite3.Cursor:
        """A cursor in the transaction, which begins if there is none."""
        if self._cursor is None:
            keep_private(self._path)
            self._raw = sqlite3.connect(self._path, isolation_level=None, cached_statements=256)
            cursor = self._raw.cursor()
            try:
                for pragma in (*PRAGMAS, f"synchronous={self._synchronous}"):
                    cursor.execute(f"PRAGMA {pragma}")
            except sqlite3.Error:
                self.close()
                raise
            self._cursor = cursor
        if not self.is_open:
            self._cursor.execute(how)
        return self._cursor

    @property
    def is_open(self) -> bool:
        """Whether the transaction goes on: some failures end it."""
        return self._raw is not None and self._raw.in_transaction

    def commit(self) -> None:
        """What was done in the transaction, if one is open, is there to stay."""
        if self.is_open and self._cursor is not None:
            self._cursor.execute("COMMIT")

    def roll_back(self) -> None:
        """End the transaction, if one is open, as if it had never been."""
        if self.is_open and self._cursor is not None:
            with suppress(sqlite3.Error):
                self._cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Give the connection back."""
        if self._raw is not None:
            self._raw.close()
        self._raw = self._cursor = None


class _Group:
    """Write units that are committed together, and then answered."""

    def __init__(
        self,
        session: _SqliteConnection,
        connect: Callable[[sqlite3.Cursor], Connection],
        translate: Callable[[Exception], Exception],
        notify: Callable[[], None],
    ) -> None:
        self._session = session
        self._connect = connect
        self._translate = translate
        self._notify = notify
        self._jobs: list[AnyJob] = []
        self._answers: list[Callable[[], None]] = []
        self._has_news = False

    def commit(self, first: AnyJob, lane: Lane) -> None:
        """Run the job and those that wait behind it, and commit what they did. Where the whole
        transaction is lost (the disk is full), each is run again by itself."""
        job: AnyJob | None = first
        try:
            while job is not None:
                self._jobs.append(job)
                self._run(job)
                is_full = len(self._jobs) >= _MOST_TOGETHER
                job = None if is_full else lane.next_waiting()
            self._session.commit()
        except Exception as error:  # noqa: BLE001 -- each caller's to handle
            self._session.roll_back()
            if len(self._jobs) == 1:
                self._jobs[0].finish(error=self._translate(error))
            else:
                self._commit_apart()
            return
        if self._has_news:
            self._notify()
        # Not before: a unit may have failed for what another one of the group did.
        for answer in self._answers:
            answer()

    def _commit_apart(self) -> None:
        nobody = Lane("db-nobody", 0, lambda _: None)
        for job in self._jobs:
            _Group(self._session, self._connect, self._translate, self._notify).commit(job, nobody)

    def _run(self, job: AnyJob) -> None:
        """One unit in its savepoint. Raises when the whole transaction is lost."""
        if not job.begin():
            self._answers.append(job.finish)
            return
        cursor = self._session.begin("BEGIN IMMEDIATE")
        connection = self._connect(cursor)
        cursor.execute("SAVEPOINT unit")
        try:
            answer = partial(job.finish, job.call(connection))
            is_undone = job.is_abandoned
        except Exception as error:
            if not self._session.is_open:
                raise
            answer = partial(job.finish, error=self._translate(error))
            is_undone = True
        if is_undone:
            cursor.execute("ROLLBACK TO unit")
        cursor.execute("RELEASE unit")
        self._answers.append(answer)
        self._has_news |= connection.has_news and not is_undone
