"""HTTP/1.1 on the wire for uvicorn: llhttp parses, and what is not a body is bounded.

In: bytes of a connection. Out: requests for an ASGI app, or 400 and the end of the connection.
llhttp itself would keep a head of any length; bodies are bounded by who reads them. Browsers are
told with every answer, errors too, to take a type as it is declared.
"""

import asyncio
import ipaddress
import re
from collections.abc import Collection, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from umbel.kit.connections import Connections

MOST_HEAD_BYTES = 64 * 1024
MOST_CONNECTIONS = 16_384
MOST_PER_ADDRESS = 512

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_HEADERS = [("x-content-type-options", "nosniff")]


class ListenerConfig(uvicorn.Config):
    """uvicorn's, with the listener's open connections. Those of `proxies` are not bounded by
    address: many clients are behind each. Bodies of paths like `streams` may take any time, as
    long as some bytes come, or for `pause_s` none."""

    connections: Connections["BoundedHttp"]
    proxies: Collection[IpNetwork] = ()
    streams: re.Pattern[str] | None = None
    pause_s: float | None = None


def listener(
    app: Any,
    *,
    trusted_proxies: str = "",
    most_per_address: int = MOST_PER_ADDRESS,
    streams: re.Pattern[str] | None = None,
    pause_s: float | None = None,
    **more: Any,
) -> ListenerConfig:
    """How every listener of ours is set up; `more` is uvicorn's own."""
    named = [ipaddress.ip_network(one) for one in trusted_proxies.split(",") if one]
    proxies = [one for network in named for one in _as_seen(network)]
    config = ListenerConfig(
        app,
        http=BoundedHttp,
        headers=_HEADERS,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=",".join(map(str, proxies)),
        **more,
    )
    config.connections = Connections(most=MOST_CONNECTIONS, most_per_address=most_per_address)
    config.proxies = proxies
    config.streams, config.pause_s = streams, pause_s
    return config


def _as_seen(network: IpNetwork) -> Iterator[IpNetwork]:
    """The network, and for IPv4 what a socket for both families shows of it: ::ffff:a.b.c.d."""
    yield network
    if isinstance(network, ipaddress.IPv4Network):
        yield ipaddress.ip_network(f"::ffff:{network.network_address}/{96 + network.prefixlen}")


def accepts_coding(accept_encoding: str, coding: str) -> bool:
    """Whether a client with that Accept-Encoding header takes `coding` (RFC 9110, 12.5.3). One that
    sends no header takes the plain text only, here."""
    weights: dict[str, str] = {}
    for entry in accept_encoding.lower().split(","):
        name, _, parameter = entry.replace(" ", "").partition(";")
        weights[name] = parameter
    weight = weights.get(coding, weights.get("*", "q=0"))
    return re.fullmatch(r"q=0(\.0*)?", weight) is None


class BoundedHttp(HttpToolsProtocol):
    """Refuses a request whose head, chunk sizes and trailers are longer than the bound together.
    Ends a connection whose head or body does not come in time, and the oldest idle one where an
    address, or all together, have too many; where none is idle, the new one."""

    config: ListenerConfig
    head_s = 10.0
    body_s = 30.0
    _outside_bodies = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_within(self.head_s)
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._is_bounded(address) and not self.config.connections.admit(self, address):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.connections.remove(self)
        self._expect_within(None)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the head of a request."""
        return self.cycle is None or self.cycle.response_complete

    def end(self) -> None:
        """End it at once."""
        self.transport.abort()

    def _is_bounded(self, address: str) -> bool:
        if not address:
            return False
        parsed = ipaddress.ip_address(address.partition("%")[0])
        return not any(parsed in proxies for proxies in self.config.proxies)

    def data_received(self, data: bytes) -> None:
        self._outside_bodies += len(data)
        super().data_received(data)
        if self._outside_bodies > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        self._outside_bodies = 0
        self._expect_within(self.head_s)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._expect_within(self.body_s)
        super().on_headers_complete()
        if self.config.pause_s is not None and self._is_stream():
            self._expect_within(self.config.pause_s)

    def on_message_complete(self) -> None:
        self._expect_within(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        # uvicorn's WebSocket has the connection from now on, and we do not see its end.
        self.config.connections.remove(self)
        self._expect_within(None)
        super().handle_websocket_upgrade()

    def _expect_within(self, time_s: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        late = None if time_s is None else self.loop.call_later(time_s, self.transport.close)
        self._deadline = late

    def on_body(self, body: bytes) -> None:
        self._outside_bodies -= len(body)
        if self._is_stream() and not self.is_idle:
            self._expect_within(self.config.pause_s or self.body_s)
        super().on_body(body)

    def _is_stream(self) -> bool:
        streams = self.config.streams
        return streams is not None and streams.fullmatch(self.scope["path"]) is not None
