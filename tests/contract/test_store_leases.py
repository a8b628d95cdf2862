"""Leases over one database, on SQLite and on PostgreSQL."""

import asyncio

import sqlalchemy as sa

from support.clocks import SetClock
from umbel.kit.db import Database
from umbel.kit.leases import Leases, leases
from umbel.kit.sql import Connection, Scalar

TTL_S = 10.0


async def test_a_lease_has_one_owner_until_it_runs_out(database: Database) -> None:
    clock = SetClock()
    a, b = (Leases(database, clock, owner, TTL_S) for owner in "ab")
    assert await a.acquire("fleet")
    clock.at_s = 6.0
    assert await a.acquire("fleet")
    clock.at_s = 14.9  # its holder counts on nine tenths of it: clocks differ
    assert not await b.acquire("fleet")
    assert (a.is_held("fleet"), b.is_held("fleet")) == (True, False)
    clock.at_s = 15.9
    assert not await b.acquire("fleet")
    assert (a.is_held("fleet"), b.is_held("fleet")) == (False, False)
    clock.at_s = 16.0
    assert await b.acquire("fleet")
    assert (a.is_held("fleet"), b.is_held("fleet")) == (False, True)
    assert not await a.acquire("fleet")
    await b.release()
    assert await a.acquire("fleet")


async def test_a_lease_that_is_dropped_is_free_and_the_others_stay(database: Database) -> None:
    a, b = (Leases(database, SetClock(), owner, TTL_S) for owner in "ab")
    assert await a.acquire("x") and await a.acquire("y")
    await b.drop("x")
    assert not await b.acquire("x")
    await a.drop("x")
    assert (await b.acquire("x"), await b.acquire("y")) == (True, False)


async def test_a_steady_holder_writes_at_half_of_the_lease_only(database: Database) -> None:
    clock = SetClock()
    a = Leases(database, clock, "a", TTL_S)
    for at_s in range(10):
        clock.at_s = float(at_s)
        assert await a.acquire("fleet")
    until_s = Scalar(sa.select(leases.c.until_s), float)
    assert await database.read(Connection.scalar, until_s) == 8.0 + TTL_S  # at 0, 4 and 8 s


async def test_of_many_who_want_a_lease_one_gets_it(database: Database) -> None:
    clock = SetClock()
    for clock.at_s in (0.0, 100.0):
        wanting = (Leases(database, clock, f"cp{n}", TTL_S).acquire("fleet") for n in range(8))
        assert sum(await asyncio.gather(*wanting)) == 1
