"""`umbel backup` and `umbel restore` with both databases: what comes back, and what is refused."""

import asyncio
import fcntl
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.postgres import Cluster
from umbel import bootstrap, migrations
from umbel.catalogue import console
from umbel.catalogue.model import UserRole
from umbel.cli import app
from umbel.kit.config import Settings
from umbel.kit.copies import copies_of
from umbel.kit.errors import UmbelError

PASSWORD = "correct horse battery"


def umbel(*words: object, **env: str) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


def refused(result: Result, code: str, said: str = "") -> bool:
    assert f"({code})" in result.stderr, result.output
    assert said in result.stderr
    return result.exit_code == 2


async def made(settings: Settings) -> None:
    """An installation with keys and an account."""
    async with bootstrap.opened(settings):
        pass
    await console.add(settings, "ann", PASSWORD, UserRole.OPERATOR, "")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installation")
    asyncio.run(made(Settings(data_dir=folder)))
    return folder


@pytest.fixture
def here(tmp_path: Path, installation: Path) -> Settings:
    """An installation of the test's own, which does not run."""
    shutil.copytree(installation, tmp_path / "here")
    return Settings(data_dir=tmp_path / "here")


@pytest.fixture
def backup(here: Settings, tmp_path: Path) -> Path:
    file = tmp_path / "umbel.tar"
    done = umbel("backup", file, "--data-dir", here.data_dir)
    assert done.exit_code == 0, done.output
    return file


