"""Functions that are guests of hypervisors, for operators: suspend, console, snapshots."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from umbel.kit.clock import to_rfc3339
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/functions/{function_id}", tags=["guests"])

_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
FunctionId = Annotated[str, Path(min_length=1, max_length=128)]
SnapshotName = Annotated[str, Path(pattern=_NAME)]


class ConsoleOut(BaseModel):
    """The last 64 KiB at most of what the guest wrote on its console since its first start."""

    text: str


class SnapshotIn(Given):
    """A snapshot's name."""

    name: Annotated[str, Field(pattern=_NAME)]


class SnapshotOut(BaseModel):
    """A guest's memory and disk as they were then."""

    name: str
    taken_at: str


@router.post("/suspend", status_code=204)
async def suspend_guest(
    system: auth.SystemDep, operator: auth.Operator, function_id: FunctionId
) -> None:
    """Stop the guest's processors. Its function answers nobody until it is resumed."""
    await system.guest_operations.suspend(function_id, by=operator.username)


@router.post("/resume", status_code=204)
async def resume_guest(
    system: auth.SystemDep, operator: auth.Operator, function_id: FunctionId
) -> None:
    """Let a suspended guest continue."""
    await system.guest_operations.resume(function_id, by=operator.username)


@router.get("/console")
async def get_console(
    system: auth.SystemDep, _operator: auth.Operator, function_id: FunctionId
) -> ConsoleOut:
    """Get the end of what the guest wrote on its console."""
    return ConsoleOut(text=await system.guest_operations.console(function_id))


@router.get("/snapshots")
async def list_snapshots(
    system: auth.SystemDep, _operator: auth.Operator, function_id: FunctionId
) -> list[SnapshotOut]:
    """List the guest's snapshots, the oldest first."""
    return [
        SnapshotOut(name=one.name, taken_at=to_rfc3339(one.taken_s))
        for one in await system.guest_operations.snapshots(function_id)
    ]


@router.post("/snapshots", status_code=204)
async def take_snapshot(
    system: auth.SystemDep, operator: auth.Operator, function_id: FunctionId, given: SnapshotIn
) -> None:
    """Keep the guest's memory and disk as they are now, until it is stopped."""
    await system.guest_operations.snapshot(function_id, given.name, by=operator.username)


@router.post("/snapshots/{name}/revert", status_code=204)
async def revert_guest(
    system: auth.SystemDep, operator: auth.Operator, function_id: FunctionId, name: SnapshotName
) -> None:
    """Have the guest as it was at that snapshot; what happened since is lost."""
    await system.guest_operations.revert(function_id, name, by=operator.username)


@router.delete("/snapshots/{name}", status_code=204)
async def remove_snapshot(
    system: auth.SystemDep, operator: auth.Operator, function_id: FunctionId, name: SnapshotName
) -> None:
    """Forget the snapshot."""
    await system.guest_operations.remove_snapshot(function_id, name, by=operator.username)
