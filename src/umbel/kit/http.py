"""HTTP/1.1 on the wire for uvicorn: llhttp parses, and what is not a body is bounded.

In: bytes of a connection. Out: requests for an ASGI app, or 400 and the end of the connection.
llhttp itself would keep a head of any length; bodies are bounded by who reads them. Browsers are
told with every answer, errors too, to take a type as it is declared.
"""

import asyncio
import re
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024

_HEADERS = [("x-content-type-options", "nosniff")]


def listener(app: Any, *, trusted_proxies: str = "", **more: Any) -> uvicorn.Config:
    """How every listener of ours is set up; `more` is uvicorn's own."""
    return uvicorn.Config(
        app,
        http=BoundedHttp,
        headers=_HEADERS,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        **more,
    )


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
    Ends a connection whose head or body does not come in time."""

    head_s = 10.0
    body_s = 30.0
    _outside_bodies = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_within(self.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_within(None)
        super().connection_lost(exc)

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

    def on_message_complete(self) -> None:
        self._expect_within(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._expect_within(None)
        super().handle_websocket_upgrade()

    def _expect_within(self, time_s: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        late = None if time_s is None else self.loop.call_later(time_s, self.transport.close)
        self._deadline = late

    def on_body(self, body: bytes) -> None:
        self._outside_bodies -= len(body)
        super().on_body(body)
