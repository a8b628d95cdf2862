"""Does one health check. Address and port in, yes or no out."""

import asyncio

from umbel.kit import hosts

_ENOUGH = 1024


async def answers(address: str, port: int, path: str, deadline_s: float) -> bool:
    """Whether `GET path` is answered with 200 within the deadline (seconds); with an empty path,
    whether a connection is accepted."""
    try:
        async with asyncio.timeout(deadline_s):
            if not path:
                await _connect(address, port)
                return True
            return await _status(address, port, path) == b"200"
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False


async def _connect(address: str, port: int) -> None:
    _, writer = await asyncio.open_connection(address, port)
    writer.transport.abort()


async def _status(address: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(address, port, limit=_ENOUGH)
    try:
        host = hosts.in_url(address)
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        # "HTTP/1.1 200 OK": the second word is all that counts.
        words = (await reader.readuntil(b"\n")).split(None, 2)
        return words[1] if len(words) > 1 and words[0].startswith(b"HTTP/1.") else b""
    finally:
        # Dropped, not closed: a half-dead peer must not hold the socket until its timeout.
        writer.transport.abort()
