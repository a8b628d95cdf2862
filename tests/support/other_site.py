"""Another web site than ours, for browsers: its pages frame what they are asked to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def other_site() -> AsyncIterator[str]:
    """Another site, whose page has a frame with what its address names after `?`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        _, _, framed = head.split()[1].partition("?")
        frame = f"<iframe title=ours src='{framed}'></iframe>" if framed else ""
        page = f"<!doctype html><title>Other</title><h1>Other</h1>{frame}".encode()
        fields = f"Content-Type: text/html\r\nContent-Length: {len(page)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode() + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}/"
