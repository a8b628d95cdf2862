"""Copies of a whole database: to a file while others write to it, and from that file into an
empty database.

SQLite by its backup API, PostgreSQL by the programs `pg_dump` and `pg_restore`. In: a database URL
and paths of files. Out: a consistent copy, or an error and nothing.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from umbel.kit import private
from umbel.kit.db import DatabaseUnavailable
from umbel.kit.errors import NotFound, Unavailable

Moved = Callable[[int, int], None]
"""Called with what is done and of how much, in units of the copier's choice."""

_PAGES = 1024
_SCHEMA = "SELECT version_num FROM alembic_version"
_TABLES = (
    "SELECT count(*) FROM pg_catalog.pg_tables"
    " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)


class NoDatabase(NotFound):
    """There is no database here: check the data directory and UMBEL_DATABASE_URL."""

    code = "umbel.no_database"


class DatabaseDamaged(Unavailable):
    """The database's file is damaged."""

    code = "umbel.database_damaged"


class ProgramMissing(Unavailable):
    """A program that this needs is not installed."""

    code = "umbel.program_missing"


class ProgramFailed(Unavailable):
    """A program that this needs failed. The message has its last words."""

    code = "umbel.program_failed"


class DatabaseCopies(Protocol):
    """Copies of one database. `kind` is "sqlite" or "postgresql"."""

    kind: str

    def is_empty(self) -> bool:
        """Whether it holds no table. Raises DatabaseUnavailable."""
        ...

    def dump(self, file: Path, moved: Moved) -> str:
        """Copy it to a new file; the copy's schema revision, empty if it has none. Raises
        NoDatabase, DatabaseDamaged, DatabaseUnavailable, ProgramMissing, ProgramFailed."""
        ...

    def load(self, file: Path, moved: Moved) -> None:
        """Fill the empty database from such a file, at once or not at all. Raises as `dump`."""
        ...


def copies_of(url: str) -> DatabaseCopies:
    """The copier for the database of this URL."""
    made = sa.make_url(url)
    if made.get_backend_name() == "sqlite":
        return SqliteCopies(Path(made.database or ""))
    return PostgresqlCopies(made.set(drivername="postgresql+psycopg"))


class SqliteCopies:
    """A SQLite file, copied page by page out of one read transaction."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_empty(self) -> bool:
        return not self._path.exists()

    def dump(self, file: Path, moved: Moved) -> str:
        if not self._path.exists():
            raise NoDatabase(f"there is no database {self._path}")
        return _copy(self._path, file, moved)

    def load(self, file: Path, moved: Moved) -> None:
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            _copy(file, draft, moved)
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)


def _copy(source: Path, target: Path, moved: Moved) -> str:
    """Copy a SQLite file; the copy's schema revision."""
    target.unlink(missing_ok=True)
    private.ensure_file(target)
    try:
        with closing(sqlite3.connect(source)) as from_, closing(sqlite3.connect(target)) as to:
            # One snapshot for all steps: without it, each write of another process starts it again.
            from_.execute("BEGIN")
            from_.execute("SELECT count(*) FROM sqlite_master").fetchone()
            from_.backup(
                to, pages=_PAGES, progress=lambda _, left, total: moved(total - left, total)
            )
            to.execute("PRAGMA journal_mode=DELETE")  # a single file
            if (found := to.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise DatabaseDamaged(f"{source} is damaged: {found}")
            return _revision(to)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise DatabaseUnavailable(f"cannot copy {source}: {error}") from error
        raise DatabaseDamaged(f"{source} is damaged, or not a database: {error}") from error


def _revision(connection: sqlite3.Connection) -> str:
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
    row = connection.execute(_SCHEMA).fetchone() if tables.fetchone() else None
    return str(row[0]) if row else ""


class PostgresqlCopies:
    """A database of a PostgreSQL server, in pg_dump's custom format."""

    kind = "postgresql"

    def __init__(self, url: sa.URL) -> None:
        _, options = url.get_dialect()().create_connect_args(url)
        # Other users of the machine can read a program's arguments: the password is not one.
        self._password = options.pop("password", "")
        self._conninfo = make_conninfo(**options)

    def is_empty(self) -> bool:
        return self._ask(_TABLES) == "0"

    def dump(self, file: Path, moved: Moved) -> str:
        if self._ask("SELECT to_regclass('alembic_version')") == "":
            raise NoDatabase("the PostgreSQL database has no tables of Umbel")
        revision = self._ask(_SCHEMA)
        moved(0, 1)
        private.ensure_file(file)
        self._run("pg_dump", "--format=custom", *("--file", str(file)))
        moved(1, 1)
        return revision

    def load(self, file: Path, moved: Moved) -> None:
        moved(0, 1)
        self._run("pg_restore", "--single-transaction", "--exit-on-error", str(file))
        moved(1, 1)

    def _ask(self, question: str) -> str:
        try:
            with psycopg.connect(self._conninfo, password=self._password or None) as connection:
                row = connection.execute(question.encode()).fetchone()
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the database does not answer: {error}") from error
        return "" if row is None or row[0] is None else str(row[0])

    def _run(self, program: str, *words: str) -> None:
        if shutil.which(program) is None:
            raise ProgramMissing(
                f"{program} is not installed: install Debian's postgresql-client, not older than"
                " the server, or copy the database with the server's own tools"
            )
        password = {"PGPASSWORD": self._password} if self._password else {}
        done = subprocess.run(
            [program, "--no-owner", "--no-privileges", "--dbname", self._conninfo, *words],
            env=os.environ | password,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = "; ".join(done.stderr.strip().splitlines()[-3:])
            raise ProgramFailed(f"{program} ended with status {done.returncode}: {last}")
