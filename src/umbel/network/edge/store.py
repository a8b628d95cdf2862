"""Gates, sign-ins, virtual services and bindings as rows: a restart opens and closes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, given
from umbel.network.edge import rows as border_rows
from umbel.network.edge.compiler import EdgeState

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
class StoredEdge:
    """The borders, and how often they were changed."""

    revision: int
    edge: EdgeState


_ROWS = Query(
    sa.select(borders),
    lambda *, kind, name, document: ((str(kind), str(name)), document),
)
_THAT_ROW = (borders.c.kind == given("of")) & (borders.c.name == given("called"))
_DROP_ROW = Command(sa.delete(borders).where(_THAT_ROW))
_ADD_ROW = Command(sa.insert(borders))


class EdgeStore:
    """The queries of borders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> StoredEdge:
        """As they were left."""
        return _kept(dict(await self._database.read(lambda c: c.all(_ROWS))))

    async def change(self, decide: Callable[[EdgeState], EdgeState], *, at_s: float) -> StoredEdge:
        """Make them what `decide` answers, given what they are. Who changes them at the same time
        waits. What `decide` raises changes nothing. It is called on a database thread."""

        def change(connection: Connection) -> StoredEdge:
            connection.lock(_BORDERS_LOCK)
            had = dict(connection.all(_ROWS))
            kept = _kept(had)
            after = StoredEdge(revision=kept.revision + 1, edge=decide(kept.edge))
            _write_rows(connection, had, after, at_s)
            return after

        return await self._database.write(change)


_Rows = dict[tuple[str, str], Any]


def _write_rows(connection: Connection, had: _Rows, after: StoredEdge, at_s: float) -> None:
    has = border_rows.rows(after.edge)
    gone = [key for key in had if key != _REVISION and key not in has]
    new = [key for key in has if had.get(key) != has[key]]
    for kind, name in (*gone, *new, _REVISION):
        connection.run(_DROP_ROW, of=kind, called=name)
    told = {**{key: has[key] for key in new}, _REVISION: {"number": after.revision}}
    for (kind, name), document in told.items():
        connection.run(_ADD_ROW, kind=kind, name=name, document=document)
    for kind, name in (*gone, *new):
        body = {"what": "removed" if (kind, name) in gone else "set", "of": kind}
        journal.record(connection, at_s=at_s, kind="border", subject=name, body=body)


def _kept(rows: _Rows) -> StoredEdge:
    number = rows.get(_REVISION, {"number": 0})["number"]
    rest = {key: document for key, document in rows.items() if key != _REVISION}
    return StoredEdge(revision=number, edge=border_rows.edge(rest))
