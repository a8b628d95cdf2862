"""Keeps a fork server for the functions of one program, so that they start at once and share what
they import.

In: the words that a function is started with. Out: its process, a child of ours. What the server
cannot do is started afresh; a server that is lost is replaced after growing pauses.
"""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from umbel.compute.drivers.process import launch
from umbel.kit import backoff, fork_server, starting
from umbel.kit.fork_server import Order, Streams
from umbel.kit.starting import StartLimits

log = structlog.get_logger(__name__)

_KEEP_AFTER_S = 1.0
"""A function that has just become ready is not disturbed by the server's imports."""
_LONGEST_PAUSE_S = 60.0
_ORDER_WITHIN_S = 2.0
"""Our loop waits for it. A fork takes milliseconds, also of a machine under load."""
_TOO_LONG = (errno.E2BIG, errno.EMSGSIZE)


@dataclass(frozen=True, kw_only=True)
class ForkServerProgram:
    """`command` starts a server that forks each function whose words begin with `words`."""

    words: tuple[str, ...]
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Server:
    """A server's process, and the socket that is its stdin. `is_ready`: it forks, or is gone."""

    pid: int
    pidfd: int
    orders: socket.socket
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)


class ForkServer:
    """At most one server. Without a program there is none. All calls on one event loop."""

    def __init__(
        self, program: ForkServerProgram | None, log_path: Path, limits: StartLimits
    ) -> None:
        self._program = program
        self._log_path = log_path
        self._limits = limits
        self._server: _Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0

    @property
    def pid(self) -> int:
        """The server that can fork; 0 for none."""
        return self._server.pid if self._server and self._server.is_ready.is_set() else 0

    def keep(self) -> None:
        """Have one soon, unless there is one."""
        if self._program is None or self._server is not None or self._timer is not None:
            return
        pause_s = backoff.wait_s(
            self._failures + 1,
            backoff.draw(str(self._log_path), self._failures),
            first_s=_KEEP_AFTER_S,
            longest_s=_LONGEST_PAUSE_S,
        )
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._start)

    async def ready_for(self, words: Sequence[str]) -> None:
        """Wait until there is a server for these words, or none can be. Its imports are no more
        than the function's own would be."""
        if not self._is_for(words):
            return
        if self._server is None:
            self._start()
        server = self._server
        if server is None or server.is_ready.is_set():
            return
        reason = await starting.hangs(server.pid, server.is_ready, self._limits)
        if reason and self._server is server:
            log.warning("fork server given up", pid=server.pid, reason=reason)
            self._end()

    def fork(self, wanted: Order, log_path: Path, namespace: int | None) -> int:
        """The pid of the process that is this function; 0 where it must be started afresh. Raises
        OSError."""
        server = self._server
        if server is None or not server.is_ready.is_set() or not self._is_for(wanted.words):
            return 0
        launch.bound_log(log_path)
        with ExitStack() as opened:
            nothing = os.open(os.devnull, os.O_RDONLY)
            opened.callback(os.close, nothing)
            lines = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            opened.callback(os.close, lines)
            streams = Streams(stdin=nothing, stdout=lines, stderr=lines, namespace=namespace)
            try:
                pid = fork_server.order(server.orders, wanted, streams, _ORDER_WITHIN_S)
            except OSError as error:
                if error.errno not in _TOO_LONG:
                    raise
                return 0
        if pid is None:
            log.warning("fork server lost", pid=server.pid)
            self._end()
            self.keep()
        return pid or 0

    def close(self) -> None:
        """End the server. What it forked lives on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end()

    def _is_for(self, words: Sequence[str]) -> bool:
        program = self._program
        return program is not None and tuple(words[: len(program.words)]) == program.words

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._program is None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words, environment = fork_server.with_room(
            self._program.command, launch.without_ours(os.environ)
        )
        try:
            with theirs:
                pid = launch.start(words, environment, self._log_path, stdin=theirs.fileno())
            server = _Server(pid=pid, pidfd=os.pidfd_open(pid), orders=ours)
        except OSError as error:
            ours.close()
            log.warning("no fork server", reason=error.strerror)
            return
        self._server = server
        loop = asyncio.get_running_loop()
        loop.add_reader(server.pidfd, self._on_exit, server)
        loop.add_reader(server.orders, self._on_ready, server)

    def _on_ready(self, server: _Server) -> None:
        asyncio.get_running_loop().remove_reader(server.orders)
        with suppress(ConnectionError):  # it has just ended
            if server.orders.recv(len(fork_server.READY)) == fork_server.READY:
                self._failures = 0
                server.is_ready.set()

    def _on_exit(self, server: _Server) -> None:
        if self._server is server:
            log.warning("fork server ended", pid=server.pid)
            self._failures += not server.is_ready.is_set()
            self._end()
            self.keep()

    def _end(self) -> None:
        """Kill it, wait for that, and take it off the kernel's list."""
        server, self._server = self._server, None
        if server is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(server.pidfd)
        loop.remove_reader(server.orders)
        server.orders.close()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(server.pidfd, signal.SIGKILL)
        os.set_blocking(server.pidfd, True)  # uvloop's readers do not block, nor would this wait
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, server.pidfd, os.WEXITED)
        os.close(server.pidfd)
        server.is_ready.set()
