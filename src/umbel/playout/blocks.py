"""The control plane's end of a worker's file: blocks of an item, as the worker asks for them.

In: offsets and lengths from a socket. Out: bytes of the repository, or that they cannot be read.
Neighbour: inside/blocks.py.
"""

import asyncio
import struct
from contextlib import aclosing

import structlog

from umbel.kit.errors import UmbelError
from umbel.repository.model import Content
from umbel.repository.service import Repository

log = structlog.get_logger(__name__)

_ASK = struct.Struct(">QI")
_ANSWER = struct.Struct(">I")
_FAILED = 0xFFFFFFFF
_MOST = 1 << 20


async def serve(
    repository: Repository,
    content: Content,
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Answer until the worker is gone."""
    reader, writer = streams
    try:
        while True:
            offset, length = _ASK.unpack(await reader.readexactly(_ASK.size))
            writer.write(await _answer(repository, content, offset, min(length, _MOST)))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # it ended
    finally:
        writer.close()


async def _answer(repository: Repository, content: Content, offset: int, length: int) -> bytes:
    found = bytearray()
    try:
        async with aclosing(repository.read(content, offset, offset + length)) as pieces:
            async for piece in pieces:
                found += piece
    except UmbelError as error:
        log.warning("file cannot be read", item=content.item.id, code=error.code)
        return _ANSWER.pack(_FAILED)
    return _ANSWER.pack(len(found)) + found