def everything(folder: Path) -> dict[str, int]:
    """Each path below the folder with its mode."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
    }


@pytest.fixture
def other_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """An empty database of the same kind; none: the default in the data directory."""
    if database_url.startswith("sqlite"):
        return ""
    running: Cluster = request.getfixturevalue("postgresql")
    return running.fresh()


async def test_a_running_platform_comes_back_elsewhere(
    tmp_path: Path, database_url: str, other_url: str
) -> None:
    network, file = tmp_path / "net.yaml", tmp_path / "umbel.tar"
    network.write_text("nodes: []\n")
    here = Settings(data_dir=tmp_path / "here", database_url=database_url)
    there = Settings(data_dir=tmp_path / "there", database_url=other_url)
    async with bootstrap.opened(here) as system:
        provider = await system.catalogue.add_provider("Town Hall", "pe1")
        await system.catalogue.add_user("ann", PASSWORD, UserRole.OPERATOR)
        words = ("backup", file, "--data-dir", here.data_dir, "--network", network)
        done = await asyncio.to_thread(umbel, *words, UMBEL_DATABASE_URL=database_url)
        assert done.exit_code == 0, done.output
        assert f"schema {migrations.newest()}" in done.stdout
        await system.catalogue.add_user("late", PASSWORD, UserRole.VIEWER)
        keys = (system.secrets.master, system.secrets.signer.public_key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".umbel-backup*")) == []

    done = await asyncio.to_thread(
        umbel, "restore", file, "--data-dir", there.data_dir, UMBEL_DATABASE_URL=other_url
    )
    assert done.exit_code == 0, done.output
    restored = there.data_dir / "network.yaml"
    assert (restored.read_text(), str(restored) in done.stdout) == ("nodes: []\n", True)
    assert set(everything(there.data_dir).values()) == {0o600, 0o700}
    assert not (there.data_dir / ".restoring").exists()
    async with bootstrap.opened(there) as system:
        assert await system.catalogue.provider(provider.id) == provider
        assert [user.username for user in await system.catalogue.users()] == ["ann"]
        await system.catalogue.authenticate("ann", PASSWORD, "127.0.0.1")
        assert (system.secrets.master, system.secrets.signer.public_key) == keys


def test_a_copy_is_one_snapshot_whatever_is_written_during_it(tmp_path: Path) -> None:
    path, steps = tmp_path / "a.db", []
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (filler BLOB)")
        writer.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
            " INSERT INTO t SELECT zeroblob(200000) FROM n"
        )

        def write(done: int, total: int) -> None:
            steps.append((done, total))
            if len(steps) < 50:  # ends, even where each write starts the copy again
                writer.execute("INSERT INTO t VALUES (zeroblob(1))")

        copies_of(f"sqlite:///{path}").dump(tmp_path / "copy", write)
        assert len({total for _, total in steps}) == 1, steps
        assert len(steps) > 3
        assert [done for done, _ in steps] == sorted({done for done, _ in steps})
        with closing(sqlite3.connect(tmp_path / "copy")) as copy:
            assert copy.execute("SELECT count(*) FROM t").fetchone() == (100,)
    assert sorted(one.name for one in tmp_path.glob("copy*")) == ["copy"]


def test_a_backup_replaces_no_file(here: Settings, backup: Path) -> None:
    before = backup.read_bytes()
    assert refused(umbel("backup", backup, "--data-dir", here.data_dir), "umbel.file_exists")
    assert backup.read_bytes() == before


def test_there_must_be_a_platform(tmp_path: Path) -> None:
    file = tmp_path / "umbel.tar"
    assert refused(umbel("backup", file, "--data-dir", tmp_path / "no"), "umbel.no_database")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_not_backed_up(here: Settings, tmp_path: Path) -> None:
    path, file = here.data_dir / "umbel.db", tmp_path / "umbel.tar"
    with path.open("r+b") as database:
        database.seek(4096 * 3)
        database.write(b"\xff" * 4096 * 3)
    assert refused(umbel("backup", file, "--data-dir", here.data_dir), "umbel.database_damaged")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["here"]


async def test_a_restore_needs_room(tmp_path: Path, here: Settings) -> None:
    file = tmp_path / "umbel.tar"
    await asyncio.to_thread(umbel, "backup", file, "--data-dir", here.data_dir)
    before = everything(here.data_dir)
    words = ("restore", file, "--data-dir", here.data_dir)
    assert refused(await asyncio.to_thread(umbel, *words), "umbel.not_empty", "is not empty")
    assert everything(here.data_dir) == before
    async with bootstrap.opened(here):
        assert refused(await asyncio.to_thread(umbel, *words), "umbel.platform_runs")
    assert everything(here.data_dir) == before


def test_a_restore_needs_an_empty_database_of_the_same_kind(
    tmp_path: Path, backup: Path, here: Settings, postgresql: Cluster
) -> None:
    words = ("restore", backup, "--data-dir", tmp_path / "there")
    used = f"sqlite:///{here.data_dir / 'umbel.db'}"
    assert refused(umbel(*words, UMBEL_DATABASE_URL=used), "umbel.not_empty", "the database")
    url = postgresql.fresh()
    assert refused(umbel(*words, UMBEL_DATABASE_URL=url), "umbel.bad_backup", "sqlite database")
    assert list((tmp_path / "there").iterdir()) == []


def repacked(backup: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The backup with other members, and digests that fit them."""
    made = io.BytesIO()
    with tarfile.open(backup) as old, tarfile.open(fileobj=made, mode="w") as new:
        members: dict[str, bytes] = {one.name: old.extractfile(one).read() for one in old}
        manifest = json.loads(members.pop("backup.json"))
        members = {k: v for k in members if (v := change(k, members[k])) is not None}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
        facts = change("backup.json", json.dumps(manifest | {"sha256": digests}).encode()) or b""
        for name, data in {"backup.json": facts, **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    backup.write_bytes(made.getvalue())
    return backup


def test_what_is_no_whole_backup_of_ours_is_refused(tmp_path: Path, backup: Path) -> None:
    whole = backup.read_bytes()

    def restored(file: Path) -> Result:
        return umbel("restore", file, "--data-dir", tmp_path / "there")

    def put(name: str, old: bytes, new: bytes) -> Callable[[str, bytes], bytes]:
        return lambda found, data: data.replace(old, new) if found == name else data

    flipped = whole.replace(b"BEGIN PRIVATE", b"BEGIN PRIVATF")
    assert flipped != whole
    for content in (flipped, whole[: len(whole) // 2], whole[2048:], b"no tar", b""):
        backup.write_bytes(content)
        assert refused(restored(backup), "umbel.bad_backup"), content[:80]
    for change in (
        lambda name, data: None if name == "keys/master.key" else data,
        put("backup.json", b'"format": 1', b'"format": 2'),
        put("backup.json", b'"keys/master.key"', b'"../../escaped"'),
        put("backup.json", b'"schema"', b'"scheme"'),
        put("backup.json", b"{", b"["),
        put("backup.json", b'"format": 1', b'"format": ' + b"[" * 60_000),
        put("backup.json", b'"sha256": {', b'"sha256": [["a", 1], [2, 3]], "other": {'),
    ):
        backup.write_bytes(whole)
        assert refused(restored(repacked(backup, change)), "umbel.bad_backup")
    newest = migrations.newest().encode()
    backup.write_bytes(whole)
    newer = repacked(backup, put("backup.json", b'"' + newest + b'"', b'"9999"'))
    assert refused(restored(newer), "umbel.schema_unknown", "9999")
    backup.write_bytes(whole)
    lost = repacked(backup, lambda name, data: b"no database" if name == "database" else data)
    assert refused(restored(lost), "umbel.database_damaged")
    assert list((tmp_path / "there").iterdir()) == []
    backup.write_bytes(whole)
    assert restored(backup).exit_code == 0


def test_a_link_in_a_tar_leads_nowhere(tmp_path: Path, backup: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 32)
    with tarfile.open(backup) as tar:
        members = [(one, tar.extractfile(one).read()) for one in tar]
    with tarfile.open(backup, "w") as tar:
        for member, data in members:
            if member.name == "keys/master.key":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, str(secret), 0
            tar.addfile(member, io.BytesIO(data))
    done = umbel("restore", backup, "--data-dir", tmp_path / "there")
    assert refused(done, "umbel.bad_backup", "is not a file")


def test_an_interrupted_restore_keeps_the_platform_from_starting(
    tmp_path: Path, backup: Path
) -> None:
    there = tmp_path / "there"
    (there / ".restoring" / "keys").mkdir(parents=True)
    (there / "keys").mkdir()
    (there / "umbel.db").write_bytes(b"half")
    words = ("--data-dir", there)
    assert refused(umbel("user", "list", *words), "umbel.restore_unfinished")
    with pytest.raises(UmbelError, match="interrupted"):
        asyncio.run(made(Settings(data_dir=there)))
    descriptor = os.open(there / ".restoring", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert refused(umbel("restore", backup, *words), "umbel.not_empty", "another restore")
    finally:
        os.close(descriptor)
    assert umbel("restore", backup, *words).exit_code == 0
    assert "ann" in umbel("user", "list", *words).stdout


def test_postgresql_needs_its_programs(
    tmp_path: Path, postgresql: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.fresh()
    here = Settings(data_dir=tmp_path / "here", database_url=url)
    asyncio.run(made(here))
    words = ("backup", tmp_path / "umbel.tar", "--data-dir", here.data_dir)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        done = umbel(*words, UMBEL_DATABASE_URL=url)
    assert refused(done, "umbel.program_missing", "postgresql-client")
    gone = url.replace("/umbel_", "/gone_")
    assert refused(umbel(*words, UMBEL_DATABASE_URL=gone), "umbel.database_unavailable")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["here"]


def test_a_postgresql_restore_that_fails_leaves_nothing(
    tmp_path: Path, postgresql: Cluster
) -> None:
    url, other, file = postgresql.fresh(), postgresql.fresh(), tmp_path / "umbel.tar"
    asyncio.run(made(Settings(data_dir=tmp_path / "here", database_url=url)))
    done = umbel("backup", file, "--data-dir", tmp_path / "here", UMBEL_DATABASE_URL=url)
    assert done.exit_code == 0, done.output
    cut = repacked(file, lambda name, data: data[:-40] if name == "database" else data)
    words = ("restore", cut, "--data-dir", tmp_path / "there")
    done = umbel(*words, UMBEL_DATABASE_URL=other)
    assert refused(done, "umbel.program_failed", "pg_restore"), done.output
    assert list((tmp_path / "there").iterdir()) == []
    assert copies_of(other).is_empty()
    assert not copies_of(url).is_empty()


def test_a_password_is_no_argument_of_a_program(
    tmp_path: Path, postgresql: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.fresh().replace("postgres@", "postgres:secret@")
    asyncio.run(made(Settings(data_dir=tmp_path / "here", database_url=url)))
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "pg_dump"
    program.write_text('#!/bin/sh\necho "$PGPASSWORD $*" >&2; exit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    words = ("backup", tmp_path / "umbel.tar", "--data-dir", tmp_path / "here")
    done = umbel(*words, UMBEL_DATABASE_URL=url)
    assert refused(done, "umbel.program_failed", "pg_dump ended with status 3: secret --no-owner")
    assert done.stderr.count("secret") == 1


def test_accounts_are_listed_and_removed(here: Settings) -> None:
    words = ("--data-dir", here.data_dir)
    assert umbel("user", "add", "eve", *words, UMBEL_PASSWORD=PASSWORD).exit_code == 0
    rows = [line.split() for line in umbel("user", "list", *words).stdout.splitlines()]
    assert rows == [["name", "role", "provider"], ["ann", "operator"], ["eve", "viewer"]]
    assert refused(umbel("user", "remove", "ann", *words), "umbel.last_operator")
    assert umbel("user", "remove", "eve", *words).stdout == "removed eve\n"
    assert refused(umbel("user", "remove", "eve", *words), "umbel.no_such_user")


def test_the_release_is_shown() -> None:
    assert umbel("--version").stdout == "umbel 0.1.0\n"
    shown = umbel("version").stdout.splitlines()
    assert shown[:2] == ["umbel 0.1.0", f"schema {migrations.newest()}"]


def test_a_wrong_folder_is_said_and_not_made(tmp_path: Path) -> None:
    words = ("--data-dir", tmp_path / "typo")
    for command in (("list",), ("remove", "ann"), ("password", "ann")):
        done = umbel("user", *command, *words, UMBEL_PASSWORD=PASSWORD)
        assert refused(done, "umbel.no_database")
    assert list(tmp_path.iterdir()) == []
