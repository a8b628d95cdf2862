"""Accepts connections and puts TLS under them, with bounds on handshakes, which uvicorn has not.

In: a listening socket and a context. Out: protocols that `make` makes, over TLS. A client that
connects and stays silent gets few connections, for a few seconds; above that, its oldest is closed.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from umbel.kit.connections import Connections

WITHIN_S = 10.0
MOST, MOST_PER_ADDRESS = 512, 32
_REST_S = 0.5
"""How long nothing is accepted when the process has no file descriptor left."""


class Handshake:
    """One that has begun; `task` carries it out."""

    is_idle = True
    task: asyncio.Task[None]

    def end(self) -> None:
        """End it at once."""
        self.task.cancel()


class Handshakes:
    """Those of one listener that have begun, until they are done or too late."""

    def __init__(
        self, bound: socket.socket, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]
    ) -> None:
        self._bound, self._context, self._make = bound, context, make
        self._open: Connections[Handshake] = Connections(
            most=MOST, most_per_address=MOST_PER_ADDRESS
        )

    def __len__(self) -> int:
        return len(self._open)

    async def accept(self) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._bound)
            except OSError:
                await asyncio.sleep(_REST_S)
                continue
            handshake = Handshake()
            handshake.task = loop.create_task(self._shake(handshake, connection))
            self._open.admit(handshake, str(peer[0]))

    async def _shake(self, handshake: Handshake, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(OSError):  # no TLS, too late, or gone
                await loop.connect_accepted_socket(
                    self._make,
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=WITHIN_S,
                )
        finally:
            self._open.remove(handshake)
