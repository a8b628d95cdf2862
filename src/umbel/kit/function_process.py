"""What the processes of functions have in common: listeners, an end by signal, a ready file.

In: ASGI apps, sockets, what TLS needs. Out: HTTP with and without TLS until a signal comes, and a
file that says where. Everything runs in one asyncio loop.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from umbel.kit import http, private
from umbel.kit.errors import Unavailable
from umbel.kit.handshakes import Handshakes

log = structlog.get_logger(__name__)

GRACE_S = 1
"""How long a listener waits at its end for requests that go on."""
_MOST_MESSAGE_BYTES = 1024 * 1024
_BACKLOG = 512


class HttpListener(uvicorn.Server):
    """One HTTP listener; the process handles signals, not it. `more` is what `http.listener`
    takes."""

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        most_per_address: int,
        tls: ssl.SSLContext | None = None,
        **more: Any,
    ) -> None:
        config = http.listener(
            app,
            most_per_address=most_per_address,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=_MOST_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=GRACE_S,
            **more,
        )
        super().__init__(config)
        self._bound, self._tls = bound, tls
        self._accepting: asyncio.Task[None] | None = None
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets if self._tls is None else [])
        if self._tls is not None:
            handshakes = Handshakes(self._bound, self._tls, self._protocol)
            self._accepting = asyncio.create_task(handshakes.accept(), name="handshakes")
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return http.BoundedHttp(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_until_told(self) -> None:
        """Serve until `should_exit`."""
        await self.serve([self._bound])


class CrashLog:
    """The loop's last resort: a callback that fails repeatedly is logged once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        trace = error.__traceback__ if error else None
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
        cause = f"{type(error).__name__} {where}"
        if cause not in self._seen:
            self._seen.add(cause)
            log.error("callback failed", what=context.get("message"), exc_info=error)


def stop_on_signals() -> asyncio.Event:
    """Set once the process is asked to end. What crashes in a callback is logged from here on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(CrashLog().handle)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def bind(address: str, port: int) -> socket.socket:
    """A listening socket. Raises Unavailable."""
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise Unavailable(f"cannot listen on {address}:{port}: {error.strerror}") from error
    bound.listen(_BACKLOG)
    bound.setblocking(False)
    return bound


async def first_of(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the stop signal, or until a task that should never end has ended."""
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in done & set(tasks):
        log.error("the server lost a part of itself", part=task.get_name())
        task.result()


def write_ready(
    file: Path | None, function_id: str, address: str, ports: Mapping[str, int]
) -> None:
    """Report to the VIM that the function listens; without a file nobody waits for that."""
    if file is None:
        return
    body = {"id": function_id, "pid": os.getpid(), "address": address, "ports": dict(ports)}
    private.write(file, json.dumps(body).encode())
