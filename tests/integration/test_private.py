"""What is kept on disk is for its owner alone, also in a folder that was open to everybody."""

import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from umbel import migrations
from umbel.bootstrap import drivers
from umbel.bootstrap.secrets import BadKeyFile, load_secrets
from umbel.compute.drivers.process.records import Record, Records
from umbel.kit import private
from umbel.kit.db import Database


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory that somebody made before, with files that everybody may read."""
    for name in ("keys", "functions", "ready", "logs"):
        (tmp_path / name).mkdir(mode=0o777)
    for name in ("functions/a.json", "ready/a.json", "logs/a.log", "keys/public.pem", "umbel.db"):
        (tmp_path / name).touch(mode=0o666)
    return tmp_path


def modes(folder: Path) -> dict[str, int]:
    inside = sorted(folder.rglob("*"))
    return {str(one.relative_to(folder)): one.stat().st_mode & 0o777 for one in inside}


async def test_an_open_folder_is_closed_at_the_start(folder: Path) -> None:
    load_secrets(folder / "keys")
    records = Records(folder)
    records.put(Record(id="b", owner="o", description="d", node="n", address="127.0.0.1"))
    database = Database(f"sqlite:///{folder / 'umbel.db'}")
    try:
        await migrations.upgrade(database)
        found = modes(folder)
    finally:
        await database.close()
    folders = {name: mode for name, mode in found.items() if (folder / name).is_dir()}
    assert folders == dict.fromkeys(("functions", "keys", "logs", "ready"), 0o700)
    files = {name: mode for name, mode in found.items() if name not in folders}
    assert {"umbel.db", "keys/master.key", "functions/a.json", "functions/b.json"} <= set(files)
    assert files == dict.fromkeys(files, 0o600)


async def test_helper_files_of_a_database_are_closed_too(folder: Path) -> None:
    for helper in ("umbel.db-wal", "umbel.db-shm"):
        (folder / helper).touch(mode=0o666)
    database = Database(f"sqlite:///{folder / 'umbel.db'}")
    try:
        await migrations.upgrade(database)
        found = modes(folder)
        assert {found[name] for name in found if name.startswith("umbel.db")} == {0o600}
    finally:
        await database.close()


@contextmanager
def full_disk() -> Iterator[None]:
    """Files cannot grow beyond a few bytes: a write fails in its middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    private.write(path, b"as it was before")
    with full_disk(), pytest.raises(OSError, match="File too large"):
        private.write(path, b"as it is to be afterwards")
    assert path.read_bytes() == b"as it was before"
    assert [one.name for one in tmp_path.iterdir()] == ["record.json"]


def test_keys_that_could_not_be_written_are_made_at_the_next_start(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large"):
        load_secrets(tmp_path)
    made = load_secrets(tmp_path)
    assert len(made.master) == 32
    again = load_secrets(tmp_path)
    assert (again.master, again.signer.public_key) == (made.master, made.signer.public_key)


def test_an_installation_is_told_from_others(tmp_path: Path) -> None:
    ours, again, other = (load_secrets(tmp_path / name) for name in ("a", "a", "b"))
    assert ours.installation == again.installation != other.installation
    assert ours.installation not in ours.master.hex()


def test_the_first_of_several_instances_makes_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: private.write_once(path, bytes([n]) * 32), range(8)))
    assert made.count(True) == 1
    assert path.read_bytes() == bytes([made.index(True)]) * 32


@pytest.mark.parametrize("name", ["master.key", "signing.pem"])
@pytest.mark.parametrize("content", [b"", b"half a key"])
def test_a_key_file_without_a_key_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadKeyFile, match=name):
        load_secrets(tmp_path)
    assert (tmp_path / name).read_bytes() == content


def test_links_are_left_alone(tmp_path: Path) -> None:
    target, inside = tmp_path / "theirs", tmp_path / "ours"
    target.touch(mode=0o644)
    inside.mkdir()
    (inside / "link").symlink_to(target)
    private.ensure_folder(inside)
    assert target.stat().st_mode & 0o777 == 0o644


def test_the_certificate_towards_hypervisors_follows_another_master_key(tmp_path: Path) -> None:
    secrets = load_secrets(tmp_path / "keys")
    folder = drivers._own_certificate(tmp_path, secrets)
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(files) == {"cacert.pem", "clientcert.pem", "clientkey.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert drivers._own_certificate(tmp_path, secrets) == folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == files
    (tmp_path / "keys/master.key").write_bytes(bytes(32))
    drivers._own_certificate(tmp_path, load_secrets(tmp_path / "keys"))
    assert all(path.read_text() != files[path.name] for path in folder.iterdir())
