"""Unit tests need neither a socket nor a process nor a database: the interpreter's audit events
tell who tries. A test that does belongs to tests/integration (or contract, api, lab)."""

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

REFUSED = {
    "os.exec": "a process",
    "os.fork": "a process",
    "os.forkpty": "a process",
    "os.posix_spawn": "a process",
    "os.system": "a process",
    "socket.bind": "a socket",
    "socket.connect": "a socket",
    "socket.getaddrinfo": "a name server",
    "socket.gethostbyname": "a name server",
    "sqlite3.connect": "a database",
    "subprocess.Popen": "a process",
}


class NotPure(AssertionError):
    """A unit test reached for something outside."""


class Guard:
    """While `on`, what is refused raises, and is kept, in case somebody swallows it. Threads that
    an earlier test of the same process left are not this test's."""

    def __init__(self) -> None:
        self.on = False
        self.tried: list[str] = []
        self._left: list[threading.Thread] = []

    def begin(self) -> None:
        """For the test that this thread runs."""
        self.tried.clear()
        ours = threading.current_thread()
        self._left = [one for one in threading.enumerate() if one is not ours]
        self.on = True

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if not self.on or self._is_left(threading.get_ident()):
            return
        what = REFUSED.get(event, "")
        # An event loop wakes itself through a pair of local sockets, which nobody else sees.
        if event == "socket.__new__" and args[1] != socket.AF_UNIX:
            what = "a socket"
        if what:
            self.tried.append(f"{what} ({event})")
            raise NotPure(f"a unit test may not use {what} ({event})")

    def _is_left(self, ident: int) -> bool:
        # The number of a thread that has ended may be another's by now.
        return any(one.ident == ident and one.is_alive() for one in self._left)


GUARD = Guard()
sys.addaudithook(GUARD)


@pytest.fixture(autouse=True)
def pure(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fails a test that used a socket, a process or a database; what it tried is in the list."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else scikit-learn starts `lscpu` to count cores
    GUARD.begin()
    try:
        yield GUARD.tried
    finally:
        GUARD.on = False
    assert GUARD.tried == [], "move this test to tests/integration"
