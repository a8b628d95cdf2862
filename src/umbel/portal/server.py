"""uvicorn, set up for us: bound before it starts, and streams end when it has to stop.

In: an app of `create_app` and a bound socket. Out: a running front end. Neighbour: `umbel serve`.
"""

import socket

import uvicorn
from fastapi import FastAPI

from umbel.kit import http

_GRACE_S = 3


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; with port 0 the kernel chooses, and `getsockname` tells. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it reads TCP there:
    # without it each response waits some 40 ms for the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


class PortalServer(uvicorn.Server):
    """A uvicorn server that closes the feed before it waits for open requests."""

    def __init__(self, app: FastAPI) -> None:
        self._feed = app.state.feed
        config = http.listener(
            app,
            trusted_proxies=app.state.system.settings.trusted_proxies,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_S,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Streams of /api/v1/state have no end of their own: without this each stop waits out
        # the grace time and then cancels them.
        self._feed.close()
        await super().shutdown(sockets)
