"""A volume as a value, and what can be wrong with one."""

from collections.abc import Sequence
from dataclasses import dataclass

from umbel.kit.errors import Conflict, Exhausted, NotFound, Unavailable

MOST_AT_A_NODE = 64
"""Volumes of a node."""
MOST_SNAPSHOTS_OF_ONE = 16
"""Snapshots of a volume."""
MOST_AT_A_GUEST = 8
"""Volumes attached to one guest."""
MOST_MB = 16 * 1024 * 1024
"""The size of one volume, in MiB."""


class NoSuchVolume(NotFound):
    """No volume has this name."""

    code = "umbel.no_such_volume"


class VolumeExists(Conflict):
    """A volume has this name already."""

    code = "umbel.volume_exists"


class VolumeBusy(Conflict):
    """Something else is being done with the volume; try again when it is over."""

    code = "umbel.volume_busy"


class VolumeAttached(Conflict):
    """The volume is attached to a function; detach it first."""

    code = "umbel.volume_attached"


class VolumeElsewhere(Conflict):
    """The node of the function cannot reach the volume."""

    code = "umbel.volume_elsewhere"


class VolumeIncomplete(Conflict):
    """The control plane ended while it made this. Remove it, and make it again."""

    code = "umbel.volume_incomplete"


class NoVolumesThere(Conflict):
    """Functions of this node have no volumes: only guests have them."""

    code = "umbel.no_volumes_there"


class VolumesAttached(Conflict):
    """The guest has volumes attached, which are in no snapshot of a guest; detach them first."""

    code = "umbel.volumes_attached"


class GuestHasSnapshots(Conflict):
    """The guest has snapshots, which know nothing of this volume; remove them first."""

    code = "umbel.guest_has_snapshots"


class TooManyVolumes(Conflict):
    """The node, or the guest, has as many volumes as it may have."""

    code = "umbel.too_many_volumes"


class VolumeQuotaReached(Conflict):
    """Volumes and their snapshots would take more of the node than they may."""

    code = "umbel.volume_quota_reached"


class StorageFull(Exhausted):
    """The disk of the node is full: nothing was made there."""

    code = "umbel.storage_full"


class NoSuchDisk(NotFound):
    """The node has no disk with the volume's data."""

    code = "umbel.no_such_disk"


class DiskNotReleased(Unavailable):
    """The guest did not release the volume: it may be mounted there, or the guest is suspended."""

    code = "umbel.disk_not_released"


class NoSuchVolumeSnapshot(NotFound):
    """The volume has no snapshot of this name."""

    code = "umbel.no_such_volume_snapshot"


class VolumeSnapshotExists(Conflict):
    """The volume has a snapshot of this name; remove it, or choose another name."""

    code = "umbel.volume_snapshot_exists"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A disk of `size_mb` (MiB) at a node. Its data are in `disk` there; another disk, `spare`, is
    of a restore that was not finished, and is removed. It is attached to `function`, empty for
    none, whenever that runs. Not `is_complete`: its disk is being made, or never was."""

    name: str
    node: str
    size_mb: int
    disk: str
    spare: str = ""
    function: str = ""
    is_complete: bool = False
    created_s: float = 0.0
    created_by: str = ""


@dataclass(frozen=True, kw_only=True)
class VolumeSnapshot:
    """A volume's data as they were at `taken_s` (seconds since the epoch), in a disk of their
    own."""

    volume: str
    name: str
    disk: str
    is_complete: bool = False
    taken_s: float = 0.0
    taken_by: str = ""


@dataclass(frozen=True, kw_only=True)
class VolumeStatus:
    """A volume and what is seen of it: `is_attached` to its function now; `problem` is why it is
    not although that function runs; empty where it is, or need not be."""

    volume: Volume
    is_attached: bool = False
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What volumes and their snapshots have of a node (MiB), and may have."""

    node: str
    volumes: int
    used_mb: int
    quota_mb: int


def check_room(taken: Taken, size_mb: int, *, is_volume: bool) -> None:
    """Raise TooManyVolumes, or VolumeQuotaReached, where this much more is too much."""
    if is_volume and taken.volumes >= MOST_AT_A_NODE:
        raise TooManyVolumes(f"{taken.node} has {taken.volumes} volumes, the most that one may")
    if taken.used_mb + size_mb > taken.quota_mb:
        message = (
            f"Volumes and snapshots of {taken.node} have {taken.used_mb} of {taken.quota_mb} MiB: "
            f"{size_mb} MiB more are too much"
        )
        raise VolumeQuotaReached(message, node=taken.node, quota_mb=taken.quota_mb)


def check_attachable(function_id: str, attached: Sequence[str], snapshots: int) -> None:
    """Raise TooManyVolumes, or GuestHasSnapshots, where a guest may not have one volume more."""
    if snapshots:
        message = f"{function_id} has snapshots, which know nothing of a volume: remove them first"
        raise GuestHasSnapshots(message, function=function_id)
    if len(attached) >= MOST_AT_A_GUEST:
        message = f"{function_id} has {MOST_AT_A_GUEST} volumes attached, the most that a guest may"
        raise TooManyVolumes(message, function=function_id)


def check_none_attached(function_id: str, attached: Sequence[str]) -> None:
    """Raise VolumesAttached where a guest has volumes."""
    if attached:
        message = f"{function_id} has volumes attached: detach them first"
        raise VolumesAttached(message, function=function_id, disks=list(attached))
