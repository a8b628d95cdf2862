"""Replays at an edge over HTTP: pieces for viewers who have a grant, orders and pieces from the
control plane.

In: a grant in a path, checked with the public key alone; the function's secret on the control
listener. Out: bytes; a redirect to the front end for what cannot be served here, where the front
end's URL is known. Neighbour: `io/replay_cache.py` keeps the pieces.
"""

import hmac
import math
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from umbel.kit.clock import Clock
from umbel.kit.errors import Invalid
from umbel.kit.tokens import REPLAY, Verifier
from umbel.kit.web import bearer, read_body
from umbel.media.io.replay_cache import Reading, ReplayCache, ReplayElsewhere
from umbel.media.replay import grants, messages, pieces
from umbel.media.replay.pieces import MOST_PIECE_BYTES, Span
from umbel.media.server import web
from umbel.media.server.verified_tokens import VerifiedTokens

_MEDIA_TYPE = "video/mp4"
_FOR_EVER = "private, max-age=86400, immutable"


class SpanInvalid(Invalid):
    """`began_s` and `ended_s` are finite numbers, the smaller one first."""

    code = "umbel.replay_span_invalid"


class PieceResponse(Response):
    """A piece, which is closed whatever becomes of the viewer."""

    def __init__(self, cache: ReplayCache, reading: Reading) -> None:
        headers = {"cache-control": _FOR_EVER, "content-length": str(reading.size)}
        super().__init__(None, 200, headers, media_type=_MEDIA_TYPE)
        self._cache = cache
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async with aclosing(self._cache.read(self._reading)) as chunks:
                async for chunk in chunks:
                    body = {"type": "http.response.body", "body": chunk, "more_body": True}
                    await send(body)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._cache.close(self._reading)


class ReplayViewers:
    """For the public listener."""

    def __init__(self, cache: ReplayCache, verifier: Verifier, clock: Clock) -> None:
        self._cache = cache
        self._tokens = VerifiedTokens(verifier, REPLAY, clock)

    async def get(self, request: Request) -> Response:
        token, name = request.path_params["token"], request.path_params["name"]
        grant = grants.parse(self._tokens.claims(token), token)
        piece = pieces.parse(grant.capture_id, name)
        try:
            return PieceResponse(self._cache, await self._cache.open(grant, piece))
        except ReplayElsewhere:
            if not self._cache.home:
                raise
            headers = {
                "location": f"{self._cache.home}/replay/{token}/{piece.name}",
                "cache-control": "no-store",
            }
            return Response(None, 307, headers)

    def routes(self) -> list[Route]:
        """What viewers ask for."""
        return [Route("/replay/{token}/{name}", self.get, methods=["GET"])]


class ReplayControl:
    """For the control listener."""

    def __init__(self, cache: ReplayCache, secret: str) -> None:
        self._cache = cache
        self._secret = secret

    async def sync(self, request: Request) -> Response:
        self._check(request)
        orders = messages.decode_orders(await read_body(request, messages.MOST_MESSAGE_BYTES))
        report = await self._cache.sync(orders)
        return Response(messages.encode_report(report), media_type="application/json")

    async def put(self, request: Request) -> Response:
        self._check(request)
        piece = pieces.parse(request.path_params["capture"], request.path_params["name"])
        span = _span(request)
        await self._cache.put(piece, span, await read_body(request, MOST_PIECE_BYTES))
        return Response(status_code=204)

    async def refuse(self, request: Request) -> Response:
        self._check(request)
        piece = pieces.parse(request.path_params["capture"], request.path_params["name"])
        self._cache.refuse(piece, is_unknown=request.query_params.get("why") == "unknown")
        return Response(status_code=204)

    def routes(self) -> list[Route]:
        """What the control plane asks for."""
        one = "/replays/{capture}/{name}"
        return [
            Route("/replays", self.sync, methods=["POST"]),
            Route(one, self.put, methods=["PUT"]),
            Route(one, self.refuse, methods=["DELETE"]),
        ]

    def _check(self, request: Request) -> None:
        if not hmac.compare_digest(bearer(request).encode(), self._secret.encode()):
            raise web.SecretWrong


def _span(request: Request) -> Span:
    given = [request.query_params.get(name, "") for name in ("began_s", "ended_s")]
    if given == ["", ""]:
        return Span()
    try:
        began_s, ended_s = map(float, given)
    except ValueError as error:
        raise SpanInvalid from error
    if not (math.isfinite(began_s) and math.isfinite(ended_s) and began_s <= ended_s):
        raise SpanInvalid
    return Span(began_s=began_s, ended_s=ended_s)
