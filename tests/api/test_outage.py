"""The database is locked, gone, or slow: 503 with a code, nothing half done, nothing acked lost."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from support import postgres
from support.http import World, make_system, world
from support.waiting import until
from umbel import migrations
from umbel.kit.db import Database


def lock(url: str) -> sqlite3.Connection:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_while_another_process_writes_we_wait_and_then_refuse(
    here: World, sqlite_url: str
) -> None:
    before = len(await here.system.catalogue.providers())
    new = {"name": "Theatre", "access_node": "pe1"}
    operator = here.as_("operator")
    other = lock(sqlite_url)
    try:
        read = await here.client.get("/api/v1/providers")
        assert read.status_code == 200, "reads go on"
        assert (await here.client.get("/readyz")).status_code == 200
        refused = await here.client.post("/api/v1/providers", json=new, headers=operator)
        assert refused.status_code == 503
        assert refused.json()["code"] == "umbel.database_unavailable"
        assert refused.headers["retry-after"] == "2"
        assert "locked" not in str(refused.json()["details"])
    finally:
        other.rollback()
        other.close()
    assert len(await here.system.catalogue.providers()) == before
    again = await here.client.post("/api/v1/providers", json=new, headers=operator)
    assert again.status_code == 201


async def test_a_short_lock_delays_and_loses_nothing(here: World, sqlite_url: str) -> None:
    operator = here.as_("operator")
    other = lock(sqlite_url)
    try:
        writes = [
            asyncio.create_task(
                here.client.post(
                    "/api/v1/providers",
                    json={"name": f"P{n}", "access_node": "pe1"},
                    headers=operator,
                )
            )
            for n in range(20)
        ]
        done, _ = await asyncio.wait(writes, timeout=0.3)
        assert not done, "nobody is told it was written while it cannot be"
    finally:
        other.rollback()
        other.close()
    answers = await asyncio.gather(*writes)
    assert {a.status_code for a in answers} == {201}
    stored = {p.id for p in await here.system.catalogue.providers()}
    assert {a.json()["id"] for a in answers} <= stored


async def test_a_long_lock_with_many_writers_refuses_all_in_bounded_time(
    here: World, sqlite_url: str
) -> None:
    operator = here.as_("operator")
    other = lock(sqlite_url)
    try:
        async with asyncio.timeout(30):
            answers = await asyncio.gather(
                *(
                    here.client.post(
                        "/api/v1/providers",
                        json={"name": f"P{n}", "access_node": "pe1"},
                        headers=operator,
                    )
                    for n in range(20)
                )
            )
    finally:
        other.rollback()
        other.close()
    assert {(a.status_code, a.json()["code"]) for a in answers} == {
        (503, "umbel.database_unavailable")
    }
    assert {p.name for p in await here.system.catalogue.providers()} == {"City", "Club"}


async def test_postgresql_goes_away_and_comes_back(tmp_path: Path) -> None:
    if postgres.programs() is None:
        pytest.skip(postgres.ABSENT)
    with postgres.cluster() as cluster:
        database = Database(cluster.fresh())
        try:
            await migrations.upgrade(database)
            async with world(make_system(database, tmp_path)) as here:
                assert (await here.client.get("/readyz")).status_code == 200
                cluster.stop()
                for path in ("/readyz", "/api/v1/providers", "/metrics"):
                    away = await here.client.get(path)
                    assert away.status_code == 503, path
                assert (await here.client.get("/healthz")).status_code == 200
                cluster.start()

                async def ready() -> bool:
                    return (await here.client.get("/readyz")).status_code == 200

                await until(ready)
                assert len((await here.client.get("/api/v1/providers")).json()) == 2
        finally:
            await database.close()
