"""The folder of one shard on a node: its blobs, its number, and one process that uses it.

In: a folder and a limit of bytes. Out: a storage. The number is written with the first blob: a node
that is named at another place in the settings must not answer for a shard that it does not have.
"""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from umbel.kit import private
from umbel.kit.errors import Conflict
from umbel.repository.drivers.files import FileStorage
from umbel.repository.model import StorageFailed
from umbel.repository.node_storage.bounded import BoundedStorage
from umbel.repository.node_storage.messages import MOST_SHARDS, NodeUsage

_BLOBS, _SHARD, _LOCK = "blobs", "shard", "lock"


class FolderInUse(Conflict):
    """Another process keeps shards in this folder: end it, or name another folder."""

    code = "umbel.storage_folder_in_use"


class OtherShard(Conflict):
    """The node holds another shard than the one that it was asked for: name the nodes in the order
    that they had, or remove the node's folder of shards to have it filled again."""

    code = "umbel.storage_other_shard"


class ShardFolder:
    """One shard's blobs below `folder`."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self.storage = BoundedStorage(FileStorage(folder / _BLOBS), limit_bytes)
        self._number = _read_number(folder / _SHARD)

    def check(self, number: int) -> None:
        """Raise OtherShard unless this is that shard, or none yet."""
        if self._number not in (None, number):
            raise OtherShard(
                f"{self._folder.name} holds shard {self._number} and was asked for shard {number}:"
                " name the nodes in the order that they had",
                holds=self._number,
                asked=number,
            )

    def claim(self, number: int) -> None:
        """From now on this is that shard. Raises OtherShard, StorageFailed."""
        self.check(number)
        if self._number is None:
            try:
                private.write_once(self._folder / _SHARD, f"{number}\n".encode())
            except OSError as error:
                raise _unusable(self._folder, error) from error
            self._number = number

    def usage(self) -> NodeUsage:
        """What it holds. Raises StorageFailed."""
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return NodeUsage(
            shard=self._number,
            used_bytes=self.storage.used_bytes,
            limit_bytes=self.storage.limit_bytes,
            free_bytes=disk.f_bavail * disk.f_frsize,
        )


@asynccontextmanager
async def opened(folder: Path, limit_bytes: int) -> AsyncIterator[ShardFolder]:
    """The folder, which is made and is this process's alone until the end. Raises FolderInUse,
    StorageFailed."""
    try:
        private.ensure_folder(folder)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(folder=str(folder)) from error
        made = ShardFolder(folder, limit_bytes)
        try:
            await made.storage.count()
            yield made
        finally:
            await made.storage.close()
    finally:
        os.close(lock)


def _read_number(file: Path) -> int | None:
    """The number that the folder has; None for a new one. Raises StorageFailed."""
    try:
        text = file.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(file, error) from error
    if not (text.isascii() and text.isdigit() and len(text) < 3 and int(text) < MOST_SHARDS):
        raise StorageFailed(f"{file} does not say which shard is there: restore or remove it")
    return int(text)


def _unusable(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"{path} cannot be used: {error.strerror}")
