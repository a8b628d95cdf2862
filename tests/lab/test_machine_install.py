"""Bundles on a machine: installed next to each other, gone on with, collected, removed. Real sshd,
the real bundle."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.leftovers import Leftover, noted
from support.ssh_worlds import KEY
from support.sshd import ABSENT, Sshd, sshd
from umbel.compute.drivers.ssh.access import SshAccess
from umbel.compute.machines import bundle
from umbel.compute.machines.bundle import Bundle
from umbel.compute.machines.model import (
    HOSTS_POOL,
    HostKeyChanged,
    InstallFailed,
    Machine,
    MachineDiskFull,
    MachineInUse,
)

PYTHON = Path(f"/usr/bin/python{bundle.PYTHON}")
NO_PYTHON = "the system's Python, which bundles need, has another version"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
    pytest.mark.skipif(not PYTHON.exists(), reason=NO_PYTHON),
]


Packed = tuple[SshAccess, Bundle, Path]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """What installs, the real bundle and its file."""
    folder = tmp_path_factory.mktemp("bundles")
    made = bundle.collect()
    return SshAccess(KEY, folder), made, bundle.write(made, folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with (
        noted(Leftover(folder=str(tmp_path))),
        sshd(tmp_path / "sshd", authorized=KEY.public) as up,
    ):
        yield up


@pytest.fixture
def town(server: Sshd, tmp_path: Path) -> Machine:
    return Machine(
        name="town",
        pool=HOSTS_POOL,
        target=server.target,
        host_key=server.host_key,
        prefix=str(tmp_path / "machine" / "umbel"),
        run_as="",
    )


def nothing(_done: int, _size: int) -> None:
    """Progress that nobody looks at."""


async def test_a_bundle_is_installed_as_a_whole_and_works_alone(
    town: Machine, packed: Packed
) -> None:
    access, made, file = packed
    id_ = made.id
    moves: list[tuple[int, int]] = []
    await access.install(town, made, lambda *move: moves.append(move))
    size = file.stat().st_size
    assert moves[-1] == (size, size)
    assert moves == sorted(moves)
    bundles = Path(town.prefix) / "bundles"
    assert [one.name for one in bundles.iterdir()] == [id_]
    # With no environment of ours and nothing of ours on the path, the media server is there.
    done = subprocess.run(
        [town.layout.python(id_), "-m", "umbel.media", "--help"],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        cwd="/",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    origin = subprocess.check_output(
        [
            town.layout.python(id_),
            "-c",
            "import umbel, aioice; print(umbel.__file__, aioice.__file__)",
        ],
        env={},
        cwd="/",
        text=True,
    )
    assert all(word.startswith(f"{bundles}/{id_}/") for word in origin.split())
    again: list[tuple[int, int]] = []
    await access.install(town, made, lambda *move: again.append(move))
    assert again == []


async def test_copying_goes_on_where_it_ended(town: Machine, packed: Packed) -> None:
    access, made, file = packed
    id_ = made.id
    bundles = Path(town.prefix) / "bundles"
    bundles.mkdir(parents=True)
    half = file.stat().st_size // 2
    (bundles / f".{id_}.part").write_bytes(file.read_bytes()[:half])
    moves: list[tuple[int, int]] = []
    await access.install(town, made, lambda *move: moves.append(move))
    assert moves[0][0] > half
    assert (bundles / id_ / "bin" / "python").exists()


async def test_a_damaged_copy_is_found_and_removed(town: Machine, packed: Packed) -> None:
    access, made, _file = packed
    id_ = made.id
    bundles = Path(town.prefix) / "bundles"
    bundles.mkdir(parents=True)
    (bundles / f".{id_}.part").write_bytes(b"not what the file begins with")
    with pytest.raises(InstallFailed, match="the copy is damaged and was removed"):
        await access.install(town, made, nothing)
    assert list(bundles.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: a small disk cannot be mounted")
@pytest.mark.parametrize("megabytes", [4, 40])
async def test_a_full_disk_is_said_while_copying_and_while_unpacking(
    town: Machine, packed: Packed, megabytes: int
) -> None:
    access, made, file = packed
    id_ = made.id
    assert 4 < file.stat().st_size / 1e6 < 40
    small = Path(tempfile.mkdtemp(prefix="umbel-small-disk-"))
    with noted(Leftover(folder=str(small))):
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(small)], check=True
        )
        try:
            there = replace(town, prefix=f"{small}/umbel/here")
            with pytest.raises(MachineDiskFull, match="The disk of town is full"):
                await access.install(there, made, nothing)
            assert not (small / "umbel/here/bundles" / id_).exists()
        finally:
            subprocess.run(["umount", "--lazy", str(small)], check=True)
    shutil.rmtree(small, ignore_errors=True)


async def test_bundles_that_nothing_runs_out_of_are_collected(
    town: Machine, packed: Packed
) -> None:
    access, made, _file = packed
    id_ = made.id
    await access.install(town, made, nothing)
    bundles = Path(town.prefix) / "bundles"
    for name in ("old", "used"):
        (bundles / name / "bin").mkdir(parents=True)
        (bundles / name / "bin" / "python").symlink_to("/bin/sleep")
    running = await asyncio.create_subprocess_exec(bundles / "used" / "bin" / "python", "600")
    try:
        await access.collect(replace(town, bundle=id_))
        assert sorted(one.name for one in bundles.iterdir()) == sorted([id_, "used"])
        with pytest.raises(MachineInUse):
            await access.uninstall(town)
        assert (bundles / id_).exists()
    finally:
        running.kill()
        await running.wait()
    await access.collect(replace(town, bundle=id_))
    assert [one.name for one in bundles.iterdir()] == [id_]
    await access.uninstall(town)
    assert not Path(town.prefix).exists()
    await access.uninstall(town)


async def test_a_folder_of_somebody_else_is_not_removed(town: Machine, packed: Packed) -> None:
    access, _, _ = packed
    Path(town.prefix).mkdir(parents=True)
    with pytest.raises(InstallFailed, match="was not made by umbel"):
        await access.uninstall(town)
    assert Path(town.prefix).exists()


async def test_nothing_is_installed_where_the_host_key_is_another(
    town: Machine, packed: Packed, tmp_path: Path
) -> None:
    with sshd(tmp_path / "other", authorized=KEY.public) as other:
        changed = replace(town, target=other.target)
        with pytest.raises(HostKeyChanged):
            await packed[0].install(changed, packed[1], nothing)
    assert not Path(town.prefix).exists()


def test_the_same_packages_give_the_same_bundle(packed: Packed, tmp_path: Path) -> None:
    _, made, file = packed
    id_ = made.id
    again = bundle.collect()
    assert again.id == id_
    assert bundle.write(again, tmp_path).read_bytes() == file.read_bytes()
    names = " ".join(again.files)
    assert "/umbel/media/main.py" in names
    assert "/sqlalchemy/" not in names
    assert ".." not in names
