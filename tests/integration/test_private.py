"""What is kept on disk is for its owner alone, also in a folder that was open to everybody."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel import migrations
from umbel.bootstrap.secrets import load_secrets
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


def test_links_are_left_alone(tmp_path: Path) -> None:
    target, inside = tmp_path / "theirs", tmp_path / "ours"
    target.touch(mode=0o644)
    inside.mkdir()
    (inside / "link").symlink_to(target)
    private.ensure_folder(inside)
    assert target.stat().st_mode & 0o777 == 0o644
