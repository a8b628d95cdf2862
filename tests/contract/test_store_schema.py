"""The schema's history on both databases: up, down, together, and never apart from the stores."""

import asyncio
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import umbel
from umbel import migrations
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command

for module in pkgutil.walk_packages(umbel.__path__, "umbel."):
    if module.name.endswith((".store", "kit.journal")):
        importlib.import_module(module.name)


async def tables(database: Database) -> set[str]:
    names = await database.migrate(lambda connection: sa.inspect(connection).get_table_names())
    return set(names) - {"alembic_version"}


async def test_up_makes_every_table_and_down_drops_them(database: Database) -> None:
    assert await tables(database) == set(metadata.tables)
    assert await migrations.current(database) == migrations.newest()
    await migrations.downgrade(database)
    assert await tables(database) == set()
    await migrations.upgrade(database)
    assert await tables(database) == set(metadata.tables)


def test_the_newest_revision_is_the_last_files() -> None:
    folder = Path(migrations.__file__).parent
    assert migrations.newest() == ScriptDirectory(str(folder)).get_current_head()


async def test_up_twice_is_up_once(database: Database) -> None:
    await migrations.upgrade(database)
    assert await migrations.current(database) == migrations.newest()


async def test_history_and_stores_do_not_drift(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.migrate(differences) == []


async def test_a_failing_revision_leaves_nothing(database_url: str) -> None:
    database = Database(database_url)
    try:
        create = Command(sa.text("CREATE TABLE users (x INTEGER)"))
        await database.write(lambda connection: connection.run(create))
        with pytest.raises(Exception, match=r"(?i)users"):
            await migrations.upgrade(database)
        assert await tables(database) == {"users"}
        assert await migrations.current(database) == ""
    finally:
        await database.close()


async def test_a_schema_of_another_release_is_refused(database: Database) -> None:
    update = Command(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await database.write(lambda connection: connection.run(update))
    with pytest.raises(migrations.SchemaUnknown):
        await migrations.upgrade(database)


_START = """
import asyncio, sys
from umbel import migrations
from umbel.kit.db import Database

async def main():
    database = Database(sys.argv[1])
    await migrations.upgrade(database)
    await database.close()

sys.stdin.readline()
asyncio.run(main())
"""


async def test_instances_that_start_together_take_turns(database_url: str) -> None:
    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _START,
            database_url,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    instances = [await start() for _ in range(4)]
    try:
        outcomes = await asyncio.gather(*(i.communicate(b"go\n") for i in instances))
    finally:
        for instance in instances:
            if instance.returncode is None:
                instance.kill()
                await instance.wait()
    assert [i.returncode for i in instances] == [0] * 4, [err.decode() for _, err in outcomes]
    database = Database(database_url)
    try:
        assert await tables(database) == set(metadata.tables)
    finally:
        await database.close()
