"""What the portal needs of functions that are guests of hypervisors, for operators. Neighbour:
ports.py has what it needs of all else.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.compute.firewall.model import FirewallRule
from umbel.compute.images.model import Image, ImageStatus, StoredImage
from umbel.compute.model import Snapshot, Transport
from umbel.compute.volumes.model import Volume, VolumeSnapshot, VolumeStatus


class Suspending(Protocol):
    """For operators: functions that are guests of hypervisors. All raise NoSuchGuest (404),
    NotAGuest (409), HypervisorUnreachable and HypervisorFailed (503)."""

    async def suspend(self, function_id: str, *, by: str) -> None:
        """Stop its processors."""

    async def resume(self, function_id: str, *, by: str) -> None:
        """Let it continue."""

    async def console(self, function_id: str) -> str:
        """The end of what it wrote on its console."""


class Snapshotting(Protocol):
    """For operators: guests as they were. All raise as Suspending does."""

    async def snapshots(self, function_id: str) -> Sequence[Snapshot]:
        """Its snapshots, the oldest first."""

    async def snapshot(self, function_id: str, name: str, *, by: str) -> None:
        """Keep it as it is now. Raises SnapshotExists, TooManySnapshots (409)."""

    async def revert(self, function_id: str, name: str, *, by: str) -> None:
        """Have it as it was then. Raises NoSuchSnapshot (404)."""

    async def remove_snapshot(self, function_id: str, name: str, *, by: str) -> None:
        """Forget the snapshot. Raises NoSuchSnapshot."""


class GuestOperating(Suspending, Snapshotting, Protocol):
    """All that operators do with guests."""


class StoringVolumes(Protocol):
    """For operators: disks of guests that outlive them. All raise NoSuchVolume (404), and those
    that change something VolumeBusy (409), HypervisorUnreachable and HypervisorFailed (503)."""

    async def list(self) -> Sequence[VolumeStatus]:
        """Every volume, by name."""

    async def create(self, name: str, node: str, size_mb: int, *, by: str) -> Volume:
        """An empty one. Raises VolumeExists, NoVolumesThere, TooManyVolumes,
        VolumeQuotaReached (409), StorageFull (503), NoSuchNode."""

    async def remove(self, name: str, *, by: str, force: bool = False) -> None:
        """It goes with its snapshots. Raises VolumeAttached (409)."""

    async def attach(self, name: str, function_id: str, *, by: str) -> None:
        """Give it to a running guest. Raises VolumeAttached, VolumeElsewhere, VolumeIncomplete,
        GuestHasSnapshots, TooManyVolumes (409)."""

    async def detach(self, name: str, *, by: str) -> None:
        """Take it away from its function. Raises DiskNotReleased (503)."""


class SnapshottingVolumes(Protocol):
    """For operators: volumes as they were. All raise as StoringVolumes does."""

    async def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """Its snapshots, the oldest first."""

    async def snapshot(self, name: str, snapshot: str, *, by: str) -> None:
        """Keep its data. Raises VolumeSnapshotExists, TooManyVolumes, VolumeQuotaReached (409),
        StorageFull (503)."""

    async def restore(self, name: str, snapshot: str, *, by: str) -> None:
        """Have its data as they were. Raises VolumeAttached, VolumeIncomplete (409),
        NoSuchVolumeSnapshot (404), StorageFull (503)."""

    async def remove_snapshot(self, name: str, snapshot: str, *, by: str) -> None:
        """Forget the snapshot. Raises NoSuchVolumeSnapshot."""


class OperatingVolumes(StoringVolumes, SnapshottingVolumes, Protocol):
    """All that operators do with volumes."""


class StoringImages(Protocol):
    """For operators: images, the control plane's and those of nodes. Methods with a node raise
    NoImagesThere (409), NoSuchNode, HypervisorUnreachable and HypervisorFailed (503)."""

    async def list(self) -> Sequence[ImageStatus]:
        """The control plane's, by id."""

    async def remove(self, image_id: str, *, by: str) -> None:
        """It goes from the control plane. Raises NoSuchImage (404), ImageInUse (409)."""

    async def stored(self, node: str) -> Sequence[StoredImage]:
        """The node's, by id."""

    async def send(self, name: str, node: str, *, by: str) -> StoredImage:
        """Begin to copy one to the node. Raises NoSuchImage."""

    async def remove_at(self, node: str, image_id: str, *, by: str) -> None:
        """It goes from the node. Raises NoSuchImage, ImageInUse."""


class UploadingImages(Protocol):
    """For operators: images come to the control plane, piece by piece."""

    async def begin(self, image: Image, sizes: Mapping[str, int], *, by: str) -> Mapping[str, int]:
        """How many bytes of each part are here. Raises TooManyImages (409)."""

    async def receive(self, image_id: str, part: str, offset: int, data: bytes) -> int:
        """The next bytes. Raises NoSuchUpload (404), UploadOutOfOrder (409)."""

    async def complete(self, image_id: str, *, by: str) -> ImageStatus:
        """All bytes came. Raises ImageCorrupt (400) and what `receive` raises."""


class Filtering(Protocol):
    """For operators: which sources may reach which ports of guests."""

    async def list(self, function_id: str = "") -> Sequence[FirewallRule]:
        """Every rule, or those of one function."""

    async def add(
        self, function_id: str, transport: Transport, ports: str, sources: Sequence[str], *, by: str
    ) -> FirewallRule:
        """Close ports to all but these sources. Raises BadFirewallRule (400), NoSuchGuest (404),
        NoFirewallThere, GuestMoving, TooManyFirewallRules (409), HypervisorUnreachable,
        HypervisorFailed (503)."""

    async def remove(self, rule_id: str, *, by: str) -> None:
        """Open them. Raises NoSuchFirewallRule (404) and what the VIM raises."""


class OperatingImages(StoringImages, UploadingImages, Protocol):
    """All that operators do with images."""
