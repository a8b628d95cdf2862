"""Storages in which one contract holds, with the hand of fate: bytes go bad, disks are full."""

from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Protocol

from support.disks import full, small_disk
from support.s3_servers import S3Server
from umbel.kit.clock import Clock
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.drivers.files import FileStorage
from umbel.repository.drivers.remote import Location, RemoteStorage
from umbel.repository.drivers.s3 import S3Storage
from umbel.repository.drivers.shards import ShardStorage
from umbel.repository.fec.layout import CELL_BYTES
from umbel.repository.model import RepositoryFull, StorageFailed
from umbel.repository.node_storage import process
from umbel.repository.ports import Storage

DISK_MB = 16


class StorageWorld(Protocol):
    """A storage, and what may happen to it."""

    @property
    def storage(self) -> Storage: ...

    def damage(self, blob: str, at: int) -> None:
        """One byte goes bad."""

    def lose(self, blob: str) -> None:
        """The bytes are gone."""

    @property
    def is_full(self) -> type[Exception]:
        """What a storage without room raises."""

    def full(self) -> AbstractContextManager[None]:
        """There is no room for a mebibyte more."""


def damage(file: Path, at: int) -> None:
    """One byte of the file goes bad."""
    with file.open("r+b") as opened:
        opened.seek(at)
        (byte,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte ^ 0xFF]))


class FakeWorld:
    is_full = RepositoryFull

    def __init__(self, clock: Clock) -> None:
        self.storage = FakeStorage(clock=clock)

    def damage(self, blob: str, at: int) -> None:
        self.storage.damage(blob, at)

    def lose(self, blob: str) -> None:
        self.storage.lose(blob)

    @contextmanager
    def full(self) -> Iterator[None]:
        before, self.storage.capacity = self.storage.capacity, self.storage.used + 1000
        yield
        self.storage.capacity = before


class FilesWorld:
    is_full = RepositoryFull

    def __init__(self, folder: Path, name: str = "repository") -> None:
        self.folder = folder / name
        self.disk = folder
        self.storage = FileStorage(self.folder)

    def file(self, blob: str) -> Path:
        (found,) = self.folder.rglob(blob)
        return found

    def damage(self, blob: str, at: int) -> None:
        damage(self.file(blob), at)

    def lose(self, blob: str) -> None:
        self.file(blob).unlink()

    @contextmanager
    def full(self) -> Iterator[None]:
        with full(self.disk):
            yield


@contextmanager
def files_world(folder: Path) -> Iterator[FilesWorld]:
    """On a small disk of its own."""
    with small_disk(folder / "disk", DISK_MB) as disk:
        yield FilesWorld(disk)


async def chunks(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    """The bytes as a client sends them."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(storage: Storage, blob: str) -> bytes:
    """All bytes of the blob."""
    async with aclosing(storage.read(blob, 0, 1 << 40)) as pieces:
        return b"".join([piece async for piece in pieces])


async def listed(storage: Storage) -> list[str]:
    """The names of the blobs that are kept, whole or not."""
    async with aclosing(storage.list()) as kept:
        return sorted([one.blob async for one in kept])


K, M = 4, 2


class ShardsWorld:
    """Over six folders; what happens to a blob here is more than its parity can bear."""

    is_full = RepositoryFull

    def __init__(self, folder: Path) -> None:
        self.disk = folder
        self.worlds = [FilesWorld(folder / f"node-{number}", "blobs") for number in range(K + M)]
        self.storage = ShardStorage([one.storage for one in self.worlds], M)

    def damage(self, blob: str, at: int) -> None:
        stripe = at // (K * CELL_BYTES)
        for one in self.worlds[: M + 1]:
            one.damage(blob, stripe * (CELL_BYTES + 4))

    def lose(self, blob: str) -> None:
        for one in self.worlds:
            one.lose(blob)

    @contextmanager
    def full(self) -> Iterator[None]:
        with full(self.disk):
            yield


class S3World:
    """A part of a real server's bucket of its own."""

    def __init__(self, server: S3Server, part: str) -> None:
        bucket = server.bucket.inside(part)
        # nanio calls a full disk an internal error.
        self.is_full = StorageFailed if server.kind == "nanio" else RepositoryFull
        self.server = server
        self.folder = server.folder / bucket.prefix
        self.storage = S3Storage(bucket, server.access)

    def damage(self, blob: str, at: int) -> None:
        damage(self.folder / blob, at)

    def lose(self, blob: str) -> None:
        (self.folder / blob).unlink()

    @contextmanager
    def full(self) -> Iterator[None]:
        with full(self.server.disk):
            yield


@contextmanager
def shards_world(folder: Path) -> Iterator[ShardsWorld]:
    """On one small disk."""
    with small_disk(folder / "disk", DISK_MB) as disk:
        yield ShardsWorld(disk)


@asynccontextmanager
async def remote_shards_world(folder: Path) -> AsyncIterator[ShardsWorld]:
    """Over six storage functions, on one small disk."""
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk", DISK_MB))
        world = ShardsWorld(disk)
        await world.storage.close()
        functions = [
            await stack.enter_async_context(process.opened(storage_options(one.folder.parent)))
            for one in world.worlds
        ]
        storages = [remote(one, number=number) for number, one in enumerate(functions)]
        world.storage = ShardStorage(storages, M)
        yield world
        await world.storage.close()


SECRET = "a-secret-of-a-storage-function"


class RemoteWorld:
    """A storage function that serves in this process, over real sockets and TLS."""

    is_full = RepositoryFull

    def __init__(self, folder: Path, storage: RemoteStorage) -> None:
        self.folder = folder / "function" / "blobs"
        self.disk = folder
        self.storage = storage

    def damage(self, blob: str, at: int) -> None:
        damage(self._file(blob), at)

    def lose(self, blob: str) -> None:
        self._file(blob).unlink()

    @contextmanager
    def full(self) -> Iterator[None]:
        with full(self.disk):
            yield

    def _file(self, blob: str) -> Path:
        (found,) = self.folder.rglob(blob)
        return found


def storage_options(folder: Path, *, limit_bytes: int = 1 << 40) -> process.Options:
    """A storage function on any ports."""
    return process.Options(
        function_id="storage-a",
        address="127.0.0.1",
        folder=folder,
        limit_bytes=limit_bytes,
        secret=SECRET,
    )


def remote(listening: process.Listening, *, number: int = 0, secret: str = SECRET) -> RemoteStorage:
    """A client of that function."""
    location = Location(address="127.0.0.1", tls_port=listening.ports["tls"], secret=secret)

    async def locate() -> Location:
        return location

    return RemoteStorage("storage-a", number, locate)


@asynccontextmanager
async def remote_world(folder: Path) -> AsyncIterator[RemoteWorld]:
    """On a small disk of its own."""
    with small_disk(folder / "disk", DISK_MB) as disk:
        async with process.opened(storage_options(disk / "function")) as listening:
            storage = remote(listening)
            yield RemoteWorld(disk, storage)
            await storage.close()
