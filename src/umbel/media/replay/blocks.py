"""Which blocks of a file hold which pieces: SIEVE decides who leaves. Pure.

In: pieces with their sizes, readers that begin and end. Out: numbers of blocks to read or write.
Blocks that somebody reads are not given away until the reader is done.
"""

from collections import Counter
from dataclasses import dataclass

from umbel.caches import policies
from umbel.caches.policies import Policy
from umbel.media.replay.pieces import Piece, Span

BLOCK_BYTES = 128 * 1024


@dataclass(slots=True, eq=False)
class Kept:
    """A piece that is in the file. It can be read once it `is_written`."""

    piece: Piece
    size: int
    span: Span
    blocks: tuple[int, ...]
    is_written: bool = False
    _readers: int = 0
    _is_gone: bool = False


class Blocks:
    """The file's contents. All sizes are bytes."""

    def __init__(self, capacity_bytes: int, block_bytes: int = BLOCK_BYTES) -> None:
        self.block_bytes = block_bytes
        count = capacity_bytes // block_bytes
        self._policy = policies.make(Policy.SIEVE, count * block_bytes)
        self._free = list(range(count - 1, -1, -1))
        self._kept: dict[Piece, Kept] = {}
        self._captures: Counter[str] = Counter()
        self.kept_bytes = 0

    @property
    def captures(self) -> list[str]:
        """Those of which something is kept."""
        return list(self._captures)

    def find(self, piece: Piece, now_s: float) -> Kept | None:
        """The piece, if it can be read: it was asked for now."""
        kept = self._kept.get(piece)
        if kept is None or not kept.is_written:
            return None
        self._policy.request(piece, self._rounded(kept.size), now_s)
        return kept

    def __contains__(self, piece: Piece) -> bool:
        return piece in self._kept

    def add(self, piece: Piece, size: int, span: Span, now_s: float) -> Kept | None:
        """Room for it, which others leave; None where it is kept already, or is not to be."""
        if piece in self._kept or size < 1:
            return None
        answer = self._policy.request(piece, self._rounded(size), now_s)
        for key in answer.evicted:
            if isinstance(key, Piece):
                self.remove(key)
        count = self._rounded(size) // self.block_bytes
        if not (answer.hit or answer.admitted) or count > len(self._free):
            return None
        blocks = tuple(self._free.pop() for _ in range(count))
        kept = self._kept[piece] = Kept(piece=piece, size=size, span=span, blocks=blocks)
        self._captures[piece.capture_id] += 1
        self.kept_bytes += size
        return kept

    def remove(self, piece: Piece) -> None:
        """It is found no more."""
        kept = self._kept.pop(piece, None)
        if kept is None:
            return
        kept._is_gone = True
        self.kept_bytes -= kept.size
        self._captures[piece.capture_id] -= 1
        self._captures += Counter()
        self._free_if_unread(kept)

    def discard(self, kept: Kept) -> None:
        """It is found no more; another one of the same piece stays."""
        if self._kept.get(kept.piece) is kept:
            self.remove(kept.piece)

    def drop(self, capture_id: str) -> None:
        """The capture is deleted."""
        for piece in [one for one in self._kept if one.capture_id == capture_id]:
            self.remove(piece)

    def begin(self, kept: Kept) -> None:
        """Somebody reads or writes it from now on."""
        kept._readers += 1

    def end(self, kept: Kept) -> None:
        """They are done."""
        kept._readers -= 1
        self._free_if_unread(kept)

    def _free_if_unread(self, kept: Kept) -> None:
        if kept._is_gone and not kept._readers:
            self._free.extend(kept.blocks)
            kept.blocks = ()

    def _rounded(self, size: int) -> int:
        return -(-size // self.block_bytes) * self.block_bytes
