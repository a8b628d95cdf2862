"""Volumes, for operators: disks of guests that outlive them."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field

from umbel.compute.volumes.model import MOST_MB, Volume, VolumeStatus
from umbel.kit.clock import to_rfc3339
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/volumes", tags=["guests"])

_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
VolumeName = Annotated[str, Path(pattern=_NAME)]
SnapshotOfVolume = Annotated[str, Path(pattern=_NAME)]


class VolumeIn(Given):
    """An empty volume at a node whose functions are guests; `size_mb` is in MiB."""

    name: Annotated[str, Field(pattern=_NAME)]
    node: NodeName
    size_mb: Annotated[int, Field(ge=1, le=MOST_MB)]


class AttachmentIn(Given):
    """The function that gets the volume, and has it whenever it runs."""

    function: Annotated[str, Field(min_length=1, max_length=128)]


class VolumeSnapshotIn(Given):
    """A snapshot's name."""

    name: Annotated[str, Field(pattern=_NAME)]


class VolumeOut(BaseModel):
    """A volume of `size_mb` MiB. `state` is `available`, `attached`, `waiting` where its function
    does not run or cannot have it (`problem` says why), or `incomplete` while it is being made, and
    where it never was."""

    name: str
    node: str
    size_mb: int
    state: str
    function: str
    problem: str
    created_at: str
    created_by: str


class VolumeSnapshotOut(BaseModel):
    """A volume's data as they were then. One that is not complete cannot be restored."""

    name: str
    is_complete: bool
    taken_at: str
    taken_by: str


@router.get("")
async def list_volumes(system: auth.SystemDep, _operator: auth.Operator) -> list[VolumeOut]:
    """List every volume, by name."""
    return [_out(one) for one in await system.volumes.list()]


@router.post("", status_code=201)
async def create_volume(
    system: auth.SystemDep, operator: auth.Operator, given: VolumeIn
) -> VolumeOut:
    """Create an empty volume. All its room is taken at once."""
    made = await system.volumes.create(given.name, given.node, given.size_mb, by=operator.username)
    return _out(VolumeStatus(volume=made))


@router.delete("/{name}", status_code=204)
async def remove_volume(
    system: auth.SystemDep,
    operator: auth.Operator,
    name: VolumeName,
    force: Annotated[bool, Query()] = False,
) -> None:
    """Remove a volume with its data and its snapshots. `force` also forgets one whose node does not
    answer or is gone."""
    await system.volumes.remove(name, by=operator.username, force=force)


@router.post("/{name}/attach", status_code=204)
async def attach_volume(
    system: auth.SystemDep, operator: auth.Operator, name: VolumeName, given: AttachmentIn
) -> None:
    """Give the volume to a running guest at its node."""
    await system.volumes.attach(name, given.function, by=operator.username)


@router.post("/{name}/detach", status_code=204)
async def detach_volume(system: auth.SystemDep, operator: auth.Operator, name: VolumeName) -> None:
    """Take the volume away from its function, once the guest has released it."""
    await system.volumes.detach(name, by=operator.username)


@router.get("/{name}/snapshots")
async def list_volume_snapshots(
    system: auth.SystemDep, _operator: auth.Operator, name: VolumeName
) -> list[VolumeSnapshotOut]:
    """List the volume's snapshots, the oldest first."""
    return [
        VolumeSnapshotOut(
            name=one.name,
            is_complete=one.is_complete,
            taken_at=to_rfc3339(one.taken_s),
            taken_by=one.taken_by,
        )
        for one in await system.volumes.snapshots(name)
    ]


@router.post("/{name}/snapshots", status_code=204)
async def take_volume_snapshot(
    system: auth.SystemDep, operator: auth.Operator, name: VolumeName, given: VolumeSnapshotIn
) -> None:
    """Keep the volume's data as they are now, also while a guest writes to it."""
    await system.volumes.snapshot(name, given.name, by=operator.username)


@router.post("/{name}/snapshots/{snapshot}/restore", status_code=204)
async def restore_volume(
    system: auth.SystemDep,
    operator: auth.Operator,
    name: VolumeName,
    snapshot: SnapshotOfVolume,
) -> None:
    """Have the data of a detached volume as they were at that snapshot."""
    await system.volumes.restore(name, snapshot, by=operator.username)


@router.delete("/{name}/snapshots/{snapshot}", status_code=204)
async def remove_volume_snapshot(
    system: auth.SystemDep,
    operator: auth.Operator,
    name: VolumeName,
    snapshot: SnapshotOfVolume,
) -> None:
    """Forget the snapshot."""
    await system.volumes.remove_snapshot(name, snapshot, by=operator.username)


def _out(status: VolumeStatus) -> VolumeOut:
    volume = status.volume
    return VolumeOut(
        name=volume.name,
        node=volume.node,
        size_mb=volume.size_mb,
        state=_state(volume, is_attached=status.is_attached),
        function=volume.function,
        problem=status.problem,
        created_at=to_rfc3339(volume.created_s),
        created_by=volume.created_by,
    )


def _state(volume: Volume, *, is_attached: bool) -> str:
    if not volume.is_complete:
        return "incomplete"
    if not volume.function:
        return "available"
    return "attached" if is_attached else "waiting"
