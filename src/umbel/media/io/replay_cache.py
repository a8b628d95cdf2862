"""Recordings' pieces that an edge keeps for its viewers, in a file without a name, bounded.

In: requests of viewers who may play them, and pieces from the control plane, which gives those that
are lacking: once, however many wait. Out: bytes. What cannot be served here is the front end's.
Neighbours: replay/ decides what is kept; the server's HTTP calls this.
"""

import asyncio
import os
import tempfile
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError, Unavailable
from umbel.kit.signal import Signal
from umbel.media.replay.allowance import Allowance
from umbel.media.replay.blocks import Blocks, Kept
from umbel.media.replay.grants import GrantEnded, ReplayGrant
from umbel.media.replay.messages import MOST_NAMED, MOST_USED, MOST_WANTED, Orders, Report
from umbel.media.replay.pieces import NoSuchPiece, Piece, Span

log = structlog.get_logger(__name__)

WAIT_S = 5.0
"""How long a viewer waits for a piece, and a report for something to say."""
AGAIN_S = 3.0
"""After that a piece is asked for again: who was to give it may be gone."""
MOST_ACTIVE = 256
"""Requests that wait or are being answered, and of one grant: players ask for a few at once."""
MOST_OF_GRANT = 8
_MOST_LACKING = 256
_MOST_GRANTS = 4_096


class ReplayElsewhere(Unavailable):
    """This edge cannot serve the replay at the moment: take it from the front end."""

    code = "umbel.replay_elsewhere"


@dataclass(eq=False)
class _Lacking:
    """A piece that somebody waits for. `given_s`: when the control plane was asked for it last."""

    coming: asyncio.Future[tuple[bytes, Span]]
    waiting: int = 0
    given_s: float | None = None


@dataclass(kw_only=True)
class Counts:
    """What happened so far, for metrics."""

    hits: int = 0
    misses: int = 0
    refused: int = 0
    sent_bytes: int = 0


@dataclass(kw_only=True, eq=False)
class Reading:
    """A piece on its way to a viewer: whole in memory, or in the file. `close` it in any case."""

    size: int
    body: bytes
    kept: Kept | None
    grant_id: str


