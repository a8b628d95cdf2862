"""Asks a function's control port for `GET /healthz`. Address in, yes or no out."""

import asyncio

_ENOUGH = 1024


async def answers(address: str, port: int, deadline_s: float) -> bool:
    """Whether the function answers 200 within the deadline (seconds)."""
    try:
        async with asyncio.timeout(deadline_s):
            return await _status(address, port) == b"200"
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False


async def _status(address: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(address, port, limit=_ENOUGH)
    try:
        host = f"[{address}]" if ":" in address else address
        request = f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        # "HTTP/1.1 200 OK": the second word is all that counts.
        words = (await reader.readuntil(b"\n")).split(None, 2)
        return words[1] if len(words) > 1 and words[0].startswith(b"HTTP/1.") else b""
    finally:
        # Dropped, not closed: a half-dead peer must not hold the socket until its timeout.
        writer.transport.abort()
