"""A machine of an OpenStack lab: a network namespace with a host name of its own, and Debian's own
files below a layer of its own, so that nothing of what runs there reaches this machine's files.

    with machine("pe1", folder, ROOT, link) as made:
        made.run("nova-compute", "nova-compute"); made.call("nova-manage", "db", "sync")

All its processes end with it, by their ids.
"""

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from support.kube_api import ip
from support.leftovers import Leftover, noted
from support.waiting import poll_until
from umbel.kit import netns

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    # They are made for many small processes; each of these is one of many here.
    "OPENBLAS_NUM_THREADS": "1",
}
_WITHIN_S = 300.0


@dataclass(kw_only=True)
class Machine:
    """A machine. `address` is its own; `folder` has its layer and what its programs said."""

    name: str
    address: str
    folder: Path
    namespace: str
    holder: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Its files, as it sees them."""
        return Path(f"/proc/{self.holder}/root") if self.holder else self.folder / "top"

    def write(self, path: str, text: str) -> None:
        """A file there."""
        there = self.root / path.removeprefix("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)

    def run(self, name: str, *words: str, **environment: str) -> None:
        """Run a program until it is ended; `name` is what it is called here."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self._inside(), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_ENVIRONMENT | environment,
            )

    def call(self, *words: str, within_s: float = _WITHIN_S, **environment: str) -> str:
        """What a program says there that ends by itself."""
        done = subprocess.run(
            [*self._inside(), *words],
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
            env=_ENVIRONMENT | environment,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def end(self, name: str) -> None:
        """As kill -9."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def said(self, name: str) -> str:
        """The end of what a program wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-6000:]

    def alive(self, name: str) -> bool:
        """Whether it still runs."""
        return self.processes[name].poll() is None

    def until(self, holds: Callable[[], bool], name: str, within_s: float = _WITHIN_S) -> None:
        """Wait for a condition that the program is to bring about."""

        def asked() -> bool:
            assert self.alive(name), self.said(name)
            return holds()

        poll_until(asked, within_s=within_s, said=partial(self.said, name), every_s=0.1)

    def kill_all(self) -> None:
        """End every process in its namespace."""
        for pid in netns.pids((self.namespace,)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in list(self.processes):
            self.end(name)

    def _inside(self) -> list[str]:
        target = ["-t", str(self.holder)]
        return ["nsenter", *target, "-m", "-u", "-n", "-r", "-w"]


@contextmanager
def machine(
    name: str, address: str, folder: Path, below: Sequence[Path], bridge: str
) -> Iterator[Machine]:
    """A machine with that address and the files in the layers `below`, the first one on top, at a
    bridge of the root namespace."""
    namespace = f"uos-{secrets.token_hex(3)}"
    home = folder / name
    with ExitStack() as stack:
        for left in (Leftover(folder=str(home)), Leftover(namespace=namespace)):
            stack.enter_context(noted(left))
            stack.callback(left.remove)
        for one in ("top", "work", "all"):
            (home / one).mkdir(parents=True)
        _connect(namespace, address, bridge)
        made = Machine(name=name, address=address, folder=home, namespace=namespace)
        stack.callback(made.kill_all)
        made.write("/etc/hostname", f"{name}\n")
        made.write("/etc/hosts", f"127.0.0.1 localhost {name}\n")
        _hold(made, below)
        yield made


def _connect(namespace: str, address: str, bridge: str) -> None:
    """The machine has its address at up0; its guests are behind lan0."""
    ip("netns", "add", namespace)
    ip("-n", namespace, "link", "set", "lo", "up")
    for name in ("up0", "lan0"):
        device = f"uv{secrets.token_hex(3)}"
        ip("link", "add", device, "type", "veth", "peer", "name", name, "netns", namespace)
        ip("link", "set", device, "master", bridge, "up")
        ip("-n", namespace, "link", "set", name, "up")
    ip("-n", namespace, "address", "add", f"{address}/24", "dev", "up0")


def _hold(made: Machine, below: Sequence[Path]) -> None:
    """A process that keeps the machine's mounts and name while nothing else runs there."""
    lower = ":".join(map(str, below))
    home, layers = made.folder, f"{made.folder}/top,workdir={made.folder}/work"
    mounts = [f"mount -t overlay lab -o lowerdir={lower},upperdir={layers} {home}/all"]
    mounts += [f"mount --rbind /{one} {home}/all/{one}" for one in ("proc", "dev")]
    # A process sees its own network's devices in a sysfs that is mounted in its own namespace.
    mounts += [f"mount -t sysfs sys {home}/all/sys", f"mount -t tmpfs run {home}/all/run"]
    mounts += [f"mkdir -p {home}/all/run/lock {home}/all/run/netns"]
    mounts += [f"mount --rbind /sys/fs/cgroup {home}/all/sys/fs/cgroup"]
    script = [f"hostname {made.name}", *mounts, f"exec chroot {home}/all sleep infinity"]
    words = ["nsenter", f"--net=/run/netns/{made.namespace}", "unshare", "-m", "-u"]
    with (home / "holder.log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "--propagation", "private", "bash", "-ec", "\n".join(script)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    made.processes["holder"], made.holder = process, process.pid
    made.until(lambda: Path(f"/proc/{process.pid}/root").resolve() == home / "all", "holder", 60)
