"""What a VIM does that keeps disks for volumes. tests/contract/test_volumes.py defines it."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


class DiskStorage(Protocol):
    """Keeps disks at nodes, and attaches them to guests there. A disk has an id that is never used
    again. All raise Unavailable (HypervisorUnreachable, HypervisorFailed) too."""

    async def create(self, node: str, disk: str, size_mb: int) -> None:
        """An empty disk, for which all room is taken at once. Idempotent. Raises StorageFull."""

    async def copy(self, node: str, disk: str, to: str) -> None:
        """Another disk with what the first one holds at one moment, also while a guest writes to
        it. What there was of `to` is replaced. Raises NoSuchDisk, StorageFull, GuestMoving."""

    async def remove(self, node: str, disk: str) -> None:
        """The disk is gone; not an error if there is none. Raises VolumeAttached."""

    async def attached(self, node: str) -> Mapping[str, str]:
        """The functions on the node that have disks attached, by disk."""

    async def attach(self, disk: str, function_id: str) -> None:
        """Give a running guest the disk. Idempotent. Raises NoSuchDisk where its node has none of
        that id, NoSuchGuest, GuestMoving, TooManyVolumes, GuestHasSnapshots."""

    async def detach(self, disk: str, function_id: str) -> None:
        """Take the disk away from a running guest, once the guest has released it. Idempotent.
        Raises DiskNotReleased, GuestMoving. A guest that does not run has none attached."""


@runtime_checkable
class KeepsDisks(Protocol):
    """A VIM whose guests have volumes."""

    @property
    def disks(self) -> DiskStorage:
        """Where they are kept."""
