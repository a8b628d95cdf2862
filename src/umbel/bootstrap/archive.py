"""A backup as one tar file: a manifest, then the members that it lists with their digests.

In: named files and facts. Out: a tar of mode 0600, or its members again, checked. Nothing in a
file is believed: names are those we know, and a member counts only with the digest that is listed.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from umbel.kit import private
from umbel.kit.errors import Invalid

MEMBERS = (
    *("database", "keys/signing.pem", "keys/public.pem", "keys/master.key"),
    "network.yaml",
)
Moved = Callable[[int, int], None]

_MANIFEST = "backup.json"
_FORMAT = 1
_CHUNK = 1 << 20
_LONGEST_MANIFEST = 65_536


class BadBackup(Invalid):
    """The file is not a backup of this platform, or it is damaged: use another one."""

    code = "umbel.bad_backup"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a backup says of itself. `database`: sqlite or postgresql; `schema`: its revision;
    `created_at`: RFC 3339; `umbel`: the release that made it."""

    umbel: str
    created_at: str
    database: str
    schema: str


def write(file: Path, facts: Facts, members: Mapping[str, Path], moved: Moved) -> None:
    """Write a new tar, on the disk when it returns. Raises OSError."""
    private.ensure_file(file)
    digests = {name: _digest(path) for name, path in members.items()}
    manifest = {"format": _FORMAT, **asdict(facts), "sha256": digests}
    total = sum(path.stat().st_size for path in members.values())
    done = 0
    with file.open("wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        draft = file.with_name(_MANIFEST)
        draft.write_text(json.dumps(manifest, indent=1))
        for name, path in ((_MANIFEST, draft), *members.items()):
            tar.add(path, name, recursive=False, filter=_anonymous)
            done += path.stat().st_size if path is not draft else 0
            moved(done, total)
        tar.close()
        raw.flush()
        os.fsync(raw.fileno())


class Archive:
    """An opened backup."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        manifest = _manifest(tar)
        try:
            self.facts = Facts(**{name: str(manifest[name]) for name in Facts.__annotations__})
            self._digests = {str(k): str(v) for k, v in dict(manifest["sha256"]).items()}
        except (KeyError, TypeError, ValueError) as error:
            raise BadBackup(f"its {_MANIFEST} lacks {error}") from error
        if manifest.get("format") != _FORMAT:
            raise BadBackup("a later release made this backup: restore it with that release")
        if unknown := sorted(set(self._digests) - set(MEMBERS)) or _missing(self._digests):
            raise BadBackup(f"its {_MANIFEST} does not list what a backup has: {unknown[0]}")

    def extract(self, folder: Path, moved: Moved) -> None:
        """Write every member into the folder, with mode 0600. Raises BadBackup, OSError."""
        members = [(self._member(name), digest) for name, digest in self._digests.items()]
        total = sum(member.size for member, _ in members)
        done = 0
        for member, digest in members:
            path = folder / member.name
            private.ensure_folder(path.parent)
            private.ensure_file(path)
            read = self._tar.extractfile(member)
            assert read is not None  # a regular file
            with read, path.open("wb") as file:
                if _copied(read, file) != digest:
                    raise BadBackup(f"{member.name} is damaged: its digest is not the listed one")
            done += member.size
            moved(done, total)

    def _member(self, name: str) -> tarfile.TarInfo:
        try:
            member = self._tar.getmember(name)
        except KeyError as error:
            raise BadBackup(f"it has no {name}") from error
        if not member.isreg():
            raise BadBackup(f"its {name} is not a file")
        return member


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """The backup, to be read. Raises BadBackup, OSError."""
    try:
        with tarfile.open(file, "r:") as tar:
            yield Archive(tar)
    except tarfile.TarError as error:
        raise BadBackup(f"{file} is not a backup, or it is cut off: {error}") from error


def _manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    if first is None or first.name != _MANIFEST or first.size > _LONGEST_MANIFEST:
        raise BadBackup(f"it does not begin with {_MANIFEST}")
    read = tar.extractfile(first)
    try:
        manifest = json.loads(read.read() if read is not None else b"")
    except (ValueError, RecursionError) as error:
        raise BadBackup(f"its {_MANIFEST} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise BadBackup(f"its {_MANIFEST} is not an object")
    return manifest


def _missing(digests: Mapping[str, object]) -> list[str]:
    return [name for name in MEMBERS if name != "network.yaml" and name not in digests]


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(read: IO[bytes], file: BinaryIO) -> str:
    """Copy to the end and to the disk; what was copied, digested."""
    digest = hashlib.sha256()
    while chunk := read.read(_CHUNK):
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()
