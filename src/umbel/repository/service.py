"""The repository's one service: items come, get bytes, are read, found, and go.

In: items, chunks, searches. Out: items and pieces of bytes. Rows are in the database, bytes at a
storage; upkeep/ keeps both in order. Neighbours: the portal's REST, and what records.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.db import VersionMismatch
from umbel.kit.ids import new_id
from umbel.repository import reading
from umbel.repository.model import (
    MOST_FOUND,
    Content,
    Item,
    ItemDamaged,
    ItemEmpty,
    ItemState,
    NoSuchItem,
    TooManyFound,
    Usage,
    check_metadata,
)
from umbel.repository.patterns import Patterns
from umbel.repository.ports import Storage
from umbel.repository.searches.store import Found, SearchStore
from umbel.repository.store import RepositoryStore
from umbel.repository.transfers.service import Transfers
from umbel.repository.upkeep.service import Upkeep
from umbel.repository.uploads import Source, Uploads

__all__ = ["Repository", "Source"]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The items of all owners. Methods with an item's id raise NoSuchItem, also of an expired
    one."""

    store: RepositoryStore
    searches: SearchStore
    storage: Storage
    transfers: Transfers
    uploads: Uploads
    upkeep: Upkeep
    clock: Clock

    async def create(
        self, owner: str, metadata: Mapping[str, str], *, expires_in_s: float | None = None
    ) -> Item:
        """An empty item, which is deleted after that time. Raises BadMetadata, TooManyItems."""
        check_metadata(metadata)
        now_s = self.clock.now_s()
        item = Item(
            id=new_id("item"),
            owner=owner,
            metadata=dict(metadata),
            created_s=now_s,
            changed_s=now_s,
            expires_s=None if expires_in_s is None else now_s + expires_in_s,
        )
        await self.store.add(item)
        log.info("item created", item=item.id, owner=owner)
        return item

    async def get(self, item_id: str) -> Item:
        """One item."""
        return self._alive(await self.store.get(item_id))

    async def delete(self, item_id: str) -> None:
        """The item goes with its bytes."""
        await self.get(item_id)
        await self.transfers.store.drop(item_id)
        await self.upkeep.delete(item_id)
        log.info("item deleted", item=item_id)

    async def set_metadata(
        self, item_id: str, metadata: Mapping[str, str], *, version: int | None = None
    ) -> Item:
        """The item has exactly these metadata. Raises BadMetadata, and VersionMismatch where it no
        longer has that version."""
        check_metadata(metadata)

        def change(item: Item) -> Item:
            self._alive(item)
            if version not in {None, item.version}:
                raise VersionMismatch(f"{item_id} changed since it was read", item=item_id)
            return replace(
                item,
                metadata=dict(metadata),
                version=item.version + 1,
                changed_s=self.clock.now_s(),
            )

        return await self.store.change(item_id, change)

    async def usage(self, owner: str) -> Usage:
        """What the owner's items take."""
        return await self.store.usage(owner)

    # -- bytes ------------------------------------------------------------------------------

    async def write(self, item_id: str, source: Source) -> Item:
        """The item has these bytes, or these in addition. Raises what `Uploads.write` raises."""
        await self.get(item_id)
        return await self.uploads.write(item_id, source)

    async def content(self, item_id: str) -> Content:
        """The item as it is to be read. Raises ItemEmpty, ItemDamaged."""
        content = await self.store.content(item_id)
        item = self._alive(content.item)
        if item.state is ItemState.EMPTY:
            raise ItemEmpty(f"Nothing was uploaded to {item_id} yet", item=item_id)
        if item.state is ItemState.DAMAGED:
            raise ItemDamaged(f"{item_id}: {item.problem}", item=item_id)
        return content

    async def read(
        self, content: Content, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` up to, not including, `end`, in pieces. Raises ItemDamaged,
        StorageFailed, also after some pieces."""
        last = content.item.size if end is None else min(end, content.item.size)
        try:
            async with aclosing(reading.read(self.storage, content.parts, start, last)) as taken:
                async for piece in taken:
                    yield piece
        except ItemDamaged as error:
            await self.upkeep.damaged(content.item, error.message)
            raise

    # -- searches ---------------------------------------------------------------------------

    async def find(self, wanted: Mapping[str, str], *, owner: str | None) -> list[str]:
        """Ids of the owner's items, of all owners' where it is None, whose metadata have exactly
        these values, by id. Raises BadMetadata, TooManyFound."""
        check_metadata(wanted)
        found = await self.searches.find(owner, wanted, self.clock.now_s(), MOST_FOUND + 1)
        return _bounded(found)

    async def find_regex(self, patterns: Mapping[str, str], *, owner: str | None) -> list[str]:
        """The same, where each pattern is found anywhere in its value. Raises BadPattern,
        TooManyFound."""
        compiled = await asyncio.to_thread(Patterns, patterns)
        found: list[str] = []
        after, now_s = "", self.clock.now_s()
        while page := await self.searches.page(owner, compiled.keys, now_s, after):
            after = page[-1].id
            matches = await asyncio.to_thread(_matches, compiled, page)
            found = _bounded([*found, *matches])
        return found

    # -- the loop ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the repository in order, until cancelled."""
        await self.upkeep.run()

    async def close(self) -> None:
        """Let go of the storage."""
        await self.storage.close()

    def _alive(self, item: Item) -> Item:
        if item.expires_s is not None and item.expires_s <= self.clock.now_s():
            raise NoSuchItem(f"The item {item.id} has expired", item=item.id)
        return item


def _matches(patterns: Patterns, page: Sequence[Found]) -> list[str]:
    return [one.id for one in page if patterns.match(one.metadata)]


def _bounded(found: list[str]) -> list[str]:
    if len(found) > MOST_FOUND:
        raise TooManyFound(f"More than {MOST_FOUND} items match: search for more metadata")
    return found
