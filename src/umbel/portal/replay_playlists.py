"""A recording's playlist as bytes. Each has its viewer's token in all lines, so that none can be
kept for others; that of some hours has megabytes, and is made away from the loop.
"""

import asyncio
import gzip
from collections.abc import Sequence

from umbel.recordings.model import Segment
from umbel.recordings.playlists import media

_LEVEL = 1
"""Lines repeat: level 6 takes three times as long, and saves a fiftieth."""


async def body(
    segments: Sequence[Segment], *, is_growing: bool, folder: str, is_gzip: bool
) -> bytes:
    """The playlist of `playlists.media`, compressed where the viewer takes that."""

    def made() -> bytes:
        text = media(segments, is_growing=is_growing, folder=folder).encode()
        return gzip.compress(text, compresslevel=_LEVEL) if is_gzip else text

    return await asyncio.to_thread(made)
