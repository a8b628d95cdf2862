"""Slices and borders as rows, and what operators drew and asked for: what was promised outlives
the control plane. Switches and queues are made to follow from here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound
from umbel.network.edge import rows as border_rows
from umbel.network.edge.compiler import Borders
from umbel.network.overlay.intent import Wish
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Door, Path, Receiver, Stream
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

borders = sa.Table(
    "borders",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)

_guests = sa.Table(
    "guests",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)

_TURN_LOCK = 0x736C6963
_BORDERS_LOCK = 0x626F7264
_REVISION = ("revision", "")
Decision = Callable[[tuple[Granted, ...]], Sequence[Granted]]


class NoSuchSlice(NotFound):
    """No slice has that id."""

    code = "umbel.no_such_slice"


class UnknownPath(NotFound):
    """No path has that id."""

    code = "umbel.no_such_network_path"


@dataclass(frozen=True, kw_only=True)
class AskedPath:
    """A path that an operator asked for: of which stream (`wish` has no paths of its own), to
    where, and when (epoch seconds)."""

    id: str
    at_s: float
    wish: Wish
    path: Path


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A function that a stream is to meet, under a name of the operator's: a process at `node` with
    an `address`, or the platform's own `function`, wherever that runs. It takes the stream at
    `port` and sends it on to the stream's own address."""

    name: str
    stream: str
    port: int
    node: str = ""
    address: str = ""
    function: str = ""


@dataclass(frozen=True, kw_only=True)
class KeptBorders:
    """The borders, and how often they were changed."""

    revision: int
    borders: Borders


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
