"""Gates, sign-ins, virtual services and bindings as rows: a restart opens and closes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.network.edge import rows as border_rows
from umbel.network.edge.compiler import Borders

borders = sa.Table(
    "borders",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)


_BORDERS_LOCK = 0x626F7264


_REVISION = ("revision", "")


@dataclass(frozen=True, kw_only=True)
class KeptBorders:
    """The borders, and how often they were changed."""

    revision: int
    borders: Borders


class BorderStore:
    """The queries of borders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> KeptBorders:
        """As they were left."""
        async with self._database.read() as connection:
            return _kept(await _border_rows(connection))

    async def change(self, decide: Callable[[Borders], Borders], *, at_s: float) -> KeptBorders:
        """Make them what `decide` answers, given what they are. Who changes them at the same time
        waits. What `decide` raises changes nothing."""
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_BORDERS_LOCK)))
            had = await _border_rows(connection)
            kept = _kept(had)
            after = KeptBorders(revision=kept.revision + 1, borders=decide(kept.borders))
            has = border_rows.rows(after.borders)
            gone = [key for key in had if key != _REVISION and key not in has]
            new = [key for key in has if had.get(key) != has[key]]
            for kind, name in (*gone, *new, _REVISION):
                ours = (borders.c.kind == kind) & (borders.c.name == name)
                await connection.execute(sa.delete(borders).where(ours))
            told = {**{key: has[key] for key in new}, _REVISION: {"number": after.revision}}
            rows = [{"kind": k, "name": n, "document": d} for (k, n), d in told.items()]
            await connection.execute(sa.insert(borders), rows)
            for kind, name in (*gone, *new):
                body = {"what": "removed" if (kind, name) in gone else "set", "of": kind}
                await journal.record(connection, at_s=at_s, kind="border", subject=name, body=body)
        return after


async def _border_rows(connection: AsyncConnection) -> dict[tuple[str, str], Any]:
    rows = (await connection.execute(sa.select(borders))).mappings()
    return {(row["kind"], row["name"]): row["document"] for row in rows}


def _kept(rows: dict[tuple[str, str], Any]) -> KeptBorders:
    number = rows.get(_REVISION, {"number": 0})["number"]
    rest = {key: document for key, document in rows.items() if key != _REVISION}
    return KeptBorders(revision=number, borders=border_rows.borders(rest))
