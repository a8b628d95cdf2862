"""Work inside another network namespace of this machine, without a process of its own.

In: a namespace's name and a function. Out: its answer. Neighbours: the process driver of compute
starts functions this way, the testbed its nodes. Needs root; see setns(2), ip-netns(8).
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

FOLDER = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
Answer = TypeVar("Answer")


def named(prefix: str) -> list[str]:
    """The namespaces whose names begin with this."""
    if not FOLDER.is_dir():
        return []
    return sorted(path.name for path in FOLDER.iterdir() if path.name.startswith(prefix))


def inside(namespace: str, work: Callable[[], Answer]) -> Answer:
    """What `work` answers when done in the namespace: its sockets, its /proc/sys/net, and the
    processes it starts belong there. Blocks. Raises OSError when the namespace cannot be entered,
    else what `work` raises."""
    done: Future[Answer] = Future()

    def enter_and_work() -> None:
        try:
            handle = open_handle(namespace)
            try:
                enter(handle)
            finally:
                os.close(handle)
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- it is raised where `inside` was called
            done.set_exception(error)

    # A thread that went into a namespace is of no other use: it ends with its work.
    thread = threading.Thread(target=enter_and_work, name=f"inside {namespace}")
    thread.start()
    thread.join()
    return done.result()


def open_handle(namespace: str) -> int:
    """An open descriptor of the namespace, for the caller to close. Raises OSError."""
    return os.open(FOLDER / namespace, os.O_RDONLY | os.O_CLOEXEC)


def enter(handle: int) -> None:
    """Have this thread, and what it starts, be in the namespace of the handle from now on. Raises
    OSError."""
    if _libc.setns(handle, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "network namespace")


def pids(namespaces: Iterable[str]) -> dict[int, str]:
    """The processes that are in any of the namespaces, and in which."""
    wanted = {_identity(FOLDER / name): name for name in namespaces}
    wanted.pop(None, None)
    if not wanted:
        return {}
    processes = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    places = {pid: wanted.get(_identity(Path(f"/proc/{pid}/ns/net"))) for pid in processes}
    return {pid: name for pid, name in places.items() if name is not None}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:  # it ended in the meantime
        return None
    return found.st_dev, found.st_ino
