"""What upkeep asks of the rows of items and their parts."""

from collections.abc import Sequence

import sqlalchemy as sa

from umbel.kit.db import Database
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.repository.model import Part
from umbel.repository.store import DROPPED, IS_COMPLETE, PART, WRITING, items, parts

_I, _P = items.c, parts.c

_EXPIRED = Scalar(
    sa.select(_I.id).where(_I.expires_s <= given("now_s")).order_by(_I.expires_s).limit(100), str
)
_DROP_STALE = Command(
    sa.update(parts).where((_P.state == sa.literal(WRITING)) & (_P.touched_s < given("before_s"))),
    ["state"],
)
_ANY_STALE = Scalar(
    sa.select(_P.blob)
    .where(
        (_P.state == sa.literal(DROPPED))
        | ((_P.state == sa.literal(WRITING)) & (_P.touched_s < given("before_s")))
    )
    .limit(1),
    str,
)
_DROPPED = Scalar(sa.select(_P.blob).where(_P.state == sa.literal(DROPPED)).limit(500), str)
_IS_KNOWN = Scalar(sa.select(_P.blob).where(_P.blob == given("named")), str)
_PAGE_OF_PARTS = Query(
    sa.select(*PART).where((_P.blob > given("after")) & IS_COMPLETE).order_by(_P.blob).limit(500),
    Part,
)
_UNCHECKED = Query(
    sa.select(*PART)
    .where(IS_COMPLETE & (_P.checked_s < given("before_s")))
    .order_by(_P.checked_s)
    .limit(1),
    Part,
)
_CHECKED = Command(sa.update(parts).where(_P.blob == given("named")), ["checked_s"])


class UpkeepStore:
    """The queries of upkeep."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expired(self, now_s: float) -> list[str]:
        """Items whose time is over, the longest first; 100 at most."""
        return await self._database.read(lambda c: c.scalars(_EXPIRED, now_s=now_s))

    async def dropped(self, before_s: float) -> list[str]:
        """Blobs to remove, 500 at most; uploads that had no byte since `before_s` are given up."""

        def dropped(connection: Connection) -> list[str]:
            connection.run(_DROP_STALE, before_s=before_s, state=DROPPED)
            return connection.scalars(_DROPPED)

        # A write costs a sync of the disk, and mostly there is nothing to write.
        if not await self._database.read(lambda c: c.scalar(_ANY_STALE, before_s=before_s)):
            return []
        return await self._database.write(dropped)

    async def unknown(self, blobs: Sequence[str]) -> list[str]:
        """Those that no row names."""

        def unknown(connection: Connection) -> list[str]:
            return [one for one in blobs if connection.scalar(_IS_KNOWN, named=one) is None]

        return await self._database.read(unknown)

    async def parts_after(self, blob: str) -> list[Part]:
        """The next 500 parts by their blobs' names."""
        return await self._database.read(lambda c: c.all(_PAGE_OF_PARTS, after=blob))

    async def unchecked(self, before_s: float) -> Part | None:
        """The part whose check is longest ago, where that was before then."""
        return await self._database.read(lambda c: c.first(_UNCHECKED, before_s=before_s))

    async def checked(self, blob: str, now_s: float) -> None:
        """The part was checked."""
        await self._database.write(lambda c: c.run(_CHECKED, named=blob, checked_s=now_s))
