"""`umbel serve`: the front end and the loop in one process, until a signal.

In: settings. Out: an HTTP listener, and the events kept. The two live and die together.
"""

import asyncio
import errno
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from umbel import bootstrap
from umbel.bootstrap.system import System
from umbel.kit import descriptors, hosts
from umbel.kit.config import Settings
from umbel.kit.errors import Conflict, Invalid
from umbel.kit.listening import bind

if TYPE_CHECKING:
    from umbel.portal.server import PortalServer

log = structlog.get_logger(__name__)


class AddressTaken(Conflict):
    """Another program listens on the front end's address; choose another port with --port."""

    code = "umbel.address_taken"


class CannotListen(Invalid):
    """The front end cannot listen on this address: it is not one of this machine's, or the port is
    for privileged programs."""

    code = "umbel.cannot_listen"


async def serve_until_stopped(settings: Settings, ready_file: Path | None = None) -> None:
    """Run until SIGINT or SIGTERM. Raises AddressTaken, CannotListen, HostNotFound,
    and what assembling raises."""
    descriptors.raise_limit()
    async with bootstrap.opened(settings) as system:
        listener = _listen(settings)
        if not await system.catalogue.users():
            log.warning("there are no accounts yet", todo="umbel user add NAME --role operator")
        stop = asyncio.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        loops = [asyncio.create_task(run(), name=name) for name, run in system.loops().items()]
        for task in loops:
            task.add_done_callback(lambda ended: _stop_when_failed(stop, ended))
        url = f"http://{settings.host}:{listener.getsockname()[1]}"
        try:
            await _serve_front(system, listener, url, ready_file, stop)
        finally:
            await end(loops)


async def end(loops: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them, wait for all, and then raise what one of them failed with."""
    for task in loops:
        task.cancel()
    ended = await asyncio.gather(*loops, return_exceptions=True)
    failed = [error for error in ended if isinstance(error, Exception)]
    if failed:
        raise failed[0]


async def _serve_front(
    system: System, listener: socket.socket, url: str, ready_file: Path | None, stop: asyncio.Event
) -> None:
    """The front end, until `stop`. It is loaded on a thread: what runs behind it has begun by then,
    so that after a restart functions are looked after before the first request is answered."""
    server = await asyncio.to_thread(_front_end, system)
    announcing = asyncio.create_task(_announce(server, url, ready_file))
    stopping = asyncio.create_task(_stop_on(stop, server))
    try:
        await server.serve([listener])
    finally:
        announcing.cancel()
        stopping.cancel()


def _front_end(system: System) -> "PortalServer":
    from umbel.portal.server import PortalServer  # noqa: PLC0415 -- loads slowly

    return PortalServer(system.app(), handles_signals=False)


async def _stop_on(stop: asyncio.Event, server: "PortalServer") -> None:
    await stop.wait()
    server.should_exit = True


def _stop_when_failed(stop: asyncio.Event, task: asyncio.Task[None]) -> None:
    """A loop that fails ends the process: a supervisor starts it again."""
    if not task.cancelled() and task.exception() is not None:
        stop.set()


async def _announce(server: "PortalServer", url: str, ready_file: Path | None) -> None:
    while not server.started:  # noqa: ASYNC110 -- uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    log.info("serving", url=url)
    if ready_file is not None:
        ready_file.write_text(url)


def _listen(settings: Settings) -> socket.socket:
    host = hosts.resolve(settings.host) if hosts.is_name(settings.host) else settings.host
    try:
        return bind(host, settings.port)
    except OSError as error:
        kind = AddressTaken if error.errno == errno.EADDRINUSE else CannotListen
        where = f"{settings.host}:{settings.port}"
        raise kind(f"cannot listen on {where}: {error.strerror}") from error
