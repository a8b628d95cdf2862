"""Addresses of the repository's transfers as rows, on SQLite and PostgreSQL."""

import asyncio

import pytest

from support.clocks import SetClock
from support.stored import URL_S
from umbel.kit.db import Database
from umbel.kit.sql import Query
from umbel.repository.transfers.model import (
    MOST_OF_ONE,
    Direction,
    NoSuchTransfer,
    TooManyTransfers,
    WrongDirection,
)
from umbel.repository.transfers.service import Transfers
from umbel.repository.transfers.store import TransferStore
from umbel.repository.transfers.store import transfers as table


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1000.0)


@pytest.fixture
def transfers(database: Database, clock: SetClock) -> Transfers:
    return Transfers(store=TransferStore(database), clock=clock, ttl_s=URL_S)


async def test_an_address_is_good_for_one_item_and_one_direction(transfers: Transfers) -> None:
    up = await transfers.open("item_a", Direction.UPLOAD)
    down = await transfers.open("item_a", Direction.DOWNLOAD)
    assert len({up, down}) == 2
    assert await transfers.item(up, Direction.UPLOAD) == "item_a"
    with pytest.raises(WrongDirection, match="uploads"):
        await transfers.item(up, Direction.DOWNLOAD)
    for unknown in ("", up[:-1], up + "x", "\ud800", "x" * 10_000):
        with pytest.raises(NoSuchTransfer):
            await transfers.find(unknown)
    await transfers.store.drop("item_a")
    with pytest.raises(NoSuchTransfer):
        await transfers.find(down)


async def test_an_address_expires_when_it_is_not_used(
    transfers: Transfers, clock: SetClock
) -> None:
    used = await transfers.open("item_a", Direction.UPLOAD)
    unused = await transfers.open("item_a", Direction.UPLOAD)
    for _ in range(4):
        clock.at_s += URL_S - 1
        await transfers.find(used)
    with pytest.raises(NoSuchTransfer):
        await transfers.find(unused)
    clock.at_s += URL_S
    with pytest.raises(NoSuchTransfer):
        await transfers.find(used)


async def test_an_item_has_so_many_that_did_not_expire(
    transfers: Transfers, clock: SetClock
) -> None:
    await asyncio.gather(
        *(transfers.open("item_a", Direction.DOWNLOAD) for _ in range(MOST_OF_ONE))
    )
    with pytest.raises(TooManyTransfers):
        await transfers.open("item_a", Direction.UPLOAD)
    await transfers.open("item_b", Direction.UPLOAD)
    clock.at_s += URL_S
    await transfers.open("item_a", Direction.UPLOAD)


async def test_no_secret_is_in_the_database(transfers: Transfers, database: Database) -> None:
    secret = await transfers.open("item_a", Direction.UPLOAD)
    rows = await database.read(lambda c: c.all(Query(table.select(), dict[str, object])))
    assert len(rows) == 1
    assert secret not in str(rows)
