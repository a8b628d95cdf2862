"""uvicorn, set up for us: bound before it starts, and streams end when it has to stop.

In: an app of `create_app` and a bound socket. Out: a running front end. Neighbour: `umbel serve`.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import uvicorn
from fastapi import FastAPI

from umbel.kit import http
from umbel.portal.streams import STREAMS

_GRACE_S = 3


class PortalServer(uvicorn.Server):
    """A uvicorn server that closes the feed before it waits for open requests. Signals end it,
    unless its owner handles them."""

    def __init__(self, app: FastAPI, *, handles_signals: bool = True) -> None:
        self._feed = app.state.feed
        self._handles_signals = handles_signals
        config = http.listener(
            app,
            trusted_proxies=app.state.system.settings.trusted_proxies,
            most_per_address=app.state.system.settings.connections_per_address,
            streams=STREAMS,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_S,
        )
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals() if self._handles_signals else nullcontext():
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Streams of /api/v1/state have no end of their own: without this each stop waits out
        # the grace time and then cancels them.
        self._feed.close()
        await super().shutdown(sockets)
