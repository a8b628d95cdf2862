"""Bytes at a storage function of a node, over HTTPS: the function's shard and its usage.

In: where the function is, asked again for each call, and which shard it has. Out: what it keeps.
The connection is protected by the function's secret, as control channels are; answers are bounded,
and nothing in them is trusted.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import structlog

from umbel.kit import hosts, secret_tls
from umbel.kit.errors import UmbelError
from umbel.repository.model import BlobMissing, RepositoryFull, StorageFailed, blob_name
from umbel.repository.node_storage import messages
from umbel.repository.node_storage.messages import NodeUsage
from umbel.repository.pieces import pieces as regrouped
from umbel.repository.ports import PIECE_BYTES, Stored

log = structlog.get_logger(__name__)
T = TypeVar("T")

SILENCE_S = 30.0
"""A function that sends or takes no byte for so long does not answer."""
_CONNECT_S = 3.0
_CLEAR_S = 5.0
_FINISH_S = 0.5
_MOST_CONNECTIONS, _IDLE_S = 128, 30.0
_NO_RANGE = 416
_SETTLED = {
    "connection.connect_tcp.failed",
    "connection.start_tls.failed",
    "connection.start_tls.complete",
}


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where a storage function listens, and what opens it."""

    address: str
    tls_port: int
    secret: str = field(repr=False)


Locate = Callable[[], Awaitable[Location]]
"""Raises StorageFailed while the function does not run."""


class RemoteStorage:
    """Keeps blobs at the storage function of the node `name`, which has shard `number`."""

    def __init__(
        self, name: str, number: int, locate: Locate, *, silence_s: float = SILENCE_S
    ) -> None:
        self._name = name
        self.number = number
        self._locate = locate
        self._timeout = httpx.Timeout(silence_s, connect=min(_CONNECT_S, silence_s))
        self._link: tuple[Location, httpx.AsyncClient] | None = None
        self._is_closed = False

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        path, sent, is_refused = self._path(blob), 0, False

        async def counted() -> AsyncGenerator[bytes, None]:
            nonlocal sent
            async for piece in pieces:
                if piece:
                    sent += len(piece)
                    yield piece

        try:
            async with aclosing(counted()) as body, self._asked("PUT", path, body) as response:
                is_refused = not response.is_success  # then nothing is there
                await self._check(response)
                kept = messages.decode_size(await self._read(response))
        except BaseException as error:
            reason = None if is_refused else await self._clear(blob)
            if reason is not None and isinstance(error, StorageFailed):
                raise reason from error  # it ended the connection, as it had refused the rest
            raise
        if kept != sent:
            await self._clear(blob)
            raise StorageFailed(f"{self._name} kept {kept} of {sent} bytes")
        return sent

    async def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        pieces = self._pieces(self._path(blob), start, end)
        if end - start <= PIECE_BYTES:
            data = await _finished(_joined(pieces))
            if data:
                yield data
            return
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def size(self, blob: str) -> int:
        return await _finished(self._size(blob))

    async def sizes(self, blobs: Sequence[str]) -> Mapping[str, int]:
        body = messages.encode_names(blobs)
        async with self._asked("POST", f"/shards/{self.number}/sizes", body) as response:
            await self._check(response)
            found = await self._read(response, messages.MOST_NAMES_BYTES)
        return messages.decode_sizes(found)

    async def remove(self, blob: str) -> None:
        async with self._asked("DELETE", self._path(blob)) as response:
            await self._check(response)
            await self._read(response)

    async def list(self) -> AsyncGenerator[Stored, None]:
        held = b""
        async with self._asked("GET", self._folder()) as response:
            await self._check(response)
            async for chunk in response.aiter_raw():
                *lines, held = (held + chunk).split(b"\n")
                if len(held) > messages.MOST_MESSAGE_BYTES:
                    raise StorageFailed(f"{self._name} lists what is no blob")
                for line in lines:
                    yield messages.decode_stored(line)
        if held:
            raise StorageFailed(f"{self._name} lists half a blob")

    async def close(self) -> None:
        self._is_closed = True  # what was left to end by itself connects no more
        if self._link is not None:
            await self._link[1].aclose()
            self._link = None

    # -- the function -----------------------------------------------------------------------

    async def usage(self) -> NodeUsage:
        """What the function holds. Raises StorageFailed."""
        async with self._asked("GET", "/usage") as response:
            await self._check(response)
            return messages.decode_usage(await self._read(response))

    async def set_limit(self, limit_bytes: int) -> None:
        """How many bytes it may keep from now on. Raises StorageFailed."""
        body = messages.encode_limit(limit_bytes)
        async with self._asked("PUT", "/limit", body) as response:
            await self._check(response)
            await self._read(response)

    # -- inside -----------------------------------------------------------------------------

    async def _size(self, blob: str) -> int:
        async with self._asked("HEAD", self._path(blob)) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                await self._read(response)
                raise BlobMissing(f"{self._name} has no blob {blob}", blob=blob)
            await self._check(response)
            await self._read(response)  # a response that is not read costs its connection
            length = response.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 19):
            raise StorageFailed(f"{self._name} answers without a length")
        return int(length)

    async def _pieces(self, path: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        if start >= end:
            return
        headers = {"Range": f"bytes={start}-{end - 1}"}
        async with self._asked("GET", path, headers=headers) as response:
            if response.status_code == _NO_RANGE:
                await self._read(response)
                return
            await self._check(response)
            async with aclosing(regrouped(response.aiter_raw())) as found:
                async for piece in found:
                    yield piece

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        content: AsyncIterator[bytes] | bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """The answer, whatever it says. Raises StorageFailed where there is none."""
        location = await self._locate()
        client = await self._client(location)
        url = f"https://{hosts.in_url(location.address)}:{location.tls_port}{path}"
        try:
            connecting = _Connecting()
            request = client.build_request(
                method,
                url,
                content=content,
                headers=dict(headers or {}),
                extensions={"trace": connecting.trace},
            )
            async with aclosing(await connecting.sent(client, request)) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not client.is_closed:
                raise  # httpx raises it for a client that was closed in the meantime
            raise StorageFailed(f"{self._name} {_reason(error)}", node=self._name) from error

    async def _client(self, location: Location) -> httpx.AsyncClient:
        if self._link is not None and self._link[0] == location:
            return self._link[1]
        if self._is_closed:
            raise StorageFailed(f"{self._name} is not used any more")
        made = httpx.AsyncClient(
            trust_env=False,
            verify=secret_tls.client_context(location.secret),
            headers={"Authorization": f"Bearer {location.secret}"},
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, keepalive_expiry=_IDLE_S),
        )
        before, self._link = self._link, (location, made)
        if before is not None:
            await before[1].aclose()
        return made

    async def _check(self, response: httpx.Response) -> None:
        """Raise what the function answers, as ours."""
        if response.is_success:
            return
        raise await self._said(response)

    async def _said(self, response: httpx.Response) -> UmbelError:
        """The error in an answer, as ours."""
        try:
            found = messages.parse_error(await self._read(response))
        except StorageFailed:
            found = messages.Problem(code="", message=f"answers with {response.status_code}")
        said = f"{self._name}: {found.message}"
        kinds = {one.code: one for one in (BlobMissing, RepositoryFull)}
        return kinds.get(found.code, StorageFailed)(said, node=self._name)

    async def _read(
        self, response: httpx.Response, most: int = messages.MOST_MESSAGE_BYTES
    ) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > most:
                raise StorageFailed(f"{self._name} answers too much")
        return bytes(body)

    async def _clear(self, blob: str) -> UmbelError | None:
        """A write was broken off: have the function end it now, and not when it finds out; and why
        it refused it, where it did."""
        try:
            async with (
                asyncio.timeout(_CLEAR_S),
                self._asked("DELETE", self._path(blob)) as response,
            ):
                await self._check(response)
                if response.status_code == httpx.codes.OK:
                    return await self._said(response)
        except (UmbelError, TimeoutError) as error:
            log.info("broken write not cleared", node=self._name, reason=str(error))
        return None

    def _path(self, blob: str) -> str:
        return f"{self._folder()}/{blob_name(blob)}"

    def _folder(self) -> str:
        return f"/shards/{self.number}/blobs"


