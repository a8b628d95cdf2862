"""Bytes as files of a folder: whole or not there, and on the disk when a write has returned.

A draft is written next to the others, synced, then renamed; a full disk removes the draft and
nothing else. Each call opens what it needs, so a disk that failed is used again once it is back.
"""

import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from umbel.kit import private
from umbel.repository.model import BlobMissing, RepositoryFull, StorageFailed, blob_name
from umbel.repository.pieces import pieces as regrouped
from umbel.repository.ports import PIECE_BYTES, Stored
from umbel.repository.threads import Threads

_DRAFTS = "drafts"
_FULL = {errno.ENOSPC, errno.EDQUOT}


class FileStorage:
    """Keeps blobs below `folder`, which is made and is this storage's alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._threads = Threads(f"files-{folder.name}")

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        draft, path = self.folder / _DRAFTS / blob, self._path(blob)
        with self._failing():
            descriptor = await self._threads.open(
                lambda: _opened(draft, path.parent), lambda opened: _abandon(opened, draft)
            )
        size = 0
        try:
            async for piece in regrouped(pieces):
                with self._failing():
                    await self._threads.run(_write, descriptor, piece)
                size += len(piece)
            with self._failing():
                await self._threads.run(_keep, descriptor, draft, path)
        finally:
            await self._threads.run(_abandon, descriptor, draft)
        return size

    async def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        with self._reading(blob):
            path = self._path(blob)
            descriptor = await self._threads.open(
                lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC), os.close
            )
        try:
            while start < end:
                with self._reading(blob):
                    size = min(end - start, PIECE_BYTES)
                    piece = await self._threads.run(os.pread, descriptor, size, start)
                if not piece:
                    break
                start += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    async def size(self, blob: str) -> int:
        with self._reading(blob):
            return (await self._threads.run(self._path(blob).stat)).st_size

    async def sizes(self, blobs: Sequence[str]) -> Mapping[str, int]:
        paths = {blob: self._path(blob) for blob in blobs}
        with self._failing():
            return await self._threads.run(_sizes, paths)

    async def remove(self, blob: str) -> None:
        with self._failing():
            await self._threads.run(self._path(blob).unlink, missing_ok=True)
            await self._threads.run((self.folder / _DRAFTS / blob).unlink, missing_ok=True)

    async def list(self) -> AsyncGenerator[Stored, None]:
        with self._failing():
            folders = await self._threads.run(_inside, self.folder)
        for folder in folders:
            with self._failing():
                found = await self._threads.run(_stored, folder)
            for one in found:
                yield one

    async def close(self) -> None:
        self._threads.close()

    def _path(self, blob: str) -> Path:
        """Where the blob is: 1024 folders, so that none is very long."""
        name = blob_name(blob)
        return self.folder / name[-2:].rjust(2, "_") / name

    @contextmanager
    def _reading(self, blob: str) -> Iterator[None]:
        with self._failing():
            try:
                yield
            except FileNotFoundError as error:
                raise BlobMissing(f"There is no blob {blob}", blob=blob) from error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                message = f"The disk of {self.folder} is full: nothing was kept; free some space"
                raise RepositoryFull(message) from error
            raise StorageFailed(f"{self.folder} cannot be used: {error.strerror}") from error


def _opened(draft: Path, folder: Path) -> int:
    for one in (draft.parent, folder):
        if not one.is_dir():
            private.ensure_folder(one)
    return os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _keep(descriptor: int, draft: Path, path: Path) -> None:
    os.fsync(descriptor)
    draft.replace(path)
    for folder in (path.parent, path.parent.parent):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _abandon(descriptor: int, draft: Path) -> None:
    """Close it; remove the draft where there still is one."""
    os.close(descriptor)
    draft.unlink(missing_ok=True)


def _sizes(paths: Mapping[str, Path]) -> dict[str, int]:
    found = {}
    for blob, path in paths.items():
        try:
            found[blob] = path.stat().st_size
        except FileNotFoundError:
            continue
    return found


def _inside(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def _stored(folder: Path) -> list[Stored]:
    found = []
    for entry in os.scandir(folder):
        try:
            facts = entry.stat()
        except FileNotFoundError:
            continue  # gone in the meantime
        found.append(
            Stored(
                blob=entry.name,
                size=facts.st_size,
                changed_s=facts.st_mtime,
                is_whole=folder.name != _DRAFTS,
            )
        )
    return found
