"""A WebRTC client in memory (webrtc_client) put on a UDP socket of its own."""

import asyncio
import contextlib
import socket

from support.webrtc_client import Client


class UdpClient:
    """Carries a client's datagrams to a port and back while the loop runs."""

    def __init__(self, client: Client, server: tuple[str, int]) -> None:
        self.client = client
        self._server = server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def check(self) -> None:
        """Send a connectivity check."""
        self.client.check()
        self.flush()

    def flush(self) -> None:
        """Send what the client has to say."""
        for data in self.client.take_outbox():
            self._socket.sendto(data, self._server)

    def close(self) -> None:
        """Close the socket without a word."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.client.receive(self._socket.recv(2048))
        self.flush()
