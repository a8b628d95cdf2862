"""Upkeep: what makes rows and bytes agree again after crashes, and finds bytes that went bad.

In: rows, what the storage lists, the clock. Out: expired items deleted, half uploads and bytes
without rows removed, items without their bytes marked. One instance does it, under a lease.
"""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.repository import reading
from umbel.repository.model import (
    ITEM_LIFE,
    BlobMissing,
    Item,
    ItemDamaged,
    ItemEvent,
    ItemState,
    NoSuchItem,
    Part,
)
from umbel.repository.ports import ChecksMany, Repairs, Storage
from umbel.repository.store import RepositoryStore
from umbel.repository.upkeep.store import UpkeepStore

log = structlog.get_logger(__name__)

LEASE_S = 120.0
STALE_S = 600.0
"""After so long without a byte an upload is given up, and bytes without a row are removed."""
_EVERY_S = 30.0
_SCRUB_BYTES_PER_S = 50e6
_LOOP = "repository"
_PAGE = 500
_FEW = 16
"""So many bytes without rows are no sign of another database."""


@dataclass(kw_only=True)
class Upkeep:
    """Sweeps every `sweep_s` seconds, and checks each part's bytes every `scrub_s`."""

    store: RepositoryStore
    rows: UpkeepStore
    storage: Storage
    clock: Clock
    lease: Callable[[str], Awaitable[bool]]
    sweep_s: float = 3600.0
    scrub_s: float = 7 * 86400.0
    _swept_s: float = field(default=0.0, init=False)
    _scrub_from_s: float = field(default=0.0, init=False)
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile, lease=self.lease)

    async def run(self) -> None:
        """Until cancelled."""
        await self._controller.run(_LOOP)

    def sweep_soon(self) -> None:
        """A storage answers again: look at once for what it missed."""
        self._swept_s = 0.0
        if self._controller.keys():
            self._controller.wake(_LOOP)

    async def delete(self, item_id: str) -> None:
        """The item goes; its bytes go now, or with the next run where the storage fails. Raises
        NoSuchItem."""
        for blob in await self.store.delete(item_id):
            await self._remove(blob)

    async def damaged(self, item: Item, problem: str) -> None:
        """The item's bytes are lost or wrong: it is marked, unless it changed since."""

        def change(now: Item) -> Item:
            if now.version != item.version or now.state is not ItemState.STORED:
                return now
            state = ITEM_LIFE.next(now.state, ItemEvent.DAMAGE)
            return replace(now, state=state, problem=problem, version=now.version + 1)

        log.error("item damaged", item=item.id, owner=item.owner, problem=problem)
        try:
            await self.store.change(item.id, change)
        except NoSuchItem:
            pass  # deleted in the meantime

    async def expire(self) -> int:
        """Delete items whose time is over; how many."""
        count = 0
        while expired := await self.rows.expired(self.clock.now_s()):
            for item_id in expired:
                with suppress(NoSuchItem):  # deleted in the meantime
                    await self.delete(item_id)
            count += len(expired)
        return count

    async def clear(self) -> int:
        """Remove bytes that were dropped, and give up uploads of which no byte came for long; how
        many blobs went."""
        count = 0
        while blobs := await self.rows.dropped(self.clock.now_s() - STALE_S):
            gone = [await self._remove(blob) for blob in blobs]
            count += sum(gone)
            if not any(gone):
                break
        return count

    async def sweep(self) -> tuple[int, int]:
        """Remove bytes without a row, and mark items whose bytes are not there: how many of each.
        Where hardly any bytes have a row, the database may be another one: all are left alone."""
        before_s = self.clock.now_s() - STALE_S
        unknown, known, names = list[str](), 0, list[str]()
        async with aclosing(self.storage.list()) as kept:
            async for one in kept:
                if one.changed_s < before_s:
                    names.append(one.blob)
                if len(names) >= _PAGE:
                    found = await self.rows.unknown(names)
                    unknown, known = unknown + found, known + len(names) - len(found)
                    names = []
        found = await self.rows.unknown(names)
        unknown, known = unknown + found, known + len(names) - len(found)
        if unknown and (known == 0 or len(unknown) > max(known, _FEW)):
            log.error("bytes without rows left alone", unknown=len(unknown), known=known)
            unknown = []
        for blob in unknown:
            await self.storage.remove(blob)
        return len(unknown), await self._mark_lost()

    async def repair(self) -> int:
        """Make again what the storage found missing since the last run; how many shards."""
        if not isinstance(self.storage, Repairs):
            return 0
        count = 0
        for blob in self.storage.suspects():
            try:
                count += await self.storage.repair(blob)
            except UmbelError as error:
                log.warning("blob not repaired", blob=blob, reason=error.message)
        return count

    async def scrub(self) -> Part | None:
        """Check the part whose check is longest ago, and repair it where the storage can; None
        where none is due."""
        now_s = self.clock.now_s()
        part = await self.rows.unchecked(now_s - self.scrub_s)
        if part is None:
            return None
        await self.rows.checked(part.blob, now_s)
        try:
            if isinstance(self.storage, Repairs):
                await self.storage.repair(part.blob)
            await reading.verify(self.storage, part)
        except (BlobMissing, ItemDamaged) as error:
            await self._mark(part, error.message)
        else:
            await self._recover(part)
        return part

    # -- inside -----------------------------------------------------------------------------

    async def _reconcile(self, _key: str) -> float:
        now_s = self.clock.now_s()
        await self.expire()
        await self.clear()
        if now_s - self._swept_s >= self.sweep_s:
            orphans, lost = await self.sweep()
            self._swept_s = now_s
            if orphans or lost:
                log.warning("repository swept", orphans=orphans, lost=lost)
        await self.repair()
        part = await self.scrub() if now_s >= self._scrub_from_s else None
        if part is not None:
            self._scrub_from_s = now_s + part.size / _SCRUB_BYTES_PER_S
        rest_s = self._scrub_from_s - now_s
        return _EVERY_S if part is None else min(_EVERY_S, 0.1 + rest_s)

    async def _remove(self, blob: str) -> bool:
        try:
            await self.storage.remove(blob)
        except UmbelError as error:
            log.warning("blob not removed", blob=blob, reason=error.message)
            return False
        await self.store.forget(blob)
        return True

    async def _mark_lost(self) -> int:
        lost, after = 0, ""
        while page := await self.rows.parts_after(after):
            after = page[-1].blob
            gone = await self._lost({part.blob: part.size for part in page})
            for part in page:
                if part.blob in gone:
                    lost += await self._mark(part, "The bytes are lost")
        return lost

    async def _lost(self, sizes: Mapping[str, int]) -> AbstractSet[str]:
        """Of these blobs those that are not there, or have another size."""
        if isinstance(self.storage, ChecksMany):
            return await self.storage.lost(sizes)
        lost = set()
        for blob, size in sizes.items():
            try:
                is_there = await self.storage.size(blob) == size
            except BlobMissing:
                is_there = False
            if not is_there:
                lost.add(blob)
        return lost

    async def _mark(self, part: Part, problem: str) -> bool:
        try:
            content = await self.store.content(part.item)
        except NoSuchItem:
            return False
        if part not in content.parts or content.item.state is not ItemState.STORED:
            return False
        await self.damaged(content.item, problem)
        return True

    async def _recover(self, part: Part) -> None:
        """The part is right: its item is again, where all its other parts are there too."""
        try:
            content = await self.store.content(part.item)
        except NoSuchItem:
            return
        if content.item.state is not ItemState.DAMAGED:
            return
        try:
            for one in content.parts:
                await reading.verify(self.storage, one)
        except ItemDamaged:
            return

        def change(now: Item) -> Item:
            if now.version != content.item.version:
                return now
            state = ITEM_LIFE.next(now.state, ItemEvent.RECOVER)
            return replace(now, state=state, problem="", version=now.version + 1)

        await self.store.change(part.item, change)
