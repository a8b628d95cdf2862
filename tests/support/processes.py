"""Processes as the kernel tells of them, and some that are hard to tell: strangers, half dead."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.vim_worlds import (
    ProcessWorld,
)
from umbel.compute.drivers.process import procfs

ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


@contextmanager
def stranger(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else; it gives back each line it gets."""
    command, pipe = [sys.executable, "-c", ECHO, *words], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def is_unharmed(process: subprocess.Popen[bytes]) -> bool:
    """Whether a stranger goes on: a signal sent to it before this would have ended it."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"there?\n")
    except BrokenPipeError:
        return False
    return process.stdout.readline() == b"there?\n"


@contextmanager
def busy_core(core: int, loops: int = 6) -> Iterator[None]:
    """Loops that leave little of a core to anybody else."""
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        for _ in range(loops)
    ]
    try:
        for process in started:
            os.sched_setaffinity(process.pid, {core})
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


HALF_DEAD = """
import ctypes, signal, threading
threading.Thread(target=signal.pause).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@contextmanager
def half_dead() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", HALF_DEAD]) as process:
        try:
            yield process
        finally:
            process.kill()


def workers_of(world: ProcessWorld, function_id: str) -> list[int]:
    """The pids a busy stand-in noted: one in its session, one in a session of its own."""
    path = Path(f"{world.records.ready_path(function_id)}.workers")
    pids: list[int] = json.loads(path.read_text())
    return pids


def descriptors_of(pid: int) -> list[str]:
    """What the process holds open, by the kernel's names."""
    return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def children() -> list[procfs.Process]:
    return [process for process in procfs.scan() if process.parent == os.getpid()]


def state_of(pid: int) -> str:
    process = procfs.read(pid)
    return process.state if process is not None else ""


def is_dead(pid: int) -> bool:
    process = procfs.read(pid)
    return process is None or not process.alive
