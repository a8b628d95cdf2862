"""Drawings, paths and in-line functions as rows: a restart asks the fabric for them again."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound
from umbel.kit.sql import Command, Connection, Query, given
from umbel.network.operator.model import InlineFunction, PathRequest
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Path, Receiver, Stream, StreamIntent
from umbel.network.switching.port_map import Side

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


class NoSuchPath(NotFound):
    """No path has that id."""

    code = "umbel.no_such_network_path"


def _path_request(*, id: str, at_s: float, document: Mapping[str, Any]) -> PathRequest:  # noqa: A002
    receiver = document["receiver"]
    if receiver is not None:
        fields = {key: value for key, value in receiver.items() if key != "door"}
        receiver = Receiver(side=Side(receiver["door"]), **fields)
    stream, sender = Stream(**document["stream"]), Side(document["sender"])
    intent = StreamIntent(stream=stream, root=document["root"], sender=sender)
    path = Path(leaf=document["leaf"], receiver=receiver)
    is_found = document.get("found", False)
    return PathRequest(id=id, at_s=at_s, intent=intent, path=path, is_found=is_found)


def _drawing(*, document: Mapping[str, Any]) -> Drawing:
    roles = {name: Role(role) for name, role in document["roles"]}
    return Drawing(roles=roles, links=tuple((a, b) for a, b in document["links"]))


_ID = given("id_")
_DRAWING = Query(sa.select(drawn.c.document), _drawing)
_DRAW = Command(sa.insert(drawn))
_CLEAR = Command(sa.delete(drawn))
_PATHS = Query(sa.select(asked_paths).order_by(asked_paths.c.at_s, asked_paths.c.id), _path_request)
_PATH = Query(sa.select(asked_paths).where(asked_paths.c.id == _ID), _path_request)
_ADD_PATH = Command(sa.insert(asked_paths))
_MOVE_PATH = Command(sa.update(asked_paths).where(asked_paths.c.id == _ID), ["document"])
_REMOVE_PATH = Command(sa.delete(asked_paths).where(asked_paths.c.id == _ID))
_GUESTS = Query(
    sa.select(_guests).order_by(_guests.c.name),
    lambda *, name, document: InlineFunction(name=name, **document),
)
_ADD_GUEST = Command(sa.insert(_guests))
_REMOVE_GUEST = Command(sa.delete(_guests).where(_guests.c.name == _ID))


class OperatorStore:
    """The queries of drawings, paths, and functions that streams meet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def drawing(self) -> Drawing | None:
        """What was drawn last; None when nothing was."""
        return await self._database.read(lambda c: c.first(_DRAWING))

    async def draw(self, drawing: Drawing, at_s: float) -> None:
        """Remember a drawing instead of the last one."""
        await self._database.write(_draw, drawing, at_s)

    async def redraw(self, change: Callable[[Drawing], Drawing], at_s: float) -> None:
        """Change what was drawn last; nothing when nothing was."""

        def redraw(connection: Connection) -> None:
            if (last := connection.first(_DRAWING)) is not None:
                _draw(connection, change(last), at_s)

        await self._database.write(redraw)

    async def paths(self) -> list[PathRequest]:
        """Every path, the oldest first."""
        return await self._database.read(lambda c: c.all(_PATHS))

    async def path(self, id_: str) -> PathRequest:
        """One of them. Raises NoSuchPath."""
        return await self._database.read(_the_path, id_)

    async def add(self, request: PathRequest) -> None:
        """Remember a path."""

        def add(connection: Connection) -> None:
            connection.run(_ADD_PATH, id=request.id, at_s=request.at_s, document=_document(request))
            _journal_path(connection, request, "added", request.at_s)

        await self._database.write(add)

    async def moved(self, request: PathRequest, at_s: float) -> None:
        """Remember where a path ends now. Raises NoSuchPath."""

        def move(connection: Connection) -> None:
            if not connection.run(_MOVE_PATH, id_=request.id, document=_document(request)):
                raise NoSuchPath(path=request.id)
            _journal_path(connection, request, "moved", at_s)

        await self._database.write(move)

    async def remove(self, id_: str, at_s: float) -> None:
        """Forget a path. Raises NoSuchPath."""

        def remove(connection: Connection) -> None:
            request = _the_path(connection, id_)
            if not connection.run(_REMOVE_PATH, id_=id_):
                raise NoSuchPath(path=id_)
            _journal_path(connection, request, "removed", at_s)

        await self._database.write(remove)

    async def functions(self) -> list[InlineFunction]:
        """List the in-line functions by name."""
        return await self._database.read(lambda c: c.all(_GUESTS))

    async def put_function(self, function: InlineFunction) -> None:
        """Remember a function instead of what had its name."""
        document = asdict(function)
        name = document.pop("name")

        def put(connection: Connection) -> None:
            connection.run(_REMOVE_GUEST, id_=name)
            connection.run(_ADD_GUEST, name=name, document=document)

        await self._database.write(put)

    async def remove_function(self, name: str) -> bool:
        """Forget a function. Answers whether there was one."""
        return bool(await self._database.write(lambda c: c.run(_REMOVE_GUEST, id_=name)))


def _draw(connection: Connection, drawing: Drawing, at_s: float) -> None:
    # A list: the order of nodes decides between links of equal weight.
    roles = [[name, role.value] for name, role in drawing.roles.items()]
    document = {"roles": roles, "links": [list(link) for link in drawing.links]}
    body = {"nodes": len(roles), "links": len(drawing.links)}
    connection.run(_CLEAR)
    connection.run(_DRAW, id=1, document=document)
    journal.record(connection, at_s=at_s, kind="drawing", subject="network", body=body)


def _the_path(connection: Connection, id_: str) -> PathRequest:
    found = connection.first(_PATH, id_=id_)
    if found is None:
        raise NoSuchPath(path=id_)
    return found


def _journal_path(connection: Connection, request: PathRequest, what: str, at_s: float) -> None:
    body = {"what": what, "stream": request.intent.stream.name, "leaf": request.path.leaf}
    journal.record(connection, at_s=at_s, kind="path", subject=request.id, body=body)


def _receiver_document(receiver: Receiver) -> Mapping[str, object]:
    """Its side has the key that the first schema gave it."""
    fields = asdict(receiver)
    side = fields.pop("side")
    return {**fields, "door": side}


def _document(request: PathRequest) -> Mapping[str, object]:
    stream = asdict(request.intent.stream)
    del stream["slice"]  # slices are requested separately
    return {
        "stream": stream,
        "root": request.intent.root,
        "sender": request.intent.sender.value,
        "leaf": request.path.leaf,
        "receiver": _receiver_document(request.path.receiver) if request.path.receiver else None,
        "found": request.is_found,
    }
