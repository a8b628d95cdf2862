"""A storage function as a process: its folder open, listeners up, until a signal ends it.

In: Options. Out: a listener with TLS for blobs, one without for health. One asyncio loop; the disk
is used on threads.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from umbel.kit import descriptors, function_process, http, secret_tls
from umbel.kit.function_process import GRACE_S, HttpListener
from umbel.repository.node_storage import folder
from umbel.repository.node_storage.app import health_app, shard_app

log = structlog.get_logger(__name__)

_BLOBS = re.compile(r"/shards/[^/]*/blobs/.*", re.DOTALL)
_PAUSE_S = 3600.0
"""How long a writer may pause: a slow upload fills a stripe of many shards slowly."""
_IDLE_S = 75
"""Longer than clients keep a connection: one that is closed as it is used again fails a call."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; port 0 is the kernel's choice."""

    function_id: str
    address: str
    control_port: int = 0
    tls_port: int = 0
    ready_file: Path | None = None
    folder: Path
    limit_bytes: int
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A storage function that serves: where, and the tasks that must not end."""

    ports: Mapping[str, int]
    tasks: list[asyncio.Task[None]]


@asynccontextmanager
async def opened(options: Options) -> AsyncIterator[Listening]:
    """The function, serving until the end. Raises Unavailable, FolderInUse, StorageFailed."""
    async with folder.opened(options.folder, options.limit_bytes) as shards:
        control, secure = (
            function_process.bind(options.address, port)
            for port in (options.control_port, options.tls_port)
        )
        listeners = (
            HttpListener(health_app(), control, http.MOST_PER_ADDRESS),
            HttpListener(
                shard_app(shards, options.secret),
                secure,
                http.MOST_PER_ADDRESS,
                secret_tls.server_context(options.secret),
                streams=_BLOBS,
                pause_s=_PAUSE_S,
                timeout_keep_alive=_IDLE_S,
            ),
        )
        tasks = [asyncio.create_task(listener.run_until_told()) for listener in listeners]
        await asyncio.gather(*(listener.up.wait() for listener in listeners))
        ports = {"control": control.getsockname()[1], "tls": secure.getsockname()[1]}
        try:
            yield Listening(ports=ports, tasks=tasks)
        finally:
            for listener in listeners:
                listener.should_exit = True
            await asyncio.wait(tasks, timeout=GRACE_S + 0.5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT. Raises what `opened` raises."""
    descriptors.raise_limit()
    stop = function_process.stop_on_signals()
    async with opened(options) as listening:
        log.info("storage function up", function=options.function_id, **listening.ports)
        function_process.write_ready(
            options.ready_file, options.function_id, options.address, listening.ports
        )
        await function_process.first_of(stop, listening.tasks)
