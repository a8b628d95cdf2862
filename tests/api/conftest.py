"""The front end over a fresh SQLite database, in process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.http import World, make_system, world
from umbel import migrations
from umbel.kit.db import Database


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    opened = Database(sqlite_url)
    try:
        await migrations.upgrade(opened)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def here(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with world(make_system(sqlite, tmp_path), static=tmp_path / "no-build") as made:
        yield made
