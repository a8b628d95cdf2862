"""Bytes on their way out: any range of an item, and a checksum for each part that is read whole.

In: an item's parts and a range. Out: pieces. The last piece of a part that is read whole is given
only when the part's digest is right: a reader never has all bytes of a damaged part.
"""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from umbel.repository.model import BlobMissing, ItemDamaged, Part
from umbel.repository.ports import Storage
from umbel.repository.threads import in_thread


async def read(
    storage: Storage, parts: Sequence[Part], start: int, end: int
) -> AsyncGenerator[bytes, None]:
    """The bytes from `start` up to, not including, `end`. Raises ItemDamaged, StorageFailed."""
    for part, first, last in spans(parts, start, end):
        is_whole = (first, last) == (0, part.size)
        taken = _checked(storage, part) if is_whole else _counted(storage, part, first, last)
        async with aclosing(taken):
            async for piece in taken:
                yield piece


def spans(parts: Sequence[Part], start: int, end: int) -> Iterator[tuple[Part, int, int]]:
    """The parts that the range touches, each with the range within it."""
    at = 0
    for part in parts:
        first, last = max(start - at, 0), min(end - at, part.size)
        if first < last:
            yield part, first, last
        at += part.size


async def verify(storage: Storage, part: Part) -> None:
    """Read all of the part. Raises ItemDamaged, StorageFailed."""
    async with aclosing(_checked(storage, part)) as taken:
        async for _ in taken:
            pass


async def _checked(storage: Storage, part: Part) -> AsyncGenerator[bytes, None]:
    digest, held = hashlib.sha256(), b""
    async with aclosing(_counted(storage, part, 0, part.size)) as taken:
        async for piece in taken:
            if held:
                yield held
            held = piece
            await in_thread(digest.update, piece)
    if digest.hexdigest() != part.sha256:
        raise ItemDamaged("The bytes are not those that were uploaded", blob=part.blob)
    if held:
        yield held


async def _counted(
    storage: Storage, part: Part, start: int, end: int
) -> AsyncGenerator[bytes, None]:
    left = end - start
    try:
        async with aclosing(storage.read(part.blob, start, end)) as taken:
            async for piece in taken:
                left -= len(piece)
                yield piece
    except BlobMissing as error:
        raise ItemDamaged("The bytes are lost", blob=part.blob) from error
    if left:
        raise ItemDamaged(f"{left} bytes are lost", blob=part.blob)
