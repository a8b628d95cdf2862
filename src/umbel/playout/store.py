"""Files of providers and playouts of events as rows."""

import base64
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.playout.model import (
    MOST_FILES,
    MOST_UPLOADING,
    File,
    FileFacts,
    FileInUse,
    FileState,
    NoFilePicture,
    NoPlayout,
    NoSuchFile,
    Playout,
    PlayoutState,
    TooManyFiles,
)

files = sa.Table(
    "provider_files",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
    sa.Index("ix_provider_files_provider_id", "provider_id", "created_s"),
    sa.Index("ix_provider_files_state", "state"),
)
pictures = sa.Table(
    "provider_file_pictures",
    metadata,
    sa.Column("file_id", sa.String(64), primary_key=True),
    # Base64: both databases and their drivers have the same text.
    sa.Column("jpeg", sa.Text, nullable=False),
)
playouts = sa.Table(
    "playouts",
    metadata,
    sa.Column("event_id", sa.String(64), primary_key=True),
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("file_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("on_schedule", sa.Boolean, nullable=False),
    sa.Column("loop", sa.Boolean, nullable=False),
    sa.Column("ends_event", sa.Boolean, nullable=False),
    sa.Column("position_s", sa.Float, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
    sa.Index("ix_playouts_file_id", "file_id"),
    sa.Index("ix_playouts_state", "state"),
)

_LOCK = 0x706C6179
_F, _O = files.c, playouts.c
_FILE_CHANGES = ["state", "facts", "problem", "tries", "changed_s"]
_PLAYOUT_CHANGES = [
    *("file_id", "state", "on_schedule", "loop", "ends_event", "position_s", "problem"),
    *("version", "changed_s"),
]
_OVER = [sa.literal(PlayoutState.ENDED.value), sa.literal(PlayoutState.FAILED.value)]


def _file(*, state: str, facts: dict[str, Any], **row: Any) -> File:
    return File(state=FileState(state), facts=FileFacts(**facts), **row)


def _playout(*, state: str, **row: Any) -> Playout:
    return Playout(state=PlayoutState(state), **row)


_GET = Query(sa.select(files).where(_F.id == given("of")), _file)
_LOCKED = Query(sa.select(files).where(_F.id == given("of")).with_for_update(), _file)
_OF_PROVIDER = Query(
    sa.select(files).where(_F.provider_id == given("of")).order_by(_F.created_s.desc(), _F.id),
    _file,
)
_IN_STATE = Query(
    sa.select(files).where(_F.state == given("wanted")).order_by(_F.changed_s).limit(given("most")),
    _file,
)
_COUNT = Scalar(sa.select(sa.func.count()).where(_F.provider_id == given("of")), int)
_UPLOADING = Scalar(
    sa.select(sa.func.count()).where(
        (_F.provider_id == given("of")) & (_F.state == sa.literal(FileState.UPLOADING.value))
    ),
    int,
)
_ADD = Command(sa.insert(files))
_CHANGE = Command(sa.update(files).where(_F.id == given("of")), _FILE_CHANGES)
_DELETE = Command(sa.delete(files).where(_F.id == given("of")))
_PICTURE = Scalar(sa.select(pictures.c.jpeg).where(pictures.c.file_id == given("of")), str)
_ADD_PICTURE = Command(sa.insert(pictures))
_DROP_PICTURE = Command(sa.delete(pictures).where(pictures.c.file_id == given("of")))
_GET_PLAYOUT = Query(sa.select(playouts).where(_O.event_id == given("of")), _playout)
_LOCKED_PLAYOUT = Query(
    sa.select(playouts).where(_O.event_id == given("of")).with_for_update(), _playout
)
_ADD_PLAYOUT = Command(sa.insert(playouts))
_CHANGE_PLAYOUT = Command(sa.update(playouts).where(_O.event_id == given("of")), _PLAYOUT_CHANGES)
_DROP_PLAYOUT = Command(sa.delete(playouts).where(_O.event_id == given("of")))
_PLAYOUTS_IN = Query(
    sa.select(playouts).where(_O.state == given("wanted")).order_by(_O.event_id), _playout
)
_USED = Scalar(
    sa.select(_O.event_id).where((_O.file_id == given("of")) & _O.state.not_in(_OVER)).limit(1), str
)


class FileStore:
    """The queries of files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: File) -> None:
        """A file comes. Raises TooManyFiles."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            if (connection.scalar(_COUNT, of=new.provider_id) or 0) >= MOST_FILES:
                raise TooManyFiles(f"There are {MOST_FILES} files, as many as a provider may have")
            if (connection.scalar(_UPLOADING, of=new.provider_id) or 0) >= MOST_UPLOADING:
                message = f"There are {MOST_UPLOADING} uploads that are not complete: delete some"
                raise TooManyFiles(message)
            connection.run(_ADD, **_file_row(new))

        await self._database.write(add)

    async def get(self, file_id: str) -> File:
        """That file. Raises NoSuchFile."""
        return await self._database.read(_known, _GET, file_id)

    async def of_provider(self, provider_id: str) -> list[File]:
        """The provider's files, the newest first."""
        return await self._database.read(lambda c: c.all(_OF_PROVIDER, of=provider_id))

    async def in_state(self, state: FileState, most: int = 1_000) -> list[File]:
        """Files in this state, those first that changed longest ago."""
        return await self._database.read(lambda c: c.all(_IN_STATE, wanted=state.value, most=most))

    async def change(
        self, file_id: str, change: Callable[[File], File], jpeg: bytes | None = None
    ) -> File:
        """The file is what `change` makes of it, with this picture where there is one. Raises
        NoSuchFile and what that raises."""

        def changed(connection: Connection) -> File:
            after = change(_known(connection, _LOCKED, file_id))
            row = _file_row(after)
            connection.run(_CHANGE, of=file_id, **{name: row[name] for name in _FILE_CHANGES})
            if jpeg is not None:
                connection.run(_DROP_PICTURE, of=file_id)
                text = base64.b64encode(jpeg).decode()
                connection.run(_ADD_PICTURE, file_id=file_id, jpeg=text)
            return after

        return await self._database.write(changed)

    async def picture(self, file_id: str) -> bytes:
        """The file's picture, a JPEG. Raises NoFilePicture."""
        found = await self._database.read(lambda c: c.scalar(_PICTURE, of=file_id))
        if found is None:
            raise NoFilePicture
        return base64.b64decode(found)

    async def delete(self, file_id: str) -> None:
        """The file goes. Raises NoSuchFile, FileInUse."""

        def delete(connection: Connection) -> None:
            _known(connection, _LOCKED, file_id)
            used = connection.scalar(_USED, of=file_id)
            if used is not None:
                raise FileInUse(event=used)
            connection.run(_DROP_PICTURE, of=file_id)
            connection.run(_DELETE, of=file_id)

        await self._database.write(delete)


class PlayoutStore:
    """The queries of playouts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, event_id: str) -> Playout:
        """The event's. Raises NoPlayout."""
        found = await self._database.read(lambda c: c.first(_GET_PLAYOUT, of=event_id))
        if found is None:
            raise NoPlayout(event=event_id)
        return found

    async def in_state(self, state: PlayoutState) -> list[Playout]:
        """All in this state."""
        return await self._database.read(lambda c: c.all(_PLAYOUTS_IN, wanted=state.value))

    async def put(self, event_id: str, make: Callable[[Playout | None], Playout]) -> Playout:
        """The event's playout is what `make` makes of the one before; its file stays as long.
        Raises NoSuchFile and what that raises."""

        def put(connection: Connection) -> Playout:
            before = connection.first(_LOCKED_PLAYOUT, of=event_id)
            after = make(before)
            _known(connection, _LOCKED, after.file_id)
            row = {**vars(after), "state": after.state.value}
            if before is None:
                connection.run(_ADD_PLAYOUT, **row)
            else:
                _set(connection, after)
            return after

        return await self._database.write(put)

    async def change(self, event_id: str, change: Callable[[Playout], Playout]) -> Playout:
        """The event's playout is what `change` makes of it. Raises NoPlayout and what that
        raises."""

        def changed(connection: Connection) -> Playout:
            before = connection.first(_LOCKED_PLAYOUT, of=event_id)
            if before is None:
                raise NoPlayout(event=event_id)
            after = change(before)
            if after != before:
                _set(connection, after)
            return after

        return await self._database.write(changed)

    async def delete(self, event_id: str) -> None:
        """The event streams no file. Not an error if it did not."""
        await self._database.write(lambda c: c.run(_DROP_PLAYOUT, of=event_id))


def _known(connection: Connection, query: Query[File], file_id: str) -> File:
    found = connection.first(query, of=file_id)
    if found is None:
        raise NoSuchFile(file=file_id)
    return found


def _file_row(of: File) -> dict[str, Any]:
    return {**vars(of), "state": of.state.value, "facts": asdict(of.facts)}


def _set(connection: Connection, playout: Playout) -> None:
    row = {**vars(playout), "state": playout.state.value}
    values = {name: row[name] for name in _PLAYOUT_CHANGES}
    connection.run(_CHANGE_PLAYOUT, of=playout.event_id, **values)
