"""The whole installation as one file, and an installation of such a file.

In: settings and a path. Out: a tar of mode 0600 with a consistent copy of the database, the keys
and the network file; or the data directory and database that it was made of. A restore is whole or
not there: until its end a mark in the data directory keeps the platform from starting.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import umbel
from umbel import migrations
from umbel.bootstrap import archive
from umbel.bootstrap.archive import BadBackup, Facts
from umbel.kit import instances
from umbel.kit.config import Settings
from umbel.kit.copies import NoDatabase, copies_of
from umbel.kit.data_dir import RESTORE_MARK
from umbel.kit.errors import Conflict
from umbel.migrations import SchemaUnknown

OnProgress = Callable[[str, int, int], None]
"""Called with a step's name, what is done of it, and of how much."""

_KEYS = ("signing.pem", "public.pem", "master.key")
_NETWORK = "network.yaml"
_OF_THE_DISK = ("lost+found", RESTORE_MARK)


class FileExists(Conflict):
    """There is a file of this name: choose another one."""

    code = "umbel.file_exists"


class PlatformRuns(Conflict):
    """A platform runs on this data directory: stop it first."""

    code = "umbel.platform_runs"


class NotEmpty(Conflict):
    """A restore needs an empty data directory and an empty database."""

    code = "umbel.not_empty"


def back_up(settings: Settings, file: Path, on_progress: OnProgress, now_s: float) -> Facts:
    """Write a backup of the installation, which may run. Raises FileExists, NoDatabase,
    SchemaUnknown, OSError, and what copying a database raises."""
    if file.exists():
        raise FileExists(f"there is already a file {file}")
    members = {f"keys/{name}": settings.data_dir / "keys" / name for name in _KEYS}
    if missing := [str(path) for path in members.values() if not path.is_file()]:
        raise NoDatabase(f"there is no platform in {settings.data_dir}: it has no {missing[0]}")
    if settings.network_file is not None:
        members[_NETWORK] = settings.network_file
    with tempfile.TemporaryDirectory(prefix=".umbel-backup-", dir=file.parent) as folder:
        copy, draft = Path(folder) / "database", Path(folder) / "backup.tar"
        copies = copies_of(settings.database)
        facts = Facts(
            umbel=umbel.__version__,
            created_at=datetime.fromtimestamp(int(now_s), UTC).isoformat(),
            database=copies.kind,
            schema=copies.dump(copy, _step(on_progress, "database")),
        )
        _check_schema(facts)
        archive.write(draft, facts, {"database": copy, **members}, _step(on_progress, "file"))
        try:
            file.hardlink_to(draft)  # which does not replace one that was made in the meantime
        except FileExistsError as error:
            raise FileExists(f"there is already a file {file}") from error
    return facts


def restore(settings: Settings, file: Path, on_progress: OnProgress) -> tuple[Facts, Path | None]:
    """Make the installation of a backup: what it says of itself, and where the network file is, if
    it has one. Raises BadBackup, SchemaUnknown, PlatformRuns, NotEmpty, OSError, and what copying
    a database raises; then nothing is left."""
    copies = copies_of(settings.database)
    with archive.opened(file) as opened, _marked(settings.data_dir) as staging:
        _check_schema(opened.facts)
        if opened.facts.database != copies.kind:
            raise BadBackup(
                f"the backup has a {opened.facts.database} database, and UMBEL_DATABASE_URL names"
                f" a {copies.kind} one"
            )
        if not copies.is_empty():
            raise NotEmpty("the database is not empty: create a new one, or drop its tables")
        try:
            opened.extract(staging, _step(on_progress, "file"))
            (staging / "keys").rename(settings.data_dir / "keys")
            network = settings.data_dir / _NETWORK
            if has_network := (staging / _NETWORK).exists():
                (staging / _NETWORK).rename(network)
            copies.load(staging / "database", _step(on_progress, "database"))
        except BaseException:
            _clear(settings.data_dir)
            raise
        return opened.facts, network if has_network else None


@contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    """A folder in the data directory that marks the restore, and is removed at its end. What an
    interrupted restore left is removed first."""
    if instances.living(folder / "instances"):
        raise PlatformRuns(f"a platform runs on {folder}: stop it first")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = folder / RESTORE_MARK
    was_interrupted = mark.exists()
    if not was_interrupted:
        _check_folder(folder)  # only then does the mark say that all in it is a restore's
    mark.mkdir(mode=0o700, exist_ok=True)
    with _locked(mark):
        if was_interrupted:
            _clear(folder)
            for left in mark.iterdir():
                _remove(left)
        try:
            _check_folder(folder)  # again: a platform may have started in between
            yield mark
        finally:
            shutil.rmtree(mark)  # the folder itself is the last to go


@contextmanager
def _locked(mark: Path) -> Iterator[None]:
    """Hold the mark, as the only restore. The kernel ends the lock with the process."""
    descriptor = os.open(mark, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _is_first(descriptor, mark):
            raise NotEmpty(f"another restore into {mark.parent} runs")
        yield
    finally:
        os.close(descriptor)


def _is_first(descriptor: int, mark: Path) -> bool:
    """Whether the lock can be had, of the folder that still is the mark."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), mark.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _check_schema(facts: Facts) -> None:
    if facts.schema not in migrations.known():
        raise SchemaUnknown(
            f"the database has the schema {facts.schema or 'of no release'}, which Umbel"
            f" {umbel.__version__} does not know (the backup is of {facts.umbel})"
        )


def _check_folder(folder: Path) -> None:
    if found := _inside(folder):
        raise NotEmpty(f"{folder} is not empty: it has {found[0].name}. Choose another, or move it")


def _clear(folder: Path) -> None:
    for path in _inside(folder):
        _remove(path)


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name not in _OF_THE_DISK)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _step(on_progress: OnProgress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: on_progress(name, done, total)
