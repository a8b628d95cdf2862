"""The Debian package: what is in it, and a fresh Debian that installs, runs and purges it.

As root: mmdebstrap makes the Debian, and a mount namespace gives it a /proc of its own.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import umbel
from support import nspawn
from support.leftovers import Leftover, noted
from support.nspawn import Booted
from support.packages import INSTALLS_S, MARKS, ROOT, release, run
from support.waiting import until

START_S = 120.0
ASK = """
from urllib.request import urlopen
print(urlopen("http://127.0.0.1:8000/healthz", timeout=5).status)
"""

pytestmark = MARKS


@pytest.fixture(scope="session")
def unpacked(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    run("dpkg-deb", "--raw-extract", deb, folder)
    return folder


@pytest.fixture(scope="session")
def debian(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh Debian of this machine's release with the package in it."""
    folder = tmp_path_factory.mktemp("debian") / "root"
    with noted(Leftover(folder=str(folder))):
        try:
            run(
                *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
                "--include=systemd-sysv,dbus",
                f"--customize-hook=copy-in {deb} /tmp",
                '--customize-hook=chroot "$1" apt-get install -y --no-install-recommends'
                f" /tmp/{deb.name}",
                *(release(), folder),
                within_s=INSTALLS_S,
            )
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def inside(folder: Path, *words: str) -> list[str]:
    """A command in the Debian, with the kernel's files of a namespace of its own."""
    mounts = f"mount -t proc proc {folder}/proc && mount -t tmpfs tmpfs {folder}/dev/shm"
    mounts += f' && exec chroot {folder} "$@"'
    return ["unshare", "--mount", "sh", "-c", mounts, "sh", *words]


def test_its_control_file_and_modes(deb: Path, unpacked: Path) -> None:
    fields = run("dpkg-deb", "--field", deb)
    assert f"Version: {umbel.__version__}\n" in fields
    for package in (ROOT / "packaging" / "apt-target.txt").read_text().splitlines()[1:]:
        assert package in fields
    assert (unpacked / "DEBIAN" / "conffiles").read_text() == "/etc/umbel/umbel.env\n"
    listed = run("dpkg-deb", "--contents", deb)
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}
    assert re.search(r"-rw-r----- .* \./etc/umbel/umbel\.env$", listed, re.MULTILINE)
    assert "./usr/lib/umbel/lib/python" in listed
    assert "umbel/portal/static/index.html" in listed


def test_it_names_no_path_of_where_it_was_built(unpacked: Path) -> None:
    found = subprocess.run(
        ["grep", "-rl", str(ROOT), str(unpacked)], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


def test_its_unit_is_valid_and_closed(unpacked: Path) -> None:
    unit = unpacked / "usr/lib/systemd/system/umbel.service"
    (unpacked / "usr/lib/umbel/bin").mkdir(parents=True, exist_ok=True)
    run("systemd-analyze", "verify", "--recursive-errors=no", f"--root={unpacked}", "umbel.service")
    assert "KillMode=process\n" in unit.read_text()
    assert "Environment=TMPDIR=/var/lib/umbel/tmp\n" in unit.read_text(), "/tmp is read-only"
    exposure = run("systemd-analyze", "security", "--offline=true", "--threshold=30", unit)
    assert "Overall exposure level" in exposure


def test_a_fresh_debian_runs_the_platform_as_its_own_user(debian: Path) -> None:
    data = debian / "var" / "lib" / "umbel"
    assert data.stat().st_mode & 0o777 == 0o700
    assert data.owner() != "root" or data.stat().st_uid != 0
    assert (debian / "etc/umbel/umbel.env").stat().st_mode & 0o777 == 0o640
    wants = debian / "etc/systemd/system/multi-user.target.wants/umbel.service"
    assert wants.is_symlink()
    shown = run(*inside(debian, "/usr/bin/umbel", "version"))
    assert f"umbel {umbel.__version__}\n" in shown
    add = ("env", "UMBEL_PASSWORD=correct horse", "umbelctl", "user", "add", "ann")
    run(*inside(debian, *add, "--role", "operator"))
    assert "ann" in run(*inside(debian, "umbelctl", "user", "list"))
    ready = data / "url"
    serve = ("umbelctl", "serve", "--port", "0", "--ready-file", "/var/lib/umbel/url")
    process = subprocess.Popen(inside(debian, *serve), start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists() or not ready.read_text():
            assert process.poll() is None
            assert time.monotonic() < deadline
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.2)
        url = ready.read_text()
        owners = {path.stat().st_uid for path in data.rglob("*")}
        assert owners == {data.stat().st_uid}
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert "<title>" in httpx.get(url).text
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM, 143)


@pytest.mark.skipif(bool(nspawn.ABSENT), reason=nspawn.ABSENT)
async def test_systemd_runs_the_service_and_starts_it_again(debian: Path, tmp_path: Path) -> None:
    def main_pid(town: Booted) -> str:
        return town.run(
            "systemctl", "show", "umbel.service", "--property=MainPID", "--value"
        ).strip()

    with nspawn.machine(debian, tmp_path / "console.log") as town:
        town.boot()

        async def is_healthy() -> bool:
            return town.run("/usr/lib/umbel/bin/python", "-c", ASK) == "200\n"

        await until(is_healthy, within_s=START_S)
        first = main_pid(town)
        owner = town.run("ps", "-o", "user=", "-p", first).strip()
        assert owner == "umbel"
        assert "umbel" in town.run("journalctl", "--no-pager", "--unit=umbel.service")
        town.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "umbel.service")
        await until(is_healthy, within_s=START_S)
        assert main_pid(town) not in {first, "0"}


def test_gstreamer_works_in_it(debian: Path) -> None:
    program = (
        "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst;"
        " Gst.init(None); print([n for n in ('x264enc', 'opusenc', 'avdec_aac', 'srtsrc')"
        " if Gst.ElementFactory.find(n) is None])"
    )
    assert run(*inside(debian, "/usr/lib/umbel/bin/python", "-c", program)) == "[]\n"


def test_purging_it_leaves_nothing(debian: Path) -> None:
    run(*inside(debian, "apt-get", "purge", "-y", "umbel"))
    for path in ("var/lib/umbel", "etc/umbel", "usr/lib/umbel", "usr/bin/umbel"):
        assert not (debian / path).exists(), path
    assert "umbel:" not in (debian / "etc/passwd").read_text()
