"""A storage function over HTTP: blobs of a shard for who knows the secret, health for all.

In: requests. Out: what the folder answers. A blob is whole once a PUT is answered; a PUT that
breaks off, or whose blob is deleted before its end, leaves nothing. drivers/remote.py asks.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from umbel.kit.errors import Conflict, Invalid, NotFound, UmbelError, Unauthenticated
from umbel.kit.web import HANDLERS, bearer, error_response, read_body
from umbel.repository.model import RepositoryFull, StorageFailed, blob_name
from umbel.repository.node_storage import messages
from umbel.repository.node_storage.folder import ShardFolder
from umbel.repository.ranges import RangeUnsatisfiable, Span, parse_range

log = structlog.get_logger(__name__)

BLOB_PATH = "/shards/{number}/blobs/{blob}"
_JSON, _BYTES = "application/json", "application/octet-stream"
_LINES_A_CHUNK = 200
_READ_AFTER_REFUSAL = 4 << 20
_MOST_REFUSED = 256


class StorageSecretWrong(Unauthenticated):
    """The secret of the storage function is wrong."""

    code = "umbel.storage_secret_wrong"


class NoSuchShard(NotFound):
    """A shard is numbered from 0 to 63."""

    code = "umbel.no_such_shard"


class BadLimit(Invalid):
    """A limit is a number of bytes, not below 0."""

    code = "umbel.bad_storage_limit"


class BadNames(Invalid):
    """Send a list of names of blobs, 1000 at most."""

    code = "umbel.bad_blob_names"


class BlobBusy(Conflict):
    """The blob is being written already."""

    code = "umbel.blob_busy"


class BlobRemoved(Conflict):
    """The blob was removed while its bytes came: nothing was kept."""

    code = "umbel.blob_removed"


class PieceResponse(Response):
    """Bytes of announced length. Ends the connection where some are missing, and lets go of the
    file whatever becomes of the client."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], span: Span, size: int) -> None:
        is_all = (span.start, span.end) == (0, size)
        super().__init__(None, 200 if is_all else 206, _headers(span, size), media_type=_BYTES)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        try:
            async with aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except UmbelError as error:
            log.warning("blob not read to its end", code=error.code, reason=error.message)
            raise ConnectionError(error.message) from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class RefusedResponse(Response):
    """Why a PUT is refused, while its body still comes: little more of it is read. A client that
    has more to send may see the end of the connection alone; DELETE then says why."""

    def __init__(self, answer: Response, chunks: AsyncGenerator[bytes, None]) -> None:
        headers = {"connection": "close"}
        super().__init__(answer.body, answer.status_code, headers, media_type=_JSON)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        left = _READ_AFTER_REFUSAL
        try:
            async for chunk in self._chunks:
                left -= len(chunk)
                if left < 0:
                    break
        except ClientDisconnect:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class ShardRoutes:
    """What the control plane asks for, over TLS."""

    def __init__(self, folder: ShardFolder, secret: str) -> None:
        self._folder = folder
        self._storage = folder.storage
        self._secret = secret
        self._writing: dict[str, asyncio.Future[int]] = {}
        self._refused: dict[str, UmbelError] = {}

    async def put(self, request: Request) -> Response:
        chunks = request.stream()
        try:
            return await self._put(request, chunks)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except UmbelError as error:
            if isinstance(error, RepositoryFull | StorageFailed):
                self._remember(request.path_params["blob"], error)
            return RefusedResponse(error_response(error), chunks)

    async def get(self, request: Request) -> Response:
        number, blob = self._named(request)
        self._folder.check(number)
        size = await self._storage.size(blob)
        spans = parse_range(request.headers.get("range", ""), size)
        if spans is not None and len(spans) != 1:
            raise RangeUnsatisfiable(size=size)
        span = Span(start=0, end=size) if spans is None else spans[0]
        if request.method == "HEAD":
            return Response(None, 200, _headers(span, size), media_type=_BYTES)
        return PieceResponse(self._storage.read(blob, span.start, span.end), span, size)

    async def delete(self, request: Request) -> Response:
        number, blob = self._named(request)
        self._folder.check(number)
        writing = self._writing.get(blob)
        if writing is not None:
            writing.cancel()
            await asyncio.wait([writing])
        await self._storage.remove(blob)
        refusal = self._refused.pop(blob, None)
        return Response(status_code=204) if refusal is None else _explained(refusal)

    async def list_blobs(self, request: Request) -> Response:
        self._folder.check(self._number(request))
        return StreamingResponse(self._lines(), media_type="application/x-ndjson")

    async def sizes(self, request: Request) -> Response:
        self._folder.check(self._number(request))
        body = await read_body(request, messages.MOST_NAMES_BYTES)
        try:
            names = messages.decode_names(body)
        except StorageFailed as error:
            raise BadNames from error
        found = await self._storage.sizes(names)
        return Response(messages.encode_sizes(found), media_type=_JSON)

    async def usage(self, request: Request) -> Response:
        self._check_secret(request)
        return Response(messages.encode_usage(self._folder.usage()), media_type=_JSON)

    async def set_limit(self, request: Request) -> Response:
        self._check_secret(request)
        body = await read_body(request, messages.MOST_MESSAGE_BYTES)
        try:
            self._storage.limit_bytes = messages.decode_limit(body)
        except StorageFailed as error:
            raise BadLimit from error
        return Response(status_code=204)

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(BLOB_PATH, self.put, methods=["PUT"]),
            Route(BLOB_PATH, self.get, methods=["GET", "HEAD"]),
            Route(BLOB_PATH, self.delete, methods=["DELETE"]),
            Route("/shards/{number}/blobs", self.list_blobs, methods=["GET"]),
            Route("/shards/{number}/sizes", self.sizes, methods=["POST"]),
            Route("/usage", self.usage, methods=["GET"]),
            Route("/limit", self.set_limit, methods=["PUT"]),
        ]

    async def _put(self, request: Request, chunks: AsyncGenerator[bytes, None]) -> Response:
        number, blob = self._named(request)
        self._folder.claim(number)
        if blob in self._writing:
            raise BlobBusy(blob=blob)
        writing = asyncio.ensure_future(self._storage.write(blob, chunks))
        self._writing[blob] = writing
        try:
            await asyncio.wait([writing])
        finally:
            writing.cancel()  # where this request itself is cancelled
            await asyncio.gather(writing, return_exceptions=True)
            del self._writing[blob]
        if writing.cancelled():
            raise BlobRemoved(blob=blob)
        return Response(messages.encode_size(writing.result()), 201, media_type=_JSON)

    def _remember(self, blob: str, error: UmbelError) -> None:
        self._refused[blob] = error
        if len(self._refused) > _MOST_REFUSED:
            del self._refused[next(iter(self._refused))]

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        held: list[bytes] = []
        async with aclosing(self._storage.list()) as kept:
            async for one in kept:
                held.append(messages.encode_stored(one))
                if len(held) == _LINES_A_CHUNK:
                    yield b"".join(held)
                    held = []
        if held:
            yield b"".join(held)

    def _named(self, request: Request) -> tuple[int, str]:
        """The shard and the blob. Raises BlobMissing for a name that is none."""
        return self._number(request), blob_name(request.path_params["blob"])

    def _number(self, request: Request) -> int:
        self._check_secret(request)
        text = request.path_params["number"]
        is_number = text.isascii() and text.isdigit() and len(text) < 3
        if not is_number or int(text) >= messages.MOST_SHARDS:
            raise NoSuchShard
        return int(text)

    def _check_secret(self, request: Request) -> None:
        if not hmac.compare_digest(bearer(request).encode(), self._secret.encode()):
            raise StorageSecretWrong


def _explained(refusal: UmbelError) -> Response:
    """The answer to a DELETE of what was refused before."""
    return Response(error_response(refusal).body, 200, media_type=_JSON)


def shard_app(folder: ShardFolder, secret: str) -> Starlette:
    """For the listener with TLS."""
    routes = ShardRoutes(folder, secret).routes()
    return Starlette(routes=routes, exception_handlers=dict(HANDLERS))


def health_app() -> Starlette:
    """For the listener without TLS, which probes ask."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/healthz", healthz)], exception_handlers=dict(HANDLERS))


def _headers(span: Span, size: int) -> dict[str, str]:
    headers = {"content-length": str(span.end - span.start), "cache-control": "no-store"}
    if (span.start, span.end) != (0, size):
        headers["content-range"] = span.content_range(size)
    return headers