async def _joined(pieces: AsyncGenerator[bytes, None]) -> bytes:
    async with aclosing(pieces):
        return b"".join([piece async for piece in pieces])


async def _finished(call: Coroutine[Any, Any, T]) -> T:
    """What a short call returns. Who is cancelled lets it end if it soon does: shards are read from
    more nodes than needed, and each call that is broken off costs a connection."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([task], timeout=_FINISH_S)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        raise


class _Connecting:
    """One request, and whether its connection is being made: a TLS handshake that is cancelled
    would leave its socket open (httpcore 1.0), and reads are cancelled often."""

    def __init__(self) -> None:
        self._is_settled = asyncio.Event()
        self._is_settled.set()

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Hear of the steps of the request, as httpcore calls them."""
        if event == "connection.connect_tcp.started":
            self._is_settled.clear()
        elif event in _SETTLED:
            self._is_settled.set()

    async def sent(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        """The answer's head. Who is cancelled waits for the handshake's end, some seconds."""
        sending = asyncio.ensure_future(client.send(request, stream=True))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            while not (sending.done() or self._is_settled.is_set()):
                try:
                    await self._is_settled.wait()
                except asyncio.CancelledError:
                    continue  # cancelled twice: it ends by its time limit
            sending.cancel()
            (left,) = await asyncio.gather(sending, return_exceptions=True)
            if isinstance(left, httpx.Response):
                await left.aclose()
            raise


def _reason(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "has another secret: another installation's function listens there"
    return f"does not answer: {type(error).__name__}"
