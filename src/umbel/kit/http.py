"""HTTP/1.1 on the wire for uvicorn: llhttp parses, and what is not a body is bounded.

In: bytes of a connection. Out: requests for an ASGI app, or 400 and the end of the connection.
llhttp itself would keep a head of any length; bodies are bounded by who reads them. Browsers are
told with every answer, errors too, to take a type as it is declared.
"""

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


class BoundedHttp(HttpToolsProtocol):
    """Refuses a request whose head, chunk sizes and trailers are longer than the bound together."""

    _outside_bodies = 0

    def data_received(self, data: bytes) -> None:
        self._outside_bodies += len(data)
        super().data_received(data)
        if self._outside_bodies > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        self._outside_bodies = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._outside_bodies -= len(body)
        super().on_body(body)
