"""Where bytes are kept. tests/contract/test_repository.py defines it in full."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

PIECE_BYTES = 1 << 20
"""The most bytes that a storage gives or takes at a time."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a storage keeps under a name, whole or not, and what that takes; `changed_s` is the
    epoch second of its last change."""

    blob: str
    size: int
    changed_s: float
    is_whole: bool = True


class Storage(Protocol):
    """Keeps blobs: bytes under a name that is never used twice, written once and never changed.
    All raise StorageFailed too."""

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        """Keep all that comes, and answer how many bytes that was: they are safe on the disk then.
        When it raises, also what `pieces` raises, nothing is there. Raises RepositoryFull."""

    def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to, not including, `end`, in pieces; fewer where there are
        fewer. Raises BlobMissing."""

    async def size(self, blob: str) -> int:
        """How many bytes there are. Raises BlobMissing."""

    async def remove(self, blob: str) -> None:
        """The bytes are gone, also half written ones. Not an error if there are none."""

    def list(self) -> AsyncGenerator[Stored, None]:
        """All that is kept, in any order; half written ones too."""

    async def close(self) -> None:
        """Let go of what is open."""


@runtime_checkable
class Repairs(Protocol):
    """A storage that keeps more than the bytes, and can make lost ones again of what is left."""

    def suspects(self) -> Sequence[str]:
        """Blobs of which something was found missing or bad since the last call."""

    async def repair(self, blob: str) -> int:
        """Make whole again what is kept of the blob, and answer how many shards were made again.
        Raises BlobMissing where too little is left, StorageFailed."""


@runtime_checkable
class ListsSizes(Protocol):
    """A storage that says the sizes of many blobs at once."""

    async def sizes(self, blobs: Sequence[str]) -> Mapping[str, int]:
        """How many bytes there are of each that is there; 1000 blobs at most. Raises
        StorageFailed."""


@runtime_checkable
class ChecksMany(Protocol):
    """A storage over several others, which looks for many blobs at once."""

    async def lost(self, sizes: Mapping[str, int]) -> AbstractSet[str]:
        """Of these blobs, by their sizes, those of which too little is there. Raises
        StorageFailed."""
