"""Drawings, paths and in-line functions as rows: a restart asks the fabric for them again."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound
from umbel.network.operator.model import AskedPath, Guest
from umbel.network.overlay.intent import Wish
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Path, Receiver, Stream
from umbel.network.switching.port_map import Door

drawn = sa.Table(
    "drawn",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.JSON, nullable=False),
)


asked_paths = sa.Table(
    "asked_paths",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)


_guests = sa.Table(
    "guests",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)


class UnknownPath(NotFound):
    """No path has that id."""

    code = "umbel.no_such_network_path"


class WishStore:
    """The queries of drawings, paths, and functions that streams meet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def drawing(self) -> Drawing | None:
        """What was drawn last; None when nothing was."""
        async with self._database.read() as connection:
            found: Any = await connection.scalar(sa.select(drawn.c.document))
        if found is None:
            return None
        roles = {name: Role(role) for name, role in found["roles"]}
        return Drawing(roles=roles, links=tuple((a, b) for a, b in found["links"]))

    async def draw(self, drawing: Drawing, at_s: float) -> None:
        """Remember a drawing instead of the last one."""
        # A list: the order of nodes decides between links of equal weight.
        roles = [[name, role.value] for name, role in drawing.roles.items()]
        document = {"roles": roles, "links": [list(link) for link in drawing.links]}
        async with self._database.write() as connection:
            await connection.execute(sa.delete(drawn))
            await connection.execute(sa.insert(drawn).values(id=1, document=document))
            body = {"nodes": len(roles), "links": len(drawing.links)}
            await journal.record(
                connection, at_s=at_s, kind="drawing", subject="network", body=body
            )

    async def paths(self) -> list[AskedPath]:
        """Every path, the oldest first."""
        order = (asked_paths.c.at_s, asked_paths.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(asked_paths).order_by(*order))).mappings()
            return [_asked(row) for row in rows]

    async def path(self, id_: str) -> AskedPath:
        """One of them. Raises UnknownPath."""
        query = sa.select(asked_paths).where(asked_paths.c.id == id_)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise UnknownPath(path=id_)
        return _asked(row)

    async def add(self, asked: AskedPath) -> None:
        """Remember a path."""
        row = {"id": asked.id, "at_s": asked.at_s, "document": _document(asked)}
        async with self._database.write() as connection:
            await connection.execute(sa.insert(asked_paths).values(row))
            await _journal_path(connection, asked, "added", asked.at_s)

    async def moved(self, asked: AskedPath, at_s: float) -> None:
        """Remember where a path ends now. Raises UnknownPath."""
        theirs = asked_paths.c.id == asked.id
        async with self._database.write() as connection:
            update = sa.update(asked_paths).where(theirs).values(document=_document(asked))
            if not (await connection.execute(update)).rowcount:
                raise UnknownPath(path=asked.id)
            await _journal_path(connection, asked, "moved", at_s)

    async def remove(self, id_: str, at_s: float) -> None:
        """Forget a path. Raises UnknownPath."""
        asked = await self.path(id_)
        async with self._database.write() as connection:
            delete = sa.delete(asked_paths).where(asked_paths.c.id == id_)
            if not (await connection.execute(delete)).rowcount:
                raise UnknownPath(path=id_)
            await _journal_path(connection, asked, "removed", at_s)

    async def guests(self) -> list[Guest]:
        """Every function that streams are to meet, by name."""
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(_guests).order_by(_guests.c.name))
            return [Guest(name=row["name"], **row["document"]) for row in rows.mappings()]

    async def put_guest(self, guest: Guest) -> None:
        """Remember a function instead of what had its name."""
        document = asdict(guest)
        name = document.pop("name")
        async with self._database.write() as connection:
            await connection.execute(sa.delete(_guests).where(_guests.c.name == name))
            await connection.execute(sa.insert(_guests).values(name=name, document=document))

    async def remove_guest(self, name: str) -> bool:
        """Forget a function. Answers whether there was one."""
        async with self._database.write() as connection:
            gone = await connection.execute(sa.delete(_guests).where(_guests.c.name == name))
            return bool(gone.rowcount)


async def _journal_path(
    connection: AsyncConnection, asked: AskedPath, what: str, at_s: float
) -> None:
    body = {"what": what, "stream": asked.wish.stream.name, "leaf": asked.path.leaf}
    await journal.record(connection, at_s=at_s, kind="path", subject=asked.id, body=body)


def _document(asked: AskedPath) -> Mapping[str, object]:
    stream = asdict(asked.wish.stream)
    del stream["slice"]  # slices are asked for by themselves
    return {
        "stream": stream,
        "root": asked.wish.root,
        "sender": asked.wish.sender.value,
        "leaf": asked.path.leaf,
        "receiver": asdict(asked.path.receiver) if asked.path.receiver else None,
    }


def _asked(row: sa.RowMapping) -> AskedPath:
    told: Any = row["document"]
    receiver = told["receiver"]
    if receiver is not None:
        receiver = Receiver(**{**receiver, "door": Door(receiver["door"])})
    wish = Wish(stream=Stream(**told["stream"]), root=told["root"], sender=Door(told["sender"]))
    path = Path(leaf=told["leaf"], receiver=receiver)
    return AskedPath(id=row["id"], at_s=row["at_s"], wish=wish, path=path)
