"""Bytes that come in chunks of any size, in pieces of one size. Pure, but for awaiting chunks."""

from collections.abc import AsyncGenerator, AsyncIterator

from umbel.repository.ports import PIECE_BYTES


async def pieces(
    chunks: AsyncIterator[bytes], size: int = PIECE_BYTES
) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of `size` bytes; the last one may be shorter, none is empty."""
    held = bytearray()
    async for chunk in chunks:
        view = memoryview(chunk)
        while view:
            taken = view[: size - len(held)]
            held += taken
            view = view[len(taken) :]
            if len(held) == size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)
