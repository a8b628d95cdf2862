"""The front end over a fresh SQLite database, in process. Recordings have PostgreSQL, too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support import databases
from support.http import World, make_system, serving, world
from support.overlay_run import DRAWING, LINKS
from support.steered import Net, steered
from support.switchboard import World as Wires
from support.switchboard import sites
from umbel.kit.db import Database


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    opened = Database(sqlite_url, durable=False)
    try:
        await databases.prepare(opened)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def here(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with world(make_system(sqlite, tmp_path), static=tmp_path / "no-build") as made:
        yield made


@pytest.fixture
async def net(sqlite: Database, tmp_path: Path) -> AsyncIterator[Net]:
    wires = Wires(sites(tuple(DRAWING.roles), LINKS))
    async with steered(sqlite, tmp_path, wires) as made:
        yield made


@pytest.fixture
async def there(sqlite: Database, tmp_path: Path) -> AsyncIterator[tuple[World, str]]:
    """The same over HTTP, for command lines: with its URL."""
    system = make_system(sqlite, tmp_path)
    async with (
        world(system, served=True, static=tmp_path / "no-build") as here,
        serving(here.app) as (_, url),
    ):
        yield here, url
