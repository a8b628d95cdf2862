"""Items, their parts and their metadata as rows.

A part's row is written before its bytes and forgotten after they are gone: no bytes are lost from
sight. A row is `writing` until all bytes are safe, then `complete`, and `dropped` when the bytes
are to be removed.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from umbel.kit.db import Database, VersionMismatch, metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.repository.model import (
    ITEM_LIFE,
    MOST_PARTS,
    MOST_UPLOADS,
    Content,
    Item,
    ItemEvent,
    ItemState,
    NoSuchItem,
    Part,
    RepositoryQuotaReached,
    TooManyItems,
    TooManyParts,
    TooManyUploads,
    UploadEnded,
    UploadOffset,
    Usage,
)

items = sa.Table(
    "repository_items",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("content_type", sa.String(128), nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
    sa.Column("expires_s", sa.Float, nullable=True),
    sa.Index("ix_repository_items_owner", "owner", "id"),
    sa.Index("ix_repository_items_expires_s", "expires_s"),
)
parts = sa.Table(
    "repository_parts",
    metadata,
    sa.Column("blob", sa.String(64), primary_key=True),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("touched_s", sa.Float, nullable=False),
    sa.Column("checked_s", sa.Float, nullable=False),
    sa.Index("ix_repository_parts_item", "item", "number"),
    sa.Index("ix_repository_parts_owner", "owner"),
    sa.Index("ix_repository_parts_state", "state", "checked_s"),
)
entries = sa.Table(
    "repository_metadata",
    metadata,
    sa.Column("item", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    # Values are too long for an index; an index of their digests does as well for equality.
    sa.Column("value_hash", sa.String(64), nullable=False),
    sa.Index("ix_repository_metadata_key", "key", "value_hash"),
)

WRITING, COMPLETE, DROPPED = "writing", "complete", "dropped"
_LOCK = 0x7265706F
_I, _P, _E = items.c, parts.c, entries.c
_CHANGING = [
    *("state", "size", "sha256", "content_type", "metadata", "problem", "version", "changed_s"),
    "expires_s",
]


def _item(*, state: str, **row: Any) -> Item:
    return Item(state=ItemState(state), **row)


_GET = Query(sa.select(items).where(_I.id == given("item_id")).with_for_update(), _item)
_READ = Query(sa.select(items).where(_I.id == given("item_id")), _item)
_ADD = Command(sa.insert(items))
_SET = Command(sa.update(items).where(_I.id == given("item_id")), _CHANGING)
_DELETE = Command(sa.delete(items).where(_I.id == given("item_id")))
_COUNT = Scalar(sa.select(sa.func.count()).where(_I.owner == given("of")), int)
PART = [_P.blob, _P.item, _P.number, _P.size, _P.sha256]
IS_COMPLETE = _P.state == sa.literal(COMPLETE)
_PARTS = Query(
    sa.select(*PART).where((_P.item == given("of")) & IS_COMPLETE).order_by(_P.number), Part
)
_ADD_PART = Command(sa.insert(parts))
_THIS_WRITING = (_P.blob == given("named")) & (_P.state == sa.literal(WRITING))
_TOUCH = Command(sa.update(parts).where(_THIS_WRITING), ["size", "touched_s"])
_COMPLETE = Command(
    sa.update(parts).where(_THIS_WRITING),
    ["number", "size", "sha256", "state", "touched_s", "checked_s"],
)
_DROP = Command(sa.update(parts).where(_THIS_WRITING), ["state"])
_STATE = Scalar(sa.select(_P.state).where(_P.blob == given("named")), str)
_DROP_OLD = Command(sa.update(parts).where((_P.item == given("of")) & IS_COMPLETE), ["state"])
_DROP_PART = Command(sa.update(parts).where((_P.blob == given("named")) & IS_COMPLETE), ["state"])
_DROP_ALL = Command(sa.update(parts).where(_P.item == given("of")), ["state"])
_FORGET = Command(
    sa.delete(parts).where((_P.blob == given("named")) & (_P.state == sa.literal(DROPPED)))
)
_USED = Scalar(
    sa.select(
        sa.cast(sa.func.coalesce(sa.func.sum(_P.size), 0), sa.BigInteger).label("used")
    ).where((_P.owner == given("of")) & (_P.state != sa.literal(DROPPED))),
    int,
)
_UPLOADS = Scalar(
    sa.select(sa.func.count()).where((_P.owner == given("of")) & (_P.state == sa.literal(WRITING))),
    int,
)
_ADD_ENTRY = Command(sa.insert(entries))
_DROP_ENTRIES = Command(sa.delete(entries).where(_E.item == given("of")))


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What one owner may have."""

    items: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Written:
    """All bytes of a part, which the storage has. `version` is the item's that the upload was for;
    `offset` is where they follow the item's, None where they replace them; `joined` is the blob of
    the item's last part, where the part begins with its bytes."""

    blob: str
    item: str
    version: int
    offset: int | None
    joined: str = ""
    size: int
    sha256: str
    content_type: str


