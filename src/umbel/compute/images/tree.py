"""What is in a file system, as a value, and the archive that a kernel boots from.

In: files and links by path. Out: bytes. Times and owners are always the same ones, so that the same
files give the same bytes.
"""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_FOLDER, _FILE, _LINK = 0o040755, 0o100000, 0o120777
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class File:
    """A file's content and permissions."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Folder:
    """A folder that is there although nothing is in it."""


@dataclass(frozen=True)
class Symlink:
    """A symbolic link."""

    target: str


Entry = File | Folder | Symlink
Tree = Mapping[str, Entry]
"""Entries by path, without a leading slash. The folders that lead to them are implied."""


def with_folders(tree: Tree) -> dict[str, Entry]:
    """The entries and all folders, each folder before what is in it."""
    found: dict[str, Entry] = {}
    for path in tree:
        for parent in PurePosixPath(path).parents:
            found[str(parent)] = Folder()
    found.pop(".", None)
    return dict(sorted((found | dict(tree)).items()))


def archive(tree: Tree) -> bytes:
    """The tree as a compressed cpio archive (newc), as kernels unpack it."""
    lines = [*_records(tree), _record(_TRAILER, 0, b"", 0)]
    return gzip.compress(b"".join(lines), mtime=0)


def _records(tree: Tree) -> Iterator[bytes]:
    for number, (path, entry) in enumerate(with_folders(tree).items(), start=1):
        match entry:
            case File(content=content, mode=mode):
                yield _record(path, _FILE | mode, content, number)
            case Symlink(target=target):
                yield _record(path, _LINK, target.encode(), number)
            case Folder():
                yield _record(path, _FOLDER, b"", number)


def _record(path: str, mode: int, content: bytes, number: int) -> bytes:
    name = path.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device and rdevice as pairs, name's size, checksum
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
