"""The media server's fork server for workers: a process that has imported GStreamer's bindings, and
forks a worker that initialises the library.

In: words and sockets of a worker. Out: a child process with one control socket. The server never
initialises GStreamer, so it has one thread. Neighbours: pool.py, host.py, kit/fork_server.py.
"""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import structlog

from umbel.kit import fork_server, starting
from umbel.kit.errors import Unavailable
from umbel.kit.fork_server import Order, Streams
from umbel.kit.starting import StartLimits

log = structlog.get_logger(__name__)

_MODULE = "umbel.media.workers.inside.main"
_NAME = "umbel-worker"
_ORDER_WITHIN_S = 5.0
_START_LIMITS = StartLimits()


class WorkerLost(Unavailable):
    """The media worker ended or does not answer."""

    code = "umbel.worker_lost"


@dataclass(frozen=True, kw_only=True, eq=False)
class Child:
    """A forked process. `control` is its stdin and stdout; `ended` has its exit code, which is
    negative for a signal."""

    pid: int
    pidfd: int
    control: socket.socket
    ended: "asyncio.Future[int]"

    @classmethod
    def watch(cls, pid: int, control: socket.socket) -> "Child":
        """Watch a child of this process until it ends."""
        loop = asyncio.get_running_loop()
        child = cls(pid=pid, pidfd=os.pidfd_open(pid), control=control, ended=loop.create_future())
        loop.add_reader(child.pidfd, child._reap)
        return child

    def kill(self) -> None:
        """End it now; nothing where it has ended."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self.pidfd)
        end = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        os.close(self.pidfd)
        assert end is not None
        is_exit = end.si_code == os.CLD_EXITED
        self.ended.set_result(end.si_status if is_exit else -end.si_status)


class WorkerForkServer:
    """One process that forks workers."""

    def __init__(self, process: Process, orders: socket.socket) -> None:
        self._process = process
        self._orders = orders

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether its end was not seen yet."""
        return self._process.returncode is None

    @classmethod
    async def start(cls) -> "WorkerForkServer":
        """One that can fork. Raises WorkerLost."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words, environment = fork_server.with_room(
            (sys.executable, "-m", "umbel.media.workers.inside.fork_server"), _environment()
        )
        with ExitStack() as failed:
            failed.enter_context(ours)
            try:
                with theirs:
                    process = await asyncio.create_subprocess_exec(
                        *words, stdin=theirs.fileno(), env=environment, start_new_session=True
                    )
            except OSError as error:
                raise WorkerLost(f"the worker does not start: {error}") from error
            failed.pop_all()
        server = cls(process, ours)
        try:
            await server._until_ready()
        except BaseException:
            await server.close()
            raise
        return server

    async def fork(self, sockets: Sequence[int]) -> Child:
        """A worker with these sockets, in the order of its options. Raises WorkerLost."""
        # The order has descriptors of its own: it goes on in its thread when we are cancelled.
        given: list[int] = []
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            given.append(theirs.detach())
            with ExitStack() as failed:
                failed.enter_context(ours)
                failed.callback(_close, given)
                given.extend(map(os.dup, sockets))
                failed.pop_all()
        except OSError as error:
            raise WorkerLost(f"the worker does not start: {error}") from error
        options = zip(("--stream", "--datagrams", "--exit"), fork_server.MORE, strict=False)
        words = [sys.executable, "-m", _MODULE, "--parent", str(os.getpid())]
        words += [word for name, number in options for word in (name, str(number))]
        wanted = Order(name=_NAME, words=tuple(words), environment=_environment())
        streams = Streams(stdin=given[0], stdout=given[0], stderr=2, more=tuple(given[1:]))
        # In a thread: packets must not wait for it.
        forking = asyncio.ensure_future(
            asyncio.to_thread(fork_server.order, self._orders, wanted, streams, _ORDER_WITHIN_S)
        )
        forking.add_done_callback(lambda _: _close(given))
        try:
            pid = await asyncio.shield(forking)
        except asyncio.CancelledError:
            ours.close()
            forking.add_done_callback(_end_unwanted)
            raise
        except OSError as error:
            ours.close()
            raise WorkerLost(f"the worker does not start: {error}") from error
        if pid is None:
            ours.close()
            await self.close()
            raise WorkerLost("the fork server of the workers is lost")
        return Child.watch(pid, ours)

    async def close(self) -> None:
        """End it. Its workers live on."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._orders.close()

    async def _until_ready(self) -> None:
        self._orders.setblocking(False)
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        hearing = loop.create_task(loop.sock_recv(self._orders, len(fork_server.READY)))
        hearing.add_done_callback(lambda _: ready.set())
        try:
            reason = await starting.hangs(self.pid, ready, _START_LIMITS)
        finally:
            hearing.cancel()
            await asyncio.wait({hearing})
        if reason or hearing.exception() or hearing.result() != fork_server.READY:
            log.warning("the fork server of the workers does not start", reason=reason)
            raise WorkerLost("the fork server of the workers does not start")


def _environment() -> dict[str, str]:
    # The control channel's secret is none of a worker's business.
    return {name: value for name, value in os.environ.items() if not name.startswith("UMBEL_")}


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _end_unwanted(forking: "asyncio.Future[int | None]") -> None:
    """End the worker that nobody waits for any more."""
    pid = None if forking.cancelled() or forking.exception() else forking.result()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
