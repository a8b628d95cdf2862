"""HTTP/1.1 on the wire for uvicorn: llhttp parses, and what is not a body is bounded.

In: bytes of a connection. Out: requests for an ASGI app, or 400 and the end of the connection.
llhttp itself would keep a head of any length; bodies are bounded by who reads them.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024


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
