"""Slices as rows: what was promised outlives the control plane."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound
from umbel.kit.sql import Command, Connection, Query, given
from umbel.network.slices.admission import Grade, Granted, SliceRequest

slices = sa.Table(
    "slices",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("grade", sa.String(16), nullable=False),
    sa.Column("stream", sa.String(64), nullable=False),
    sa.Column("functions", sa.JSON, nullable=False),
    sa.Column("links", sa.JSON, nullable=False),
    sa.Column("lacking", sa.JSON, nullable=False),
    sa.Column("opened_s", sa.Float, nullable=False),
)


_TURN_LOCK = 0x736C6963


Decision = Callable[[tuple[Granted, ...]], Sequence[Granted]]


class NoSuchSlice(NotFound):
    """No slice has that id."""

    code = "umbel.no_such_slice"


def _granted(
    *,
    grade: str,
    stream: str,
    functions: Sequence[str],
    links: Sequence[Sequence[str]],
    lacking: Sequence[Sequence[str]],
    **row: Any,
) -> Granted:
    request = SliceRequest(
        grade=Grade(grade),
        stream=stream,
        functions=(functions[0], functions[1]) if functions else None,
    )
    return Granted(
        request=request,
        links=tuple((source, target) for source, target in links),
        unguaranteed=tuple((source, target) for source, target in lacking),
        **row,
    )


_SLICES = Query(sa.select(slices).order_by(slices.c.opened_s, slices.c.number), _granted)
_ADD_SLICE = Command(sa.insert(slices))
_DROP_SLICE = Command(sa.delete(slices).where(slices.c.id == given("id_")))


class SliceStore:
    """The queries of slices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[Granted, ...]:
        """Every slice, oldest first."""
        return await self._database.read(_all)

    async def change(self, decide: Decision, *, at_s: float) -> tuple[Granted, ...]:
        """Make the slices what `decide` answers, given what they are. Who changes them at the same
        time waits, so that two slices are never admitted to the same room. What `decide` raises
        changes nothing. It is called on a database thread."""

        def change(connection: Connection) -> tuple[Granted, ...]:
            connection.lock(_TURN_LOCK)
            before = _all(connection)
            after = tuple(decide(before))
            _write(connection, before, after, at_s)
            return after

        return await self._database.write(change)


def _all(connection: Connection) -> tuple[Granted, ...]:
    return tuple(connection.all(_SLICES))


def _write(
    connection: Connection, before: Sequence[Granted], after: Sequence[Granted], at_s: float
) -> None:
    had = {one.id: one for one in before}
    has = {one.id: one for one in after}
    for one in before:
        if has.get(one.id) != one:
            connection.run(_DROP_SLICE, id_=one.id)
    changed = [one for one in after if had.get(one.id) != one]
    for one in changed:
        connection.run(_ADD_SLICE, **_row(one))
    for one in changed:
        _journal(connection, one, "changed" if one.id in had else "opened", at_s)
    for gone in before:
        if gone.id not in has:
            _journal(connection, gone, "closed", at_s)


def _journal(connection: Connection, one: Granted, what: str, at_s: float) -> None:
    body = {"what": what, "grade": one.request.grade.value, "event": one.request.stream or None}
    journal.record(connection, at_s=at_s, kind="slice", subject=one.id, body=body)


def _row(one: Granted) -> dict[str, object]:
    return {
        "id": one.id,
        "number": one.number,
        "grade": one.request.grade.value,
        "stream": one.request.stream,
        "functions": list(one.request.functions or ()),
        "links": [list(link) for link in one.links],
        "lacking": [list(link) for link in one.unguaranteed],
        "opened_s": one.opened_s,
    }
