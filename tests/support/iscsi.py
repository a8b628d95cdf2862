"""An iSCSI target of the test's own: tgtd, with plain files as its logical units."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from support.libvirt_worlds import Ground
from support.waiting import poll_while_running

IQN = "iqn.2026-11.net.example:guests"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SCSI = Path("/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so")


def absent() -> str:
    """Why no target can run here, or no guest's disk be at one; empty when both can."""
    if os.geteuid() != 0:
        return "not root: an iSCSI target cannot be made"
    missing = [] if shutil.which("tgtd", path=_PATH) else ["tgt"]
    missing += [] if _SCSI.exists() else ["qemu-block-extra"]
    return f"not installed: {', '.join(missing)}" if missing else ""


ABSENT = absent()


@dataclass(frozen=True, kw_only=True)
class Target:
    """A target; the files are those of its logical units, from number 1 on."""

    place: str
    files: tuple[Path, ...]

    def luns(self, first: int, last: int) -> str:
        """Some of them, as a hypervisor is given them."""
        return f"{self.place}/{first}-{last}"


@contextmanager
def target(address: str, folder: Path, luns: int, size_mb: int) -> Iterator[Target]:
    """A target at that address; everything of it is gone afterwards."""
    files = tuple(folder / f"lun-{number}" for number in range(1, luns + 1))
    for file in files:
        with file.open("wb") as made:
            made.truncate(size_mb * 2**20)
    port, control = _free_port(address), str(1 + secrets.randbelow(30_000))
    words = ["tgtd", "-f", "--iscsi", f"portal={address}:{port}", "--control-port", control]
    with (folder / "tgtd.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": _PATH},
        )
        try:
            _until_up(process, control, folder / "tgtd.log")
            _admin(control, "new", "target", "--targetname", IQN)
            for number, file in enumerate(files, start=1):
                unit = ("--lun", str(number), "--backing-store", str(file))
                _admin(control, "new", "logicalunit", *unit)
            _admin(control, "bind", "target", "--initiator-address", "ALL")
            yield Target(place=f"{address}:{port}/{IQN}", files=files)
        finally:
            process.kill()
            process.wait()
            for left in Path("/run/tgtd").glob(f"socket.{control}*"):
                left.unlink()


def at_target(below: Ground, made: Target) -> Ground:
    """The hypervisors, of which each gives its guest a logical unit of its own."""
    found = []
    for number, real in enumerate((below.a, below.b), start=1):
        real.reach_host()
        luns = made.luns(number, number)
        found.append(replace(real, hypervisor=replace(real.hypervisor, iscsi=luns)))
    return replace(below, a=found[0], b=found[1])


def _free_port(address: str) -> int:
    with closing(socket.socket()) as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


def _until_up(process: "subprocess.Popen[bytes]", control: str, log: Path) -> None:
    def is_up() -> bool:
        return _tgtadm(control, "--op", "show", "--mode", "target").returncode == 0

    poll_while_running(is_up, process, said=log.read_text)


def _admin(control: str, operation: str, mode: str, *more: str) -> None:
    done = _tgtadm(control, "--op", operation, "--mode", mode, "--tid", "1", *more)
    assert done.returncode == 0, f"{operation} {mode}: {done.stderr.decode()}"


def _tgtadm(control: str, *words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["tgtadm", "--control-port", control, "--lld", "iscsi", *words],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, "PATH": _PATH},
    )
