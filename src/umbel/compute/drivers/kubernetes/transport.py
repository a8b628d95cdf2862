"""What a cluster's API server may take of this process: bytes for an answer, and requests.

It stands below the client library, which reads answers whole, and asks again at once when a watch
ends.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx2

from umbel.kit.clock import Clock

MOST_BYTES = 64 * 1024 * 1024
WATCH_EVERY_S = 1.0


class LimitedTransport:
    """A transport of httpx2 whose answers have at most `MOST_BYTES`, and whose watches begin
    `WATCH_EVERY_S` apart."""

    def __init__(self, below: httpx2.AsyncHTTPTransport, clock: Clock) -> None:
        self._below = below
        self._clock = clock
        self._next_watch_s = 0.0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer. Raises httpx2's errors."""
        if "watch" in request.url.params:
            now_s = self._clock.monotonic_s()
            self._next_watch_s = max(now_s, self._next_watch_s + WATCH_EVERY_S)
            await asyncio.sleep(self._next_watch_s - now_s)
        response = await self._below.handle_async_request(request)
        response.stream = _LimitedStream(response.stream)
        return response

    async def aclose(self) -> None:
        """Let go of all connections."""
        await self._below.aclose()


class _LimitedStream(httpx2.AsyncByteStream):  # type: ignore[misc]  # it may not be installed
    def __init__(self, below: httpx2.AsyncByteStream) -> None:
        self._below = below

    async def __aiter__(self) -> AsyncIterator[bytes]:
        had = 0
        async for chunk in self._below:
            had += len(chunk)
            if had > MOST_BYTES:
                raise httpx2.DecodingError(f"the answer has more than {MOST_BYTES >> 20} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._below.aclose()
