"""Typed statements: written with SQLAlchemy Core, compiled once, run on the driver's own cursor.

In: a `Query`, `Scalar` or `Command`, made once per module, and its named values. Out: rows as typed
values, or how many rows were touched. SQLAlchemy's own execution costs four times as much (0043).
A `Connection` is what a unit of work gets; it lives on one database thread and knows no asyncio.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
CHANNEL = "umbel_changes"
_EXPANDED = "__[POSTCOMPILE"

_Code = Callable[[Any], Any]


class ConstraintViolated(Exception):
    """The database refused a row: it exists already, or others refer to it."""


class Cursor(Protocol):
    """The part of a DB-API cursor (PEP 249) that is needed here."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, sql: Any, values: Any = ..., /) -> Any: ...

    def executemany(self, sql: Any, values: Any, /) -> Any: ...

    def fetchall(self) -> Sequence[Any]: ...

    def fetchone(self) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    """A statement in one database's dialect, with how values go in and columns come out."""

    text: str
    order: tuple[str, ...] | None
    constants: dict[str, Any]
    encode: tuple[tuple[str, _Code], ...]
    names: frozenset[str]
    columns: tuple[str, ...]
    decode: tuple[tuple[int, _Code], ...]

    def bind(self, values: dict[str, Any]) -> Any:
        """The driver's parameters. Raises TypeError for a value too many or too few."""
        if values.keys() != self.names:
            raise TypeError(f"values {sorted(values)} for {sorted(self.names)}: {self.text}")
        values |= self.constants
        for name, code in self.encode:
            values[name] = code(values[name])
        if self.order is None:
            return values
        return tuple(values[name] for name in self.order)

    def row(self, row: Sequence[Any]) -> Sequence[Any]:
        """A row as Python values."""
        if not self.decode:
            return row
        cells = list(row)
        for index, code in self.decode:
            cells[index] = code(cells[index])
        return cells


def given(name: str, kind: type[sa.types.TypeEngine[Any]] | None = None) -> sa.BindParameter[Any]:
    """A named value of a statement, told when it is run."""
    return sa.bindparam(name, type_=kind)


class Statement:
    """A statement of SQLAlchemy Core; each dialect compiles it once.

    `set_` names the columns that an INSERT or UPDATE sets from values of the same names.
    """

    def __init__(self, clause: Any, set_: Iterable[str] = ()) -> None:
        self._clause = clause
        self._set = list(set_) or None
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: sa.Dialect) -> _Compiled:
        """The statement in that dialect."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self._clause, self._set, dialect)
        return found


class Query(Statement, Generic[T]):
    """A SELECT whose rows become `make(column=value, ...)`."""

    def __init__(self, clause: sa.Executable, make: Callable[..., T]) -> None:
        super().__init__(clause)
        self.make = make


class Scalar(Statement, Generic[T]):
    """A SELECT of one column of that type."""

    def __init__(self, clause: sa.Executable, of: type[T]) -> None:
        super().__init__(clause)
        self.of = of


class Command(Statement):
    """An INSERT, UPDATE or DELETE."""


class Connection:
    """One unit's way to the database. `record` of kit.journal says `announce`."""

    def __init__(self, cursor: Cursor, dialect: sa.Dialect, violated: type[Exception]) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self._violated = violated
        self.has_news = False

    def all(self, query: Query[T], /, **values: Any) -> list[T]:
        """Every row."""
        compiled, make = self._ask(query, values), query.make
        columns = compiled.columns
        return [
            make(**dict(zip(columns, compiled.row(row), strict=True)))
            for row in self._cursor.fetchall()
        ]

    def first(self, query: Query[T], /, **values: Any) -> T | None:
        """The first row, None when there is none."""
        compiled = self._ask(query, values)
        row = self._cursor.fetchone()
        if row is None:
            return None
        return query.make(**dict(zip(compiled.columns, compiled.row(row), strict=True)))

    def scalars(self, query: Scalar[T], /, **values: Any) -> list[T]:
        """The only column of every row."""
        compiled = self._ask(query, values)
        return [compiled.row(row)[0] for row in self._cursor.fetchall()]

    def scalar(self, query: Scalar[T], /, **values: Any) -> T | None:
        """The only column of the first row; None when there is none, or when it is NULL."""
        compiled = self._ask(query, values)
        row = self._cursor.fetchone()
        return None if row is None else compiled.row(row)[0]

    def run(self, command: Command, /, **values: Any) -> int:
        """Change rows; answers how many. Raises ConstraintViolated."""
        self._ask(command, values)
        return self._cursor.rowcount

    def run_many(self, command: Command, rows: Iterable[dict[str, Any]], /) -> None:
        """Change rows once for each set of values. Raises ConstraintViolated."""
        compiled = command.compiled(self._dialect)
        try:
            self._cursor.executemany(compiled.text, [compiled.bind(dict(row)) for row in rows])
        except self._violated as error:
            raise ConstraintViolated(str(error)) from error

    def lock(self, number: int) -> None:
        """Let no other unit with that number go on until this one ends. SQLite has one writer."""
        if self._dialect.name == "postgresql":
            self._cursor.execute("SELECT pg_advisory_xact_lock(%s)", (number,))

    def announce(self) -> None:
        """Wake those who follow the journal, in every process, when the unit is committed."""
        if not self.has_news and self._dialect.name == "postgresql":
            self._cursor.execute(f"NOTIFY {CHANNEL}")
        self.has_news = True

    def _ask(self, statement: Statement, values: dict[str, Any]) -> _Compiled:
        compiled = statement.compiled(self._dialect)
        try:
            self._cursor.execute(compiled.text, compiled.bind(values))
        except self._violated as error:
            raise ConstraintViolated(str(error)) from error
        return compiled


def _compile(clause: Any, set_: list[str] | None, dialect: sa.Dialect) -> _Compiled:
    compiled = clause.compile(dialect=dialect, column_keys=set_)
    text = str(compiled)
    if _EXPANDED in text:
        raise TypeError(f"wrap each member of a list in sa.literal: {text}")
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    columns = tuple(getattr(clause, "selected_columns", ()))
    # SQLite has neither JSON nor truth values. All else comes from the drivers as it is.
    processors = (
        column.type.dialect_impl(dialect).result_processor(dialect, None)
        if isinstance(column.type, sa.JSON | sa.Boolean)
        else None
        for column in columns
    )
    encoders = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in binds.items()
    }
    return _Compiled(
        text=text,
        order=tuple(compiled.positiontup) if compiled.positional else None,
        constants={name: bind.effective_value for name, bind in binds.items() if not bind.required},
        encode=tuple((name, code) for name, code in encoders.items() if code is not None),
        names=frozenset(name for name, bind in binds.items() if bind.required),
        columns=tuple(column.name for column in columns),
        decode=tuple((n, code) for n, code in enumerate(processors) if code is not None),
    )