class RepositoryStore:
    """The queries of items."""

    def __init__(self, database: Database, quota: Quota) -> None:
        self._database = database
        self.quota = quota

    async def add(self, item: Item) -> None:
        """An item comes. Raises TooManyItems."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            if (connection.scalar(_COUNT, of=item.owner) or 0) >= self.quota.items:
                raise TooManyItems(f"{item.owner} has {self.quota.items} items, as many as it may")
            connection.run(_ADD, **{**vars(item), "state": item.state.value})
            _index(connection, item)

        await self._database.write(add)

    async def get(self, item_id: str) -> Item:
        """One item, also an expired one. Raises NoSuchItem."""
        return await self._database.read(_known, _READ, item_id)

    async def content(self, item_id: str) -> Content:
        """One item with its parts. Raises NoSuchItem."""

        def content(connection: Connection) -> Content:
            item = _known(connection, _READ, item_id)
            return Content(item=item, parts=tuple(connection.all(_PARTS, of=item_id)))

        return await self._database.read(content)

    async def change(self, item_id: str, change: Callable[[Item], Item]) -> Item:
        """The item is what `change` makes of it. Raises NoSuchItem and what that raises."""

        def changed(connection: Connection) -> Item:
            before = _known(connection, _GET, item_id)
            after = change(before)
            if after is not before:
                _set(connection, after)
            if after.metadata != before.metadata:
                connection.run(_DROP_ENTRIES, of=item_id)
                _index(connection, after)
            return after

        return await self._database.write(changed)

    async def delete(self, item_id: str) -> list[str]:
        """The item goes; its blobs are to be removed, and forgotten then. Raises NoSuchItem."""

        def delete(connection: Connection) -> list[str]:
            _known(connection, _GET, item_id)
            blobs = [one.blob for one in connection.all(_PARTS, of=item_id)]
            connection.run(_DROP_ALL, of=item_id, state=DROPPED)
            connection.run(_DROP_ENTRIES, of=item_id)
            connection.run(_DELETE, item_id=item_id)
            return blobs

        return await self._database.write(delete)

    async def usage(self, owner: str) -> Usage:
        """What the owner's items and uploads take."""

        def usage(connection: Connection) -> Usage:
            return Usage(
                items=connection.scalar(_COUNT, of=owner) or 0,
                bytes=(connection.scalar(_USED, of=owner) or 0),
                quota_bytes=self.quota.bytes,
            )

        return await self._database.read(usage)

    # -- uploads ----------------------------------------------------------------------------

    async def begin(self, item_id: str, blob: str, now_s: float) -> tuple[Item, int]:
        """An upload to the item begins: the item, and how many bytes it may take. Raises
        NoSuchItem, TooManyUploads, RepositoryQuotaReached."""

        def begin(connection: Connection) -> tuple[Item, int]:
            connection.lock(_LOCK)
            item = _known(connection, _GET, item_id)
            if (connection.scalar(_UPLOADS, of=item.owner) or 0) >= MOST_UPLOADS:
                raise TooManyUploads(f"{item.owner} has {MOST_UPLOADS} uploads under way")
            room = self._room(connection, item.owner)
            connection.run(
                _ADD_PART,
                blob=blob,
                item=item_id,
                owner=item.owner,
                number=0,
                size=0,
                sha256="",
                state=WRITING,
                touched_s=now_s,
                checked_s=now_s,
            )
            return item, room

        return await self._database.write(begin)

    async def touch(self, blob: str, owner: str, size: int, now_s: float) -> int:
        """The upload goes on and has so many bytes: how many it may still take. Raises UploadEnded,
        RepositoryQuotaReached."""

        def touch(connection: Connection) -> int:
            if not connection.run(_TOUCH, named=blob, size=size, touched_s=now_s):
                raise UploadEnded
            return self._room(connection, owner, least=0)

        return await self._database.write(touch)

    async def complete(self, done: Written, now_s: float) -> tuple[Item, list[str]]:
        """The part belongs to the item: the item, and the blobs that it replaces. Raises
        NoSuchItem, UploadEnded, VersionMismatch, UploadOffset, TooManyParts,
        RepositoryQuotaReached."""

        def complete(connection: Connection) -> tuple[Item, list[str]]:
            connection.lock(_LOCK)
            item = _known(connection, _GET, done.item)
            if item.version != done.version:
                raise VersionMismatch(f"{item.id} was changed while its bytes came", item=item.id)
            before = connection.all(_PARTS, of=item.id)
            if done.offset is None:
                connection.run(_DROP_OLD, of=item.id, state=DROPPED)
            elif done.offset != item.size:
                raise UploadOffset(f"{item.id} has {item.size} bytes", size=item.size)
            kept = [] if done.offset is None else [p for p in before if p.blob != done.joined]
            if done.offset is not None and len(kept) < len(before):
                connection.run(_DROP_PART, named=done.joined, state=DROPPED)
            if len(kept) >= MOST_PARTS:
                raise TooManyParts(item=item.id)
            is_there = connection.run(
                _COMPLETE,
                named=done.blob,
                number=len(kept),
                size=done.size,
                sha256=done.sha256,
                state=COMPLETE,
                touched_s=now_s,
                checked_s=now_s,
            )
            if not is_there:
                raise UploadEnded
            self._room(connection, item.owner, least=0)
            after = Item(
                **{
                    **vars(item),
                    "state": ITEM_LIFE.next(item.state, ItemEvent.WRITE),
                    "size": sum(one.size for one in kept) + done.size,
                    "sha256": "" if kept else done.sha256,
                    "content_type": done.content_type or item.content_type,
                    "problem": "",
                    "version": item.version + 1,
                    "changed_s": now_s,
                }
            )
            _set(connection, after)
            return after, [one.blob for one in before if one not in kept]

        return await self._database.write(complete)

    async def drop(self, blob: str) -> bool:
        """The upload's bytes are to be removed. False where it was completed after all, which a
        caller that was cancelled does not know."""

        def drop(connection: Connection) -> bool:
            connection.run(_DROP, named=blob, state=DROPPED)
            return connection.scalar(_STATE, named=blob) != COMPLETE

        return await self._database.write(drop)

    async def forget(self, blob: str) -> None:
        """The dropped blob's bytes are gone."""
        await self._database.write(lambda c: c.run(_FORGET, named=blob))

    # -- inside -----------------------------------------------------------------------------

    def _room(self, connection: Connection, owner: str, least: int = 1) -> int:
        """The bytes that the owner may still take. Raises RepositoryQuotaReached below `least`."""
        room = self.quota.bytes - (connection.scalar(_USED, of=owner) or 0)
        if room < least:
            message = f"{owner} has the {self.quota.bytes} bytes that it may have: delete items"
            raise RepositoryQuotaReached(message, owner=owner, quota_bytes=self.quota.bytes)
        return room


def _known(connection: Connection, query: Query[Item], item_id: str) -> Item:
    found = connection.first(query, item_id=item_id)
    if found is None:
        raise NoSuchItem(f"There is no item {item_id}", item=item_id)
    return found


def _set(connection: Connection, item: Item) -> None:
    values = {name: getattr(item, name) for name in _CHANGING}
    connection.run(_SET, item_id=item.id, **{**values, "state": item.state.value})


def _index(connection: Connection, item: Item) -> None:
    connection.run_many(
        _ADD_ENTRY,
        [
            {"item": item.id, "key": key, "value_hash": digest(value)}
            for key, value in item.metadata.items()
        ],
    )


def digest(value: str) -> str:
    """What stands for a value in the index of metadata."""
    return hashlib.sha256(value.encode()).hexdigest()
