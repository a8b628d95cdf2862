"""Slices as rows: what was promised outlives the control plane."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound
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


class SliceStore:
    """The queries of slices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[Granted, ...]:
        """Every slice, oldest first."""
        async with self._database.read() as connection:
            return await _all(connection)

    async def change(self, decide: Decision, *, at_s: float) -> tuple[Granted, ...]:
        """Make the slices what `decide` answers, given what they are. Who changes them at the same
        time waits, so that two slices are never admitted to the same room. What `decide` raises
        changes nothing."""
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN_LOCK)))
            before = await _all(connection)
            after = tuple(decide(before))
            await _write(connection, before, after, at_s)
        return after


async def _all(connection: AsyncConnection) -> tuple[Granted, ...]:
    query = sa.select(slices).order_by(slices.c.opened_s, slices.c.number)
    return tuple(_granted(row) for row in (await connection.execute(query)).mappings())


async def _write(
    connection: AsyncConnection,
    before: Sequence[Granted],
    after: Sequence[Granted],
    at_s: float,
) -> None:
    had = {one.id: one for one in before}
    has = {one.id: one for one in after}
    for one in before:
        if has.get(one.id) != one:
            await connection.execute(sa.delete(slices).where(slices.c.id == one.id))
    changed = [one for one in after if had.get(one.id) != one]
    for one in changed:
        await connection.execute(sa.insert(slices).values(_row(one)))
    for one in changed:
        await _journal(connection, one, "changed" if one.id in had else "opened", at_s)
    for gone in before:
        if gone.id not in has:
            await _journal(connection, gone, "closed", at_s)


async def _journal(connection: AsyncConnection, one: Granted, what: str, at_s: float) -> None:
    body = {"what": what, "grade": one.request.grade.value, "event": one.request.stream or None}
    await journal.record(connection, at_s=at_s, kind="slice", subject=one.id, body=body)


def _row(one: Granted) -> dict[str, object]:
    return {
        "id": one.id,
        "number": one.number,
        "grade": one.request.grade.value,
        "stream": one.request.stream,
        "functions": list(one.request.functions or ()),
        "links": [list(link) for link in one.links],
        "lacking": [list(link) for link in one.lacking],
        "opened_s": one.opened_s,
    }


def _granted(row: sa.RowMapping) -> Granted:
    functions = [str(name) for name in row["functions"]]
    request = SliceRequest(
        grade=Grade(row["grade"]),
        stream=row["stream"],
        functions=(functions[0], functions[1]) if functions else None,
    )
    return Granted(
        id=row["id"],
        number=row["number"],
        request=request,
        links=tuple((source, target) for source, target in row["links"]),
        lacking=tuple((source, target) for source, target in row["lacking"]),
        opened_s=row["opened_s"],
    )
