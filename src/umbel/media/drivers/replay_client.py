"""Recordings at edges over HTTPS on their control listeners: the real ReplayCaches.

In: where a function is, and orders for it. Out: its reports. Connections are protected by the
function's secret, as control channels are. Answers are bounded, and nothing in them is trusted.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from umbel.kit import hosts, secret_tls
from umbel.kit.errors import Unavailable
from umbel.media.model import Server
from umbel.media.replay import messages
from umbel.media.replay.messages import Orders, Report
from umbel.media.replay.pieces import Piece, Span

_CONNECT_S = 3.0
_SILENCE_S = 10.0
"""An edge waits up to 5 s for something to say."""
_LONGEST_S = 30.0


class EdgeSilent(Unavailable):
    """The edge does not answer, or takes no recordings."""

    code = "umbel.replay_edge_silent"


@dataclass(frozen=True)
class _Connection:
    server: Server
    http: httpx.AsyncClient


class ReplayClient:
    """Edges over HTTPS."""

    def __init__(self) -> None:
        self._links: dict[str, _Connection] = {}

    async def sync(self, server: Server, orders: Orders) -> Report:
        body = messages.encode_orders(orders)
        return messages.decode_report(await self._send(server, "POST", "/replays", content=body))

    async def put(self, server: Server, piece: Piece, span: Span, body: bytes) -> None:
        query = {} if span == Span() else {"began_s": span.began_s, "ended_s": span.ended_s}
        await self._send(server, "PUT", _path(piece), content=body, params=query)

    async def refuse(self, server: Server, piece: Piece, *, is_unknown: bool) -> None:
        query = {"why": "unknown"} if is_unknown else {}
        await self._send(server, "DELETE", _path(piece), params=query)

    async def forget(self, function_id: str) -> None:
        link = self._links.pop(function_id, None)
        if link is not None:
            await link.http.aclose()

    async def close(self) -> None:
        for function_id in list(self._links):
            await self.forget(function_id)

    async def _send(
        self,
        server: Server,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        params: Mapping[str, str | float] | None = None,
    ) -> bytes:
        if not server.is_private:
            raise EdgeSilent("The edge was started by an earlier version.")
        http = await self._client(server)
        url = f"https://{hosts.in_url(server.address)}:{server.tls_port}{path}"
        try:
            async with (
                asyncio.timeout(_LONGEST_S),
                http.stream(method, url, content=content, params=params or {}) as response,
            ):
                if not response.is_success:
                    raise EdgeSilent(f"The edge answers with {response.status_code}.")
                return await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise EdgeSilent(f"The edge does not answer: {type(error).__name__}.") from error

    async def _client(self, server: Server) -> httpx.AsyncClient:
        link = self._links.get(server.function_id)
        if link is not None and link.server == server:
            return link.http
        made = httpx.AsyncClient(
            trust_env=False,
            verify=secret_tls.client_context(server.secret),
            headers={"Authorization": f"Bearer {server.secret}"},
            timeout=httpx.Timeout(_SILENCE_S, connect=_CONNECT_S),
        )
        self._links[server.function_id] = _Connection(server, made)
        if link is not None:
            await link.http.aclose()
        return made


def _path(piece: Piece) -> str:
    return f"/replays/{piece.capture_id}/{piece.name}"


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > messages.MOST_MESSAGE_BYTES:
            raise messages.ReplayMessageMalformed
    return bytes(body)
