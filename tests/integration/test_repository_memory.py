"""Memory does not grow with what passes the repository."""

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from support import databases
from support.clocks import SetClock
from support.stored import repository
from umbel.kit.db import Database
from umbel.repository.drivers.files import FileStorage
from umbel.repository.drivers.shards import ShardStorage
from umbel.repository.ports import Storage
from umbel.repository.service import Source

MIB = 1 << 20
SIZE_MB, MOST_MB = 128, 32


async def endless(size_mb: int) -> AsyncIterator[bytes]:
    chunk = bytes(64 * 1024)
    for _ in range(size_mb * 16):
        yield chunk


@pytest.mark.parametrize("kind", ["files", "shards"])
async def test_an_item_is_never_whole_in_memory(kind: str, tmp_path: Path, sqlite_url: str) -> None:
    files = [FileStorage(tmp_path / str(number)) for number in range(3)]
    storage: Storage = files[0] if kind == "files" else ShardStorage(files, 1)
    database = Database(sqlite_url, durable=False)
    try:
        await databases.prepare(database)
        repo = repository(database, storage, SetClock())
        item = await repo.create("pr_city", {})
        await repo.write(item.id, Source(chunks=endless(1)))  # what is loaded once
        tracemalloc.start()
        await repo.write(item.id, Source(chunks=endless(SIZE_MB)))
        size = 0
        async with aclosing(repo.read(await repo.content(item.id))) as pieces:
            async for piece in pieces:
                size += len(piece)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await database.close()
        await storage.close()
    assert size == SIZE_MB * MIB
    assert most < MOST_MB * MIB