@dataclass(eq=False)
class ReplayCache:
    """Lives on one event loop. With a capacity of 0 it refuses all. The file is in `folder`; None:
    in the temporary one."""

    capacity_bytes: int
    clock: Clock
    folder: Path | None = None
    counts: Counts = field(default_factory=Counts)
    home: str = ""
    _file: IO[bytes] | None = None
    _lacking: dict[Piece, _Lacking] = field(default_factory=dict)
    _writing: dict[Piece, tuple[bytes, Span]] = field(default_factory=dict)
    _active: Counter[str] = field(default_factory=Counter)
    _used: dict[str, str] = field(default_factory=dict)
    _reported: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _captures_named: int = 0
    _asked: Signal = field(default_factory=Signal)
    _allowance: Allowance = field(default_factory=Allowance)

    def __post_init__(self) -> None:
        self._blocks = Blocks(self.capacity_bytes)

    @property
    def kept_bytes(self) -> int:
        """What is kept."""
        return self._blocks.kept_bytes

    # -- viewers --------------------------------------------------------------------------------

    async def open(self, grant: ReplayGrant, piece: Piece) -> Reading:
        """The piece, if the grant reaches it. Raises NoSuchPiece, GrantEnded, ReplayElsewhere."""
        self._enter(grant)
        try:
            reading, span = await self._found(grant, piece)
        except BaseException:
            self._leave(grant.id)
            raise
        refusal = self._refusal(grant, reading, span)
        if refusal is not None:
            self.close(reading)
            raise refusal
        return reading

    async def read(self, reading: Reading) -> AsyncGenerator[bytes, None]:
        """Its bytes in order."""
        kept, step = reading.kept, self._blocks.block_bytes
        if kept is None:
            for at in range(0, reading.size, step):
                self.counts.sent_bytes += len(chunk := reading.body[at : at + step])
                yield chunk
            return
        assert self._file is not None, "what is kept is in the file"
        for number, block in enumerate(kept.blocks):
            length = min(step, reading.size - number * step)
            chunk = await asyncio.to_thread(os.pread, self._file.fileno(), length, block * step)
            self.counts.sent_bytes += len(chunk)
            yield chunk

    def close(self, reading: Reading) -> None:
        """The viewer has it, or is gone."""
        if reading.kept is not None:
            self._blocks.end(reading.kept)
        self._leave(reading.grant_id)

    # -- the control plane ----------------------------------------------------------------------

    async def sync(self, orders: Orders) -> Report:
        """Do it, and say what is lacking: waits for something, or a new grant, up to WAIT_S."""
        self._allowance.set(orders.mbps, self.clock.monotonic_s())
        self.home = orders.home
        for capture_id in orders.dropped:
            self._blocks.drop(capture_id)
        for grant_id in orders.ended:
            _remember(self._ended, grant_id)
        give_up_s = self.clock.monotonic_s() + WAIT_S
        while not (wanted := self._take_wanted()) and not self._used.keys() - self._reported:
            left_s = give_up_s - self.clock.monotonic_s()
            if left_s <= 0 or not await self._asked.listen().wait(left_s):
                break
        used = dict(list(self._used.items())[:MOST_USED])
        for grant_id in used:
            del self._used[grant_id]
            _remember(self._reported, grant_id)
        return Report(
            wanted=wanted,
            captures=self._next_captures(),
            used=tuple(used.values()),
        )

    async def put(self, piece: Piece, span: Span, body: bytes) -> None:
        """Here it is, for who waits and for later. Idempotent."""
        lacking = self._lacking.pop(piece, None)
        if lacking is not None and not lacking.coming.done():
            lacking.coming.set_result((body, span))
        kept = self._blocks.add(piece, len(body), span, self.clock.monotonic_s())
        if kept is None:
            return
        written = self._writing[piece] = body, span
        self._blocks.begin(kept)
        try:
            if self._file is None:
                # It has no name: nothing is left of it, whatever ends the process.
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 -- until `end`
                    buffering=0, dir=self.folder
                )
            await asyncio.to_thread(self._write, self._file.fileno(), kept.blocks, body)
            kept.is_written = True
        except OSError as error:
            log.warning("replay not kept", reason=str(error))
        finally:
            if not kept.is_written:
                self._blocks.discard(kept)
            # While it was written, it may have been dropped and given again.
            if self._writing.get(piece) is written:
                del self._writing[piece]
            self._blocks.end(kept)

    def refuse(self, piece: Piece, *, is_unknown: bool) -> None:
        """There is no such piece, or it cannot be given now."""
        lacking = self._lacking.pop(piece, None)
        if lacking is not None and not lacking.coming.done():
            lacking.coming.set_exception(NoSuchPiece() if is_unknown else self._elsewhere())

    def stop(self) -> None:
        """Viewers who wait or come are the front end's from now on; those who read go on."""
        self.capacity_bytes = 0
        for piece in list(self._lacking):
            self.refuse(piece, is_unknown=False)

    def end(self) -> None:
        """Nothing is kept any more. Nobody reads by now."""
        self.stop()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._blocks = Blocks(0)

    # -- inside ---------------------------------------------------------------------------------

    async def _found(self, grant: ReplayGrant, piece: Piece) -> tuple[Reading, Span]:
        kept = self._blocks.find(piece, self.clock.monotonic_s())
        if kept is not None:
            self.counts.hits += 1
            self._blocks.begin(kept)
            return Reading(size=kept.size, body=b"", kept=kept, grant_id=grant.id), kept.span
        if piece in self._writing:
            self.counts.hits += 1
            body, span = self._writing[piece]
        else:
            self.counts.misses += 1
            body, span = await self._awaited(piece)
        return Reading(size=len(body), body=body, kept=None, grant_id=grant.id), span

    def _refusal(self, grant: ReplayGrant, reading: Reading, span: Span) -> UmbelError | None:
        """Why the piece is not for this viewer, or not now."""
        if grant.id in self._ended:
            return GrantEnded()
        if not grant.covers(span.began_s, span.ended_s):
            return NoSuchPiece()
        if not self._allowance.take(reading.size, self.clock.monotonic_s()):
            return self._elsewhere()
        return None

    async def _awaited(self, piece: Piece) -> tuple[bytes, Span]:
        lacking = self._lacking.get(piece)
        if lacking is None:
            if len(self._lacking) >= _MOST_LACKING:
                raise self._elsewhere()
            lacking = self._lacking[piece] = _Lacking(asyncio.get_running_loop().create_future())
            self._asked.notify()
        lacking.waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                return await asyncio.shield(lacking.coming)
        except TimeoutError:
            raise self._elsewhere() from None
        finally:
            lacking.waiting -= 1
            if not lacking.waiting and self._lacking.get(piece) is lacking:
                del self._lacking[piece]

    def _take_wanted(self) -> tuple[Piece, ...]:
        """Pieces that nobody was asked for lately: they are from now on."""
        now_s = self.clock.monotonic_s()
        wanted = [
            piece
            for piece, one in self._lacking.items()
            if one.given_s is None or now_s - one.given_s >= AGAIN_S
        ][:MOST_WANTED]
        for piece in wanted:
            self._lacking[piece].given_s = now_s
        return tuple(wanted)

    def _next_captures(self) -> tuple[str, ...]:
        """As many captures as a report names: of more, all in turn, so that each deleted one
        leaves."""
        kept = self._blocks.captures
        first = self._captures_named if self._captures_named < len(kept) else 0
        self._captures_named = first + MOST_NAMED
        return tuple(kept[first : first + MOST_NAMED])

    def _enter(self, grant: ReplayGrant) -> None:
        if grant.id in self._ended:
            raise GrantEnded
        is_full = self._active.total() >= MOST_ACTIVE or self._active[grant.id] >= MOST_OF_GRANT
        if is_full or self.capacity_bytes <= 0:
            raise self._elsewhere()
        self._active[grant.id] += 1
        if len(self._used) < _MOST_GRANTS:
            self._used[grant.id] = grant.token
        if grant.id not in self._reported:
            self._asked.notify()

    def _leave(self, grant_id: str) -> None:
        self._active[grant_id] -= 1
        if not self._active[grant_id]:
            del self._active[grant_id]

    def _elsewhere(self) -> ReplayElsewhere:
        self.counts.refused += 1
        return ReplayElsewhere()

    def _write(self, file: int, blocks: tuple[int, ...], body: bytes) -> None:
        step = self._blocks.block_bytes
        for number, block in enumerate(blocks):
            chunk = body[number * step : (number + 1) * step]
            if os.pwrite(file, chunk, block * step) != len(chunk):
                raise OSError(0, "the disk is full")


def _remember(grants: OrderedDict[str, None], grant_id: str) -> None:
    """As the newest; the oldest of too many is forgotten."""
    grants[grant_id] = None
    grants.move_to_end(grant_id)
    if len(grants) > _MOST_GRANTS:
        grants.popitem(last=False)
