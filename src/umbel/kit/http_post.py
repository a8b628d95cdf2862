"""POST over HTTP/1.1 to an address that the caller has checked (RFC 9112), for many small requests.

In: where, headers, a body. Out: a status and headers; a body is not read: a response that has one
ends its connection. Connections are kept for the next request to the same server. httpx takes more
than three times as long for a request like this, and looks a host up by itself.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

_MOST_HEAD = 16_384
_MOST_IDLE = 64


class BadResponse(OSError):
    """What came is no response of HTTP/1.1."""


class ServerAddress(NamedTuple):
    """An address, with the name that the server's certificate is for; without TLS an empty one."""

    address: str
    port: int
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response's status and headers, whose names are in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing follows, so that the connection can be used again."""
        has_no_body = self.status == 204 or self.headers.get("content-length") == "0"
        closes = self.headers.get("connection", "").lower() == "close"
        return has_no_body and "transfer-encoding" not in self.headers and not closes


def parse_head(raw: bytes) -> Response:
    """The head of a response, with its empty line. Raises BadResponse."""
    lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (status.isascii() and status.isdecimal()):
        raise BadResponse("not a status line")
    headers = {}
    for line in filter(None, lines[1:]):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadResponse("not a header")
        headers[name.lower()] = value.strip()
    if version == "HTTP/1.0":
        headers["connection"] = "close"
    return Response(status=int(status), headers=headers)


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def is_open(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())


class Poster:
    """Keeps connections between requests, those of 64 at most that were used last."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._idle: OrderedDict[int, tuple[ServerAddress, _Connection]] = OrderedDict()

    async def post(
        self, server: ServerAddress, path: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Send it once. How long it may take is the caller's to bound, by cancelling. Raises
        OSError, of which BadResponse is one. No value may hold a line break."""
        given = {**headers, "Content-Length": str(len(body))}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise BadResponse("a line break in a header")
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        connection = self._kept(server) or await self._connect(server)
        try:
            connection.writer.write(head + body)
            await connection.writer.drain()
            response = parse_head(await connection.reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            connection.writer.close()
            raise BadResponse("the connection ended, or the head is too long") from error
        except BaseException:
            connection.writer.close()
            raise
        if response.is_empty:
            self._keep(server, connection)
        else:
            connection.writer.close()
        return response

    async def close(self) -> None:
        """End every connection."""
        while self._idle:
            _, (_, connection) = self._idle.popitem()
            connection.writer.close()

    async def _connect(self, server: ServerAddress) -> _Connection:
        reader, writer = await asyncio.open_connection(
            server.address,
            server.port,
            limit=_MOST_HEAD,
            ssl=self._trust if server.name else None,
            server_hostname=server.name or None,
        )
        return _Connection(reader, writer)

    def _kept(self, server: ServerAddress) -> _Connection | None:
        for key, (there, connection) in reversed(self._idle.items()):
            if there == server:
                del self._idle[key]
                if connection.is_open():
                    return connection
                connection.writer.close()
                return self._kept(server)
        return None

    def _keep(self, server: ServerAddress, connection: _Connection) -> None:
        self._idle[id(connection.writer)] = (server, connection)
        if len(self._idle) > _MOST_IDLE:
            _, (_, oldest) = self._idle.popitem(last=False)
            oldest.writer.close()
