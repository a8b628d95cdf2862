"""The volumes, for operators; and what keeps them attached to the functions that have them.

In: what operators ask, and which functions run. Out: rows, and disks at VIMs. A row is written
before its disk is made, and forgotten after that is gone, so no disk is ever lost from sight.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from umbel.compute.model import FunctionState, Instance
from umbel.compute.ports import Vim
from umbel.compute.volumes.model import (
    NoSuchDisk,
    NoVolumesThere,
    StorageFull,
    Volume,
    VolumeAttached,
    VolumeBusy,
    VolumeElsewhere,
    VolumeIncomplete,
    VolumeSnapshot,
    VolumeStatus,
)
from umbel.compute.volumes.ports import DiskStorage, KeepsDisks
from umbel.compute.volumes.store import VolumeStore
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import NotFound, UmbelError
from umbel.kit.ids import new_id
from umbel.kit.leases import Leases

log = structlog.get_logger(__name__)

LEASE_S = 30.0
_EVERY_S = 5.0
_LOOP = "volumes"

Running = Callable[[], Awaitable[Mapping[str, Instance]]]


class VolumeService:
    """The volumes. `vim_at` answers the VIM of a node and raises NoSuchNode; one instance at a time
    changes a volume. All methods with a name raise NoSuchVolume, and those that change something
    VolumeBusy and what the VIM raises."""

    def __init__(
        self,
        store: VolumeStore,
        vim_at: Callable[[str], Vim],
        running: Running,
        leases: Leases,
        *,
        clock: Clock,
        quota_mb: int,
    ) -> None:
        self._store = store
        self._vim_at = vim_at
        self._running = running
        self._leases = leases
        self._clock = clock
        self._quota_mb = quota_mb
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._problems: dict[str, str] = {}
        self._controller = Controller(self._reconcile)

    async def list(self) -> Sequence[VolumeStatus]:
        """Every volume, by name."""
        found = list((await self._store.all()).values())
        running = await self._running() if any(one.function for one in found) else {}
        return [await self._status(one, running) for one in found]

    async def create(self, name: str, node: str, size_mb: int, *, by: str) -> Volume:
        """An empty volume at the node. Raises VolumeExists, TooManyVolumes, VolumeQuotaReached,
        StorageFull, NoVolumesThere and NoSuchNode."""
        disks = self._disks(node)
        volume = Volume(
            name=name,
            node=node,
            size_mb=size_mb,
            disk=new_id("disk"),
            created_s=self._clock.now_s(),
            created_by=by,
        )
        async with self._turn(name):
            await self._store.add(volume, self._quota_mb)
            try:
                await disks.create(node, volume.disk, size_mb)
            except StorageFull:
                await self._store.remove(name)
                raise
            made = replace(volume, is_complete=True)
            await self._store.set(made)
        log.info("volume created", volume=name, node=node, size_mb=size_mb, by=by)
        return made

    async def remove(self, name: str, *, by: str, force: bool = False) -> None:
        """The volume goes with its snapshots. `force`: also where its node does not answer or is
        gone; its files may be left there then. Raises VolumeAttached."""
        async with self._turn(name):
            volume = await self._store.get(name)
            _check_free(volume)
            snapshots = [one.disk for one in await self._store.snapshots(name)]
            try:
                disks = self._disks(volume.node)
                for disk in filter(None, (volume.disk, volume.spare, *snapshots)):
                    await disks.remove(volume.node, disk)
            except UmbelError as error:
                if not force or isinstance(error, VolumeAttached):
                    raise
                log.warning("volume forgotten", volume=name, reason=error.message)
            await self._store.remove(name)
        self._problems.pop(name, None)
        log.info("volume removed", volume=name, by=by)

    async def attach(self, name: str, function_id: str, *, by: str) -> None:
        """Give the volume to a running guest, which has it from now on whenever it runs. Raises
        VolumeAttached, VolumeElsewhere, NoSuchFunction and what `DiskStorage.attach` raises."""
        async with self._turn(name):
            volume = _complete(await self._store.get(name))
            if volume.function not in {"", function_id}:
                message = f"{name} is attached to {volume.function}: detach it first"
                raise VolumeAttached(message, volume=name, function=volume.function)
            node = await self._node_of(function_id)
            await self._attach(volume, node, function_id)
            await self._store.set(replace(volume, node=node, function=function_id))
        log.info("volume attached", volume=name, function=function_id, by=by)

    async def detach(self, name: str, *, by: str) -> None:
        """Take the volume away from its function. Not an error if it has none. Raises
        DiskNotReleased."""
        async with self._turn(name):
            volume = await self._store.get(name)
            instance = (await self._running()).get(volume.function)
            if instance is not None and instance.state is not FunctionState.FAILED:
                await self._disks(instance.node).detach(volume.disk, volume.function)
            await self._store.set(replace(volume, function=""))
        self._problems.pop(name, None)
        log.info("volume detached", volume=name, function=volume.function, by=by)

    # -- snapshots --------------------------------------------------------------------------

    async def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """The volume's snapshots, the oldest first."""
        await self._store.get(name)
        return await self._store.snapshots(name)

    async def snapshot(self, name: str, snapshot: str, *, by: str) -> None:
        """Keep the volume's data as they are now, also while a guest writes. Raises
        VolumeSnapshotExists, TooManyVolumes, VolumeQuotaReached, StorageFull."""
        async with self._turn(name):
            volume = _complete(await self._store.get(name))
            made = VolumeSnapshot(
                volume=name,
                name=snapshot,
                disk=new_id("disk"),
                taken_s=self._clock.now_s(),
                taken_by=by,
            )
            await self._store.add_snapshot(made, self._quota_mb)
            try:
                await self._disks(volume.node).copy(volume.node, volume.disk, made.disk)
            except (StorageFull, NoSuchDisk):
                await self._store.remove_snapshot(name, snapshot)
                raise
            await self._store.complete_snapshot(name, snapshot)
        log.info("volume snapshot taken", volume=name, snapshot=snapshot, by=by)

    async def restore(self, name: str, snapshot: str, *, by: str) -> None:
        """Have the volume's data as they were then; what was written since is lost. When it fails,
        they are as before. Raises VolumeAttached, NoSuchVolumeSnapshot, StorageFull."""
        async with self._turn(name):
            volume = _complete(await self._store.get(name))
            _check_free(volume)
            kept = await self._store.get_snapshot(name, snapshot)
            if not kept.is_complete:
                raise VolumeIncomplete(f"The snapshot {snapshot} of {name} is not complete")
            disks = self._disks(volume.node)
            volume = await self._without_spare(volume, disks)
            volume = replace(volume, spare=new_id("disk"))
            await self._store.set(volume)
            try:
                await disks.copy(volume.node, kept.disk, volume.spare)
            except StorageFull:
                await self._without_spare(volume, disks)
                raise
            volume = replace(volume, disk=volume.spare, spare=volume.disk)
            await self._store.set(volume)
            await self._without_spare(volume, disks)
        log.info("volume restored", volume=name, snapshot=snapshot, by=by)

    async def remove_snapshot(self, name: str, snapshot: str, *, by: str) -> None:
        """Forget the snapshot. Raises NoSuchVolumeSnapshot."""
        async with self._turn(name):
            volume = await self._store.get(name)
            kept = await self._store.get_snapshot(name, snapshot)
            await self._disks(volume.node).remove(volume.node, kept.disk)
            await self._store.remove_snapshot(name, snapshot)
        log.info("volume snapshot removed", volume=name, snapshot=snapshot, by=by)

    # -- the loop ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep volumes attached to the functions that have them, until cancelled: guests that were
        started again have none at first, and one that moved may be at another node."""
        await self._controller.run(_LOOP)

    def wake(self, _function_id: str) -> None:
        """A function changed."""
        if self._controller.keys():
            self._controller.wake(_LOOP)

    async def _reconcile(self, _key: str) -> float:
        wanted = [one for one in (await self._store.all()).values() if one.function]
        running = await self._running() if wanted else {}
        for volume in wanted:
            instance = running.get(volume.function)
            if instance is not None and instance.state is FunctionState.ACTIVE:
                await self._keep_attached(volume.name, instance)
        return _EVERY_S

    async def _keep_attached(self, name: str, instance: Instance) -> None:
        try:
            async with self._turn(name):
                volume = await self._store.get(name)
                if volume.function != instance.id:
                    return
                if not await self._is_attached(volume, instance):
                    await self._attach(volume, instance.node, instance.id)
                    log.info("volume attached again", volume=name, function=instance.id)
                if volume.node != instance.node:
                    await self._store.set(replace(volume, node=instance.node))
                self._problems.pop(name, None)
        except VolumeBusy:
            pass  # the next look tries again
        except UmbelError as error:
            if self._problems.get(name) != error.message:
                log.warning("volume not attached", volume=name, reason=error.message)
            self._problems[name] = error.message

    # -- inside -----------------------------------------------------------------------------

    def _disks(self, node: str) -> DiskStorage:
        vim = self._vim_at(node)
        if not isinstance(vim, KeepsDisks):
            raise NoVolumesThere(f"Functions of {node} have no volumes: only guests do", node=node)
        return vim.disks

    async def _node_of(self, function_id: str) -> str:
        instance = (await self._running()).get(function_id)
        if instance is None or instance.state is FunctionState.FAILED:
            raise NotFound(f"No function {function_id} runs", function=function_id)
        return instance.node

    async def _attach(self, volume: Volume, node: str, function_id: str) -> None:
        try:
            await self._disks(node).attach(volume.disk, function_id)
        except NoSuchDisk as error:
            message = f"{volume.name} is at {volume.node}; {function_id} runs on {node}"
            if node == volume.node:
                message = f"{volume.name} has no disk at {node} any more: remove the volume"
            raise VolumeElsewhere(message, volume=volume.name, node=node) from error

    async def _is_attached(self, volume: Volume, instance: Instance) -> bool:
        attached = await self._disks(instance.node).attached(instance.node)
        return attached.get(volume.disk) == instance.id

    async def _status(self, volume: Volume, running: Mapping[str, Instance]) -> VolumeStatus:
        instance = running.get(volume.function)
        if instance is None:
            return VolumeStatus(volume=volume)
        try:
            is_attached = await self._is_attached(volume, instance)
        except UmbelError as error:
            return VolumeStatus(volume=volume, problem=error.message)
        problem = "" if is_attached else self._problems.get(volume.name, "")
        return VolumeStatus(volume=volume, is_attached=is_attached, problem=problem)

    async def _without_spare(self, volume: Volume, disks: DiskStorage) -> Volume:
        if not volume.spare:
            return volume
        await disks.remove(volume.node, volume.spare)
        volume = replace(volume, spare="")
        await self._store.set(volume)
        return volume

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """One change of the volume at a time, in all instances. Raises VolumeBusy."""
        lease, lock = f"volume:{name}"[:64], self._turns[name]
        if lock.locked():
            raise VolumeBusy(f"Something else is being done with {name}", volume=name)
        async with lock:
            if not await self._leases.acquire(lease):
                raise VolumeBusy(f"Something else is being done with {name}", volume=name)
            renewing = asyncio.create_task(self._renew(lease), name=f"renew:{lease}")
            try:
                yield
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                await self._leases.drop(lease)

    async def _renew(self, lease: str) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await self._leases.acquire(lease)


def _check_free(volume: Volume) -> None:
    if volume.function:
        message = f"{volume.name} is attached to {volume.function}: detach it first"
        raise VolumeAttached(message, volume=volume.name, function=volume.function)


def _complete(volume: Volume) -> Volume:
    if not volume.is_complete:
        message = f"{volume.name} was never completed: remove it, and create it again"
        raise VolumeIncomplete(message, volume=volume.name)
    return volume
