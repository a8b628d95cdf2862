"""What is being given to one edge: some pieces at once, a few of each recording.

In: pieces that the edge lacks, and how to give one. A piece that takes long to read holds up others
of its recording only, and an edge that takes them slowly holds up no other edge. A piece that does
not come in time is dropped: an edge asks again for what somebody waits for.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from umbel.media.replay.messages import MOST_WANTED
from umbel.media.replay.pieces import Piece

log = structlog.get_logger(__name__)

Give = Callable[[Piece], Awaitable[None]]
GIVE_S = 15.0
"""Until then a piece has been waited for, read and given."""
_MOST_GIVEN = 8
_MOST_OF_CAPTURE = 2


class Giving:
    """To one edge."""

    def __init__(self, give: Give) -> None:
        self._give = give
        self._coming: dict[Piece, asyncio.Task[None]] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._all = asyncio.Semaphore(_MOST_GIVEN)

    def begin(self, piece: Piece) -> None:
        """Give it, unless it is on its way."""
        if piece in self._coming or len(self._coming) >= MOST_WANTED:
            return
        self._turns.setdefault(piece.capture_id, asyncio.Semaphore(_MOST_OF_CAPTURE))
        task = asyncio.create_task(self._run(piece), name=f"piece:{piece.name}")
        self._coming[piece] = task
        task.add_done_callback(lambda _: self._done(piece))

    async def close(self) -> None:
        """Give up what is on its way."""
        tasks = list(self._coming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, piece: Piece) -> None:
        try:
            async with asyncio.timeout(GIVE_S), self._turns[piece.capture_id], self._all:
                await self._give(piece)
        except TimeoutError:
            log.warning("piece not given in time", capture=piece.capture_id, piece=piece.name)
        except Exception:
            log.exception("giving a piece crashed", capture=piece.capture_id)

    def _done(self, piece: Piece) -> None:
        del self._coming[piece]
        if all(one.capture_id != piece.capture_id for one in self._coming):
            del self._turns[piece.capture_id]
