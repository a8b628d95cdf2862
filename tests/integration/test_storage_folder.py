"""The folder of a storage function, and its process: restarts, numbers of shards, one user."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from support.storage_worlds import SECRET, chunks, listed, read, remote, storage_options
from support.waiting import until
from umbel.repository.model import BlobMissing, StorageFailed
from umbel.repository.node_storage import process
from umbel.repository.node_storage.folder import FolderInUse
from umbel.repository.node_storage.process import Listening

MIB = 1 << 20
DATA = bytes(range(256)) * 4096


async def is_there(path: Path) -> bool:
    return path.exists()


# -- a node's folder ------------------------------------------------------------------------


async def test_a_folder_answers_for_its_own_shard_alone(tmp_path: Path) -> None:
    for _ in range(2):  # also after a restart
        async with process.opened(storage_options(tmp_path)) as listening:
            own, other = remote(listening, number=2), remote(listening, number=3)
            assert (await own.usage()).shard in (None, 2)
            await own.write("blob_a", chunks(DATA))
            assert (await own.usage()).shard == 2
            for call in (
                other.write("blob_b", chunks(DATA)),
                read(other, "blob_a"),
                other.remove("blob_a"),
                listed(other),
            ):
                with pytest.raises(StorageFailed, match="holds shard 2"):
                    await call
            with pytest.raises(StorageFailed):
                await other.size("blob_a")
            assert await listed(own) == ["blob_a"]
            await own.close()
            await other.close()


async def test_a_start_counts_what_is_there_and_clears_what_is_half(tmp_path: Path) -> None:
    async with process.opened(storage_options(tmp_path)) as listening:
        storage = remote(listening)
        await storage.write("blob_a", chunks(DATA))
        await storage.close()
    (tmp_path / "blobs/drafts/blob_b").write_bytes(DATA)
    async with process.opened(storage_options(tmp_path)) as listening:
        storage = remote(listening)
        assert (await storage.usage()).used_bytes == MIB
        assert await listed(storage) == ["blob_a"]
        with pytest.raises(BlobMissing):
            await storage.size("blob_b")
        await storage.close()


async def test_two_do_not_share_a_folder(tmp_path: Path) -> None:
    async with process.opened(storage_options(tmp_path)):
        with pytest.raises(FolderInUse):
            async with process.opened(storage_options(tmp_path)):
                pass
    async with process.opened(storage_options(tmp_path)):
        pass


@pytest.mark.parametrize("text", ["", "64", "-1", "two", "1" * 5000, "\u0661"])
async def test_a_folder_whose_number_is_lost_serves_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "shard").write_text(text)
    with pytest.raises(StorageFailed, match="which shard"):
        async with process.opened(storage_options(tmp_path)):
            pass


# -- the process ----------------------------------------------------------------------------


async def started(tmp_path: Path, words: list[str], secret: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel.repository.node_storage", *words),
        env={**environment, "UMBEL_STORAGE_SECRET": secret},
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_the_process_reports_where_it_listens_and_ends_by_signal(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    words = ["--id", "storage-a", "--address", "127.0.0.1", "--ready-file", str(ready)]
    words += ["--folder", str(tmp_path / "shards"), "--limit-mb", "3"]
    running = await started(tmp_path, words, SECRET)
    try:
        await until(lambda: is_there(ready))
        said = json.loads(ready.read_text())
        assert (said["id"], said["pid"]) == ("storage-a", running.pid)
        storage = remote(Listening(ports=said["ports"], tasks=[]))
        await storage.write("blob_a", chunks(DATA))
        assert (await storage.usage()).limit_bytes == 3 * MIB
        await storage.close()
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), 30) == 0
    finally:
        if running.returncode is None:
            running.kill()


async def test_without_a_secret_it_does_not_start(tmp_path: Path) -> None:
    words = ["--id", "a", "--address", "127.0.0.1", "--folder", "f", "--limit-mb", "3"]
    running = await started(tmp_path, words, "")
    _, said = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 1
    assert b"UMBEL_STORAGE_SECRET" in said
    assert not (tmp_path / "f").exists()
