"""What operators do with functions that are guests of hypervisors, of all owners.

In: a function's id. Out: its guest is suspended, continues, is kept or is as it was then.
Neighbours: moving.py for moves; the VIMs that have guests.
"""

from collections.abc import Awaitable, Callable, Mapping

import structlog

from umbel.compute.hypervisors.model import NoSuchGuest, NotAGuest
from umbel.compute.model import Instance, Node, Snapshot
from umbel.compute.ports import GuestControl, KeepsSnapshots, Vim
from umbel.compute.vims import Vims

log = structlog.get_logger(__name__)


class GuestOperations:
    """All methods raise NoSuchGuest, NotAGuest, and HypervisorUnreachable or HypervisorFailed. `by`
    is who wants it, for the log."""

    def __init__(
        self,
        vims: Vims,
        node: Callable[[str], Node],
        running: Callable[[], Awaitable[Mapping[str, Instance]]],
    ) -> None:
        self._vims = vims
        self._node = node
        self._running = running

    async def suspend(self, function_id: str, *, by: str) -> None:
        """Stop the guest's processors; its memory stays. Its function answers nobody then."""
        await (await self._control(function_id)).suspend(function_id)
        log.info("guest suspended", id=function_id, by=by)

    async def resume(self, function_id: str, *, by: str) -> None:
        """Let the guest continue."""
        await (await self._control(function_id)).resume(function_id)
        log.info("guest resumed", id=function_id, by=by)

    async def console(self, function_id: str) -> str:
        """The end of what the guest wrote on its console."""
        return await (await self._control(function_id)).console(function_id)

    async def snapshots(self, function_id: str) -> list[Snapshot]:
        """The guest's snapshots, the oldest first."""
        return await (await self._keeper(function_id)).snapshots(function_id)

    async def snapshot(self, function_id: str, name: str, *, by: str) -> None:
        """Keep the guest's memory and disk as they are now. Raises SnapshotExists,
        TooManySnapshots."""
        await (await self._keeper(function_id)).snapshot(function_id, name)
        log.info("snapshot taken", id=function_id, snapshot=name, by=by)

    async def revert(self, function_id: str, name: str, *, by: str) -> None:
        """Have the guest as it was then. Raises NoSuchSnapshot."""
        await (await self._keeper(function_id)).revert(function_id, name)
        log.info("guest reverted", id=function_id, snapshot=name, by=by)

    async def remove_snapshot(self, function_id: str, name: str, *, by: str) -> None:
        """Forget the snapshot. Raises NoSuchSnapshot."""
        await (await self._keeper(function_id)).remove_snapshot(function_id, name)
        log.info("snapshot removed", id=function_id, snapshot=name, by=by)

    async def _control(self, function_id: str) -> GuestControl:
        vim = await self._vim(function_id)
        if not isinstance(vim, GuestControl):
            raise _not_a_guest(function_id)
        return vim

    async def _keeper(self, function_id: str) -> KeepsSnapshots:
        vim = await self._vim(function_id)
        if not isinstance(vim, KeepsSnapshots):
            raise _not_a_guest(function_id)
        return vim

    async def _vim(self, function_id: str) -> Vim:
        instance = (await self._running()).get(function_id)
        if instance is None:
            raise NoSuchGuest(f"No function {function_id} runs", function=function_id)
        return self._vims.of(self._node(instance.node))


def _not_a_guest(function_id: str) -> NotAGuest:
    return NotAGuest(f"{function_id} is no guest of a hypervisor", function=function_id)
