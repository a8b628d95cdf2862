"""Addresses of transfers as rows, by the digest of their secret."""

from typing import Any

import sqlalchemy as sa

from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.repository.transfers.model import (
    MOST_OF_ONE,
    Direction,
    NoSuchTransfer,
    TooManyTransfers,
    Transfer,
)

transfers = sa.Table(
    "repository_transfers",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("direction", sa.String(16), nullable=False),
    sa.Column("until_s", sa.Float, nullable=False),
    sa.Index("ix_repository_transfers_item", "item"),
    sa.Index("ix_repository_transfers_until_s", "until_s"),
)

_LOCK = 0x72657075
_T = transfers.c


def _transfer(*, direction: str, **row: Any) -> Transfer:
    return Transfer(direction=Direction(direction), **row)


_ADD = Command(sa.insert(transfers))
_GET = Query(
    sa.select(_T.item, _T.direction, _T.until_s).where(
        (_T.digest == given("named")) & (_T.until_s > given("now_s"))
    ),
    _transfer,
)
_COUNT = Scalar(
    sa.select(sa.func.count()).where((_T.item == given("of")) & (_T.until_s > given("now_s"))), int
)
_RENEW = Command(sa.update(transfers).where(_T.digest == given("named")), ["until_s"])
_TRIM = Command(sa.delete(transfers).where(_T.until_s <= given("now_s")))
_DROP = Command(sa.delete(transfers).where(_T.item == given("of")))


class TransferStore:
    """The queries of transfers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, digest: str, transfer: Transfer, now_s: float) -> None:
        """A new one; those that expired are forgotten. Raises TooManyTransfers."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            connection.run(_TRIM, now_s=now_s)
            if (connection.scalar(_COUNT, of=transfer.item, now_s=now_s) or 0) >= MOST_OF_ONE:
                raise TooManyTransfers(item=transfer.item)
            values = vars(transfer) | {"direction": transfer.direction.value}
            connection.run(_ADD, digest=digest, **values)

        await self._database.write(add)

    async def get(self, digest: str, now_s: float) -> Transfer:
        """One that did not expire. Raises NoSuchTransfer."""
        found = await self._database.read(lambda c: c.first(_GET, named=digest, now_s=now_s))
        if found is None:
            raise NoSuchTransfer
        return found

    async def renew(self, digest: str, until_s: float) -> None:
        """It lasts until then."""
        await self._database.write(lambda c: c.run(_RENEW, named=digest, until_s=until_s))

    async def drop(self, item: str) -> None:
        """The item's are forgotten."""
        await self._database.write(lambda c: c.run(_DROP, of=item))
