"""The control listener: the media protocol at `/kurento`, health, metrics.

In: WebSocket texts of clients that know the secret. Out: answers and events. Each link is served by
one task in order, and has a queue of its own for what goes out, so that a client that does not read
does not delay others. Neighbours: rpc/sessions.py understands, dispatch.py acts.
"""

import asyncio
import hmac
import itertools
from collections.abc import Iterable, Mapping

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from umbel.kit.clock import Clock
from umbel.kit.web import HANDLERS, bearer, error_response
from umbel.media.rpc.sessions import Call, Delivery, Sessions
from umbel.media.server import web
from umbel.media.server.dispatch import Dispatcher
from umbel.media.server.metrics import Metrics
from umbel.media.server.replays import ReplayControl

log = structlog.get_logger(__name__)

_MOST_UNREAD = 4096
_PROTOCOL_ERROR = 1002


class Links:
    """The open WebSockets by number."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._numbers = itertools.count(1)
        self._outboxes: dict[int, asyncio.Queue[str]] = {}

    def emit(self, object_id: str, event: str, data: Mapping[str, object]) -> None:
        """Tell an event to everyone who subscribed."""
        self._post(self._sessions.event(object_id, event, data, wall_s=self._clock.now_s()))

    async def serve(self, socket: WebSocket, dispatcher: Dispatcher) -> None:
        """Talk with one client until it goes."""
        link = next(self._numbers)
        outbox = self._outboxes[link] = asyncio.Queue(_MOST_UNREAD)
        writer = asyncio.create_task(_write(socket, outbox), name=f"link:{link}")
        try:
            while True:
                await self._take(link, await _read(socket), dispatcher)
        except WebSocketDisconnect:
            pass
        finally:
            del self._outboxes[link]
            self._sessions.lost(link, self._clock.monotonic_s())
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _take(self, link: int, text: str | bytes, dispatcher: Dispatcher) -> None:
        heard = self._sessions.receive(link, text, self._clock.monotonic_s())
        if isinstance(heard, Call):
            outcome = await dispatcher.run(heard)
            heard = self._sessions.finish(heard, outcome, self._clock.monotonic_s())
        if isinstance(heard, Delivery):
            self._post([heard])

    def _post(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            outbox = self._outboxes.get(delivery.link)
            if outbox is None:
                continue
            try:
                outbox.put_nowait(delivery.text)
            except asyncio.QueueFull:
                log.warning("a client does not read", link=delivery.link)


def control_app(
    links: Links, dispatcher: Dispatcher, metrics: Metrics, replays: ReplayControl, *, secret: str
) -> Starlette:
    """The application of the control listener."""

    async def kurento(socket: WebSocket) -> None:
        if not _knows(socket, secret):
            await socket.send_denial_response(error_response(web.SecretWrong()))
            return
        await socket.accept()
        await links.serve(socket, dispatcher)

    async def elsewhere(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(_PROTOCOL_ERROR, "Invalid path")

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def scrape(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = [
        WebSocketRoute("/kurento", kurento),
        WebSocketRoute("/{path:path}", elsewhere),
        Route("/healthz", healthz),
        Route("/metrics", scrape),
        *replays.routes(),
    ]
    return Starlette(routes=routes, exception_handlers=dict(HANDLERS))


def _knows(socket: WebSocket, secret: str) -> bool:
    given = bearer(socket) or socket.query_params.get("secret", "").strip()
    return hmac.compare_digest(given.encode(), secret.encode())


async def _read(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    return text if text is not None else message.get("bytes") or b""


async def _write(socket: WebSocket, outbox: asyncio.Queue[str]) -> None:
    try:
        while True:
            await socket.send_text(await outbox.get())
    except (WebSocketDisconnect, RuntimeError):
        pass  # the reader sees the same end and cleans up
