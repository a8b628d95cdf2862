"""The media server as a process: listeners up, ready file written, until a signal ends it.

In: Options. Out: three HTTP listeners, one UDP port for WebRTC, RTMP for an acquirer. Everything
runs in one asyncio loop; what crashes in a callback is logged once and the rest goes on.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from umbel.kit import descriptors, function_process, http, scratch, secret_tls
from umbel.kit.clock import Clock
from umbel.kit.function_process import GRACE_S, HttpListener
from umbel.kit.tokens import Verifier
from umbel.media.io.ingest_desk import IngestDesk
from umbel.media.io.replay_cache import ReplayCache
from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.model import WORKER_LIMITS, StreamRole, WorkerLimits
from umbel.media.rpc.sessions import Sessions
from umbel.media.server.control import Links, control_app
from umbel.media.server.dispatch import Dispatcher
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.manager import ServerManager
from umbel.media.server.metrics import Metrics
from umbel.media.server.public import public_app
from umbel.media.server.registry import Registry
from umbel.media.server.replays import ReplayControl, ReplayViewers
from umbel.media.server.viewer_tokens import ViewerTokens
from umbel.media.speech.model import NO_ENGINE, Engine
from umbel.media.workers.pool import WorkerPool

log = structlog.get_logger(__name__)

_TICK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; port 0 is the kernel's choice."""

    function_id: str
    role: StreamRole
    address: str
    control_port: int
    tls_port: int
    http_port: int
    udp_port: int
    rtmp_port: int
    ready_file: Path | None
    public_key: bytes
    secret: str
    ice_servers: tuple[str, ...] = ()
    limits: WorkerLimits = WORKER_LIMITS
    speech: Engine = NO_ENGINE
    connections_per_address: int = http.MOST_PER_ADDRESS
    replay_cache_mb: int = 0
    replay_cache_folder: Path | None = None


async def serve(options: Options, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT. Raises Unavailable when a port cannot be had."""
    descriptors.raise_limit()
    stop = function_process.stop_on_signals()
    control, secure, public = (
        function_process.bind(options.address, port)
        for port in (options.control_port, options.tls_port, options.http_port)
    )
    server = await _open_host(options, clock, public.getsockname()[1])
    sessions = Sessions(options.function_id, lambda: str(uuid.uuid4()))
    links = Links(sessions, clock)
    registry = Registry(server, links.emit)
    registry.add(ServerManager(server, registry, sessions.names, links.emit))
    dispatcher = Dispatcher(registry, sessions)
    verifier, cache = Verifier(options.public_key), _replay_cache(options, clock)
    viewer_tokens = ViewerTokens(verifier, clock)
    metrics = Metrics(registry, server.webrtc.stats, cache)
    replay_control = ReplayControl(cache, options.secret)
    controls = control_app(links, dispatcher, metrics, replay_control, secret=options.secret)
    shown = public_app(
        registry,
        server.webrtc,
        viewer_tokens,
        ReplayViewers(cache, verifier, clock),
        ice_servers=options.ice_servers,
    )
    tls = secret_tls.server_context(options.secret)
    listeners = tuple(
        HttpListener(app, bound, options.connections_per_address, context)
        for app, bound, context in (
            (controls, control, None),
            (controls, secure, tls),
            (shown, public, None),
        )
    )
    tasks = [asyncio.create_task(listener.run_until_told()) for listener in listeners]
    tasks.append(asyncio.create_task(_keep_house(registry, sessions, clock), name="housekeeping"))
    await asyncio.gather(*(listener.up.wait() for listener in listeners))
    _announce(options, server, control=control.getsockname()[1], tls=secure.getsockname()[1])
    await function_process.first_of(stop, tasks)
    cache.stop()
    await _shut(listeners, tasks, registry, server)
    cache.end()


async def _open_host(options: Options, clock: Clock, http_port: int) -> ServerContext:
    webrtc = await WebRtcPort.open(options.address, options.udp_port, clock=clock)
    listeners: dict[str, Callable[[str], None]] = {}
    workers = WorkerPool(clock, options.limits)

    def on_event(stream: str, what: str) -> None:
        if stream in listeners:
            listeners[stream](what)

    desk = None
    if options.role is StreamRole.ACQUIRER:
        desk = await IngestDesk.open(
            options.address, options.rtmp_port, workers=workers, on_event=on_event
        )
    return ServerContext(
        function_id=options.function_id,
        address=options.address,
        http_port=http_port,
        workers=workers,
        webrtc=webrtc,
        desk=desk,
        speech=options.speech,
        ingest_listeners=listeners,
    )


def _replay_cache(options: Options, clock: Clock) -> ReplayCache:
    """Only an edge keeps pieces of recordings: where it may, or next to its ready file."""
    if options.role is not StreamRole.EDGE or not options.replay_cache_mb:
        return ReplayCache(0, clock)
    own = options.ready_file.parent if options.ready_file else None
    folder = scratch.folder([one for one in (options.replay_cache_folder, own) if one])
    return ReplayCache(options.replay_cache_mb * 2**20, clock, folder)


async def _keep_house(registry: Registry, sessions: Sessions, clock: Clock) -> None:
    """Twice a second: read counters; drop the plain pipelines of sessions that are gone."""
    while True:
        await asyncio.sleep(_TICK_S)
        now_s = clock.monotonic_s()
        for element in registry.elements():
            element.tick(now_s)
        sessions.expire(now_s)
        alive = set(sessions.names())
        for pipeline in registry.pipelines():
            if not pipeline.stream and pipeline.session not in alive:
                await registry.release(pipeline.id)


async def _shut(
    listeners: tuple[HttpListener, ...],
    tasks: list[asyncio.Task[None]],
    registry: Registry,
    server: ServerContext,
) -> None:
    for listener in listeners:
        listener.should_exit = True
    try:
        async with asyncio.timeout(GRACE_S):
            await registry.close()
            await server.webrtc.close()
            if server.desk is not None:
                await server.desk.close()
            await server.thumbnailer.close()
            await server.workers.close()
    except TimeoutError:
        log.warning("some elements did not close in time")
    await asyncio.wait(tasks[: len(listeners)], timeout=GRACE_S + 0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _announce(options: Options, server: ServerContext, *, control: int, tls: int) -> None:
    ports = {"control": control, "tls": tls, "http": server.http_port, "udp": server.webrtc.port}
    if server.desk is not None:
        ports["rtmp"] = server.desk.rtmp_port
    log.info("media server up", function=options.function_id, role=options.role.value, **ports)
    function_process.write_ready(options.ready_file, options.function_id, options.address, ports)
