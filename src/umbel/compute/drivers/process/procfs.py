"""Processes as /proc shows them: who is alive, who belongs to whom, what they use. See proc(5).

A pid alone does not identify a process, because the kernel reuses it; pid and start time do.
"""

import os
import signal
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGES_PER_MB = 1024 * 1024 / os.sysconf("SC_PAGE_SIZE")
_DEAD = frozenset("ZXx")


@dataclass(frozen=True, kw_only=True)
class Process:
    """One line of /proc/PID/stat. Times in clock ticks; `start_ticks` counts from boot."""

    pid: int
    state: str
    parent: int
    session: int
    cpu_ticks: int
    threads: int
    start_ticks: int
    rss_pages: int

    @property
    def alive(self) -> bool:
        """False for a zombie: it has ended and only waits to be reaped. While another thread of
        it still dies, the first one shows as a zombie that cannot be reaped, and the process
        still holds its sockets."""
        return self.state not in _DEAD or self.threads > 1

    @property
    def key(self) -> tuple[int, int]:
        """What no other process ever shares while the machine is up."""
        return self.pid, self.start_ticks


@dataclass(frozen=True, kw_only=True)
class Usage:
    """CPU used over a period (1.0 = one core) and resident memory in MiB."""

    cpu_cores: float = 0.0
    rss_mb: float = 0.0


def parse(line: str) -> Process:
    """A stat line. The command stands in parentheses and may hold anything, even ')'."""
    pid, _, rest = line.partition(" ")
    fields = rest[rest.rindex(")") + 2 :].split()
    return Process(
        pid=int(pid),
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        rss_pages=int(fields[21]),
    )


def read(pid: int) -> Process | None:
    """The process of that pid now; None when there is none."""
    try:
        return parse((_PROC / str(pid) / "stat").read_text(errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def scan() -> list[Process]:
    """Every process there is, zombies too."""
    found = (read(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return [process for process in found if process is not None]


def environment_of(pid: int) -> dict[str, str]:
    """What the process was started with; nothing when it is gone, another user's, or in another
    file system, where our paths name other files."""
    folder = _PROC / str(pid)
    try:
        if not (folder / "root").samefile("/"):
            return {}
        words = (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (os.fsdecode(word).partition("=") for word in words)
    return {name: value for name, _, value in pairs if name}


def families(processes: Iterable[Process], leaders: Set[int]) -> dict[int, list[Process]]:
    """Who belongs to which leader: itself, its session, and every descendant, also those that
    left the session. One pass, as it runs over the whole machine."""
    by_pid = {process.pid: process for process in processes}
    owners: dict[int, int] = {}
    grouped: dict[int, list[Process]] = {leader: [] for leader in leaders}
    for process in by_pid.values():
        owner = _owner(process, by_pid, leaders, owners)
        if owner:
            grouped[owner].append(process)
    return grouped


def _owner(
    process: Process, by_pid: Mapping[int, Process], leaders: Set[int], owners: dict[int, int]
) -> int:
    """The leader's pid, 0 for none. Every process on the way up learns the same answer."""
    climbed: dict[int, None] = {}
    at: Process | None = process
    owner = 0
    while at is not None and at.pid not in climbed:
        if at.pid in owners:
            owner = owners[at.pid]
            break
        climbed[at.pid] = None
        owner = next((pid for pid in (at.pid, at.session) if pid in leaders), 0)
        if owner:
            break
        at = by_pid.get(at.parent)
    owners.update(dict.fromkeys(climbed, owner))
    return owner


def usage(before: Mapping[tuple[int, int], int], now: Iterable[Process], elapsed_s: float) -> Usage:
    """What the processes used since `before`, their earlier CPU ticks by key. One that is not in
    `before` began since, so all it used counts."""
    ticks, pages = 0, 0
    for process in now:
        ticks += process.cpu_ticks - before.get(process.key, 0)
        pages += process.rss_pages
    cores = ticks / _TICKS_PER_S / elapsed_s if elapsed_s > 0 else 0.0
    return Usage(cpu_cores=cores, rss_mb=pages / _PAGES_PER_MB)


def open_exactly(pid: int, start_ticks: int) -> int | None:
    """A pidfd of the living process with this pid and start time; None when it is gone, even
    when its pid is another's by now. The caller closes it."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # Looked at only after opening: what is seen now is what the pidfd holds.
    process = read(pid)
    if process is not None and process.alive and process.start_ticks == start_ticks:
        return pidfd
    os.close(pidfd)
    return None


def kill_exactly(process: Process) -> None:
    """SIGKILL to this process, and to no successor of its pid."""
    pidfd = open_exactly(*process.key)
    if pidfd is None:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def kill_family(leader: Process) -> None:
    """SIGKILL to a process and to all that belongs to it, each exactly."""
    members = families(scan(), {leader.pid})[leader.pid]
    kill_exactly(leader)
    for process in members:
        if process.key != leader.key:
            kill_exactly(process)


def kill_strays(leader: int, start_ticks: int) -> None:
    """SIGKILL to what is left of a session whose leader, of this start time, is dead or dying.
    The kernel gives no pid away that still names a session, so a leader with another start time
    means that nothing is left."""
    now = read(leader)
    if now is not None and now.start_ticks != start_ticks:
        return
    for process in scan():
        if process.session == leader and process.pid != leader and process.alive:
            kill_exactly(process)


def reap_exactly(pid: int, start_ticks: int) -> None:
    """Take a dead child of ours, of this start time, off the kernel's list."""
    process = read(pid)
    if process is None or process.alive or process.start_ticks != start_ticks:
        return
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
