"""A Debian machine with systemd, in kernel namespaces of its own, with an address that this machine
reaches. It is booted, loses its power, and is booted again.

In: the folder of a root file system, which `mmdebstrap` made. As root; systemd-nspawn runs it.
"""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.leftovers import Leftover, noted

ABSENT = "" if shutil.which("systemd-nspawn") else "systemd-nspawn is not installed"

# What would change this machine's kernel or look for hardware.
_MASKED = (
    "systemd-sysctl.service",
    "systemd-tmpfiles-setup.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
)


@dataclass(kw_only=True)
class Booted:
    """A machine at `address`; ours, on the other end of its cable, is `neighbour`."""

    root: Path
    namespace: str
    neighbour: str
    address: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def boot(self) -> None:
        """Switch it on."""
        words = [
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot"),
            *("--register=no", "--keep-unit", "--console=pipe", f"--machine={self.namespace}"),
            f"--network-namespace-path=/run/netns/{self.namespace}",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def lose_power(self) -> None:
        """All its processes are gone at once: those of a namespace end with its first one."""
        if self.process is None:
            return
        first = self._first()
        if first is None:
            self.process.kill()
        else:
            os.kill(first, signal.SIGKILL)
        self.process.wait(60)
        self.process = None

    def run(self, *words: str) -> str:
        """What the command says on the machine, whatever its status; nothing before it is on."""
        first = self._first()
        if first is None:
            return ""
        enter = ("nsenter", f"--target={first}", "--mount", "--pid", "--uts", "--ipc", "--net")
        done = subprocess.run(
            [*enter, "--cgroup", *words], capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def _first(self) -> int | None:
        """The pid of the machine's first process, as this machine numbers it."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None


@contextmanager
def machine(root: Path, log: Path) -> Iterator[Booted]:
    """The machine of that file system, switched off."""
    for unit in _MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    name = f"ubm{secrets.token_hex(4)}"
    # A net of four addresses that no other run has, most likely.
    high, low = secrets.randbelow(64), secrets.randbelow(1 << 14) << 2
    base = f"10.{192 + high}.{low >> 8}"
    ours, theirs = f"{base}.{(low & 0xFF) + 1}", f"{base}.{(low & 0xFF) + 2}"
    made = Booted(root=root, namespace=name, neighbour=ours, address=theirs, log=log)
    with noted(Leftover(namespace=name)):
        try:
            _cable(made)
            yield made
        finally:
            made.lose_power()
            subprocess.run(["ip", "netns", "delete", name], check=False)


def _cable(made: Booted) -> None:
    """From this machine to that one, by a pair of interfaces."""
    near, name = f"{made.namespace}-0", made.namespace
    for words in (
        ("netns", "add", name),
        ("link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", name),
        ("address", "add", f"{made.neighbour}/30", "dev", near),
        ("link", "set", near, "up"),
        ("-n", name, "address", "add", f"{made.address}/30", "dev", "eth0"),
        ("-n", name, "link", "set", "eth0", "up"),
        ("-n", name, "link", "set", "lo", "up"),
    ):
        subprocess.run(["ip", *words], check=True, capture_output=True)
