"""Volumes of a control plane over guests in memory and a real database: what is kept when it dies,
when a disk is full, and when guests come and go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from support import databases
from support.disk_worlds import FakeDiskWorld, started
from support.vim_worlds import until
from umbel.compute.model import FunctionState, Inventory
from umbel.compute.ports import Vim
from umbel.compute.service import Compute, NodeInUse
from umbel.compute.volumes.model import (
    NoVolumesThere,
    StorageFull,
    VolumeAttached,
    VolumeBusy,
    VolumeElsewhere,
    VolumeIncomplete,
    VolumeQuotaReached,
)
from umbel.compute.volumes.service import VolumeService
from umbel.compute.volumes.store import VolumeStore
from umbel.kit.clock import LoopClock, SystemClock
from umbel.kit.db import Database
from umbel.kit.errors import NotFound, UmbelError
from umbel.kit.leases import Leases

QUOTA_MB = 100


@dataclass
class Plane:
    """Control planes over the same database and guests."""

    database: Database
    world: FakeDiskWorld = field(default_factory=FakeDiskWorld)

    def service(self, name: str = "cp-1", vim: Vim | None = None) -> VolumeService:
        at: Callable[[str], Vim] = lambda _: vim or self.world.vim  # noqa: E731
        return VolumeService(
            VolumeStore(self.database),
            at,
            self.world.vim.running,
            Leases(self.database, SystemClock(), name, 30.0),
            clock=SystemClock(),
            quota_mb=QUOTA_MB,
        )

    async def content(self, name: str) -> str:
        return await self.world.read((await VolumeStore(self.database).get(name)).disk)

    async def write(self, name: str, letter: str) -> None:
        await self.world.write((await VolumeStore(self.database).get(name)).disk, letter)


@pytest.fixture
async def plane(sqlite_url: str) -> AsyncIterator[Plane]:
    database = Database(sqlite_url, durable=False)
    await databases.prepare(database)
    yield Plane(database)
    await database.close()


@asynccontextmanager
async def running(service: VolumeService) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def state(service: VolumeService) -> tuple[str, bool]:
    (only,) = await service.list()
    return only.volume.function, only.is_attached


async def test_a_guest_that_starts_again_has_its_volume_again(plane: Plane) -> None:
    service, world, id_ = plane.service(), plane.world, plane.world.guest.id
    await service.create("album", "pe2", 10, by="anna")
    with pytest.raises(NotFound, match=id_):
        await service.attach("album", id_, by="anna")
    await started(world)
    for _ in range(2):
        await service.attach("album", id_, by="anna")
    with pytest.raises(VolumeAttached, match=id_):
        await service.attach("album", "other", by="anna")
    with pytest.raises(VolumeAttached, match="detach"):
        await service.remove("album", by="anna")
    await plane.write("album", "x")
    world.vim.watch(service.wake)
    async with running(service):
        world.vim.kill(id_)
        assert await state(service) == (id_, False)
        await started(world)

        async def is_back() -> bool:
            return await state(service) == (id_, True)

        await until(is_back, what="the volume is attached again")
    assert await plane.content("album") == "x"
    for _ in range(2):
        await service.detach("album", by="anna")
        assert await state(service) == ("", False)
    await service.remove("album", by="anna")
    assert world.disks() == []


async def test_another_control_plane_attaches_what_was_attached(plane: Plane) -> None:
    first, world, id_ = plane.service(), plane.world, plane.world.guest.id
    await first.create("album", "pe2", 10, by="anna")
    await started(world)
    await first.attach("album", id_, by="anna")
    await world.vim.stop(id_)
    second = plane.service("cp-2")
    await started(world)
    async with running(second):

        async def is_back() -> bool:
            return await state(second) == (id_, True)

        await until(is_back, what="the volume is attached again")
    assert await state(second) == (id_, True)


async def test_a_volume_that_cannot_be_attached_says_why(plane: Plane) -> None:
    service, world, id_ = plane.service(), plane.world, plane.world.guest.id
    await service.create("album", "pe2", 10, by="anna")
    await started(world)
    await service.attach("album", id_, by="anna")
    world.vim.kill(id_)
    await started(world)
    await world.vim.snapshot(id_, "first")
    async with running(service):

        async def is_shown() -> bool:
            (only,) = await service.list()
            return "snapshots" in only.problem

        await until(is_shown, what="the problem is shown")
        await world.vim.remove_snapshot(id_, "first")
        service.wake(id_)

        async def is_gone() -> bool:
            (only,) = await service.list()
            return only.is_attached and not only.problem

        await until(is_gone, what="the volume is attached")
    assert await state(service) == (id_, True)


async def test_data_are_restored_and_snapshots_outlive_that(plane: Plane) -> None:
    service, world = plane.service(), plane.world
    await service.create("album", "pe2", 10, by="anna")
    await plane.write("album", "x")
    await service.snapshot("album", "monday", by="anna")
    await plane.write("album", "y")
    await started(world)
    await service.attach("album", world.guest.id, by="anna")
    with pytest.raises(VolumeAttached, match="detach"):
        await service.restore("album", "monday", by="anna")
    await service.detach("album", by="anna")
    for _ in range(2):
        await service.restore("album", "monday", by="anna")
        assert await plane.content("album") == "x"
    assert len(world.disks()) == 2
    await service.remove_snapshot("album", "monday", by="anna")
    assert await plane.content("album") == "x"
    assert len(world.disks()) == 1


async def test_a_full_disk_changes_nothing(plane: Plane) -> None:
    service, world = plane.service(), plane.world
    await service.create("album", "pe2", 10, by="anna")
    await plane.write("album", "x")
    await service.snapshot("album", "monday", by="anna")
    await plane.write("album", "y")
    world.vim.disks.room_mb = 25
    before = world.disks()
    with pytest.raises(StorageFull):
        await service.create("more", "pe2", 10, by="anna")
    with pytest.raises(StorageFull):
        await service.snapshot("album", "tuesday", by="anna")
    with pytest.raises(StorageFull):
        await service.restore("album", "monday", by="anna")
    assert await plane.content("album") == "y"
    assert world.disks() == before
    assert [one.volume.name for one in await service.list()] == ["album"]
    assert [one.name for one in await service.snapshots("album")] == ["monday"]
    with pytest.raises(VolumeQuotaReached):
        await service.create("more", "pe2", QUOTA_MB, by="anna")


class _Killed(BaseException):
    """As kill -9 in the middle of a change."""


DEATHS = [
    ("create", "create"),
    ("snapshot", "copy"),
    ("restore", "copy"),
    ("restore", "remove"),
    ("remove_snapshot", "remove"),
    ("remove", "remove"),
]


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize(("change", "call"), DEATHS)
async def test_a_control_plane_that_dies_loses_no_disk(
    plane: Plane, change: str, call: str, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies in a call to the VIM, before or after what that does. The next one has the old data
    or the new ones, and nothing is left once the volume is removed."""
    service = plane.service()
    if change != "create":
        await service.create("album", "pe2", 10, by="anna")
        await plane.write("album", "x")
    if change in {"restore", "remove_snapshot"}:
        await service.snapshot("album", "monday", by="anna")
        await plane.write("album", "y")
    await _die_in(plane, service, (change, call), is_done, monkeypatch)
    after = plane.service("cp-2")
    if change in {"snapshot", "restore", "remove_snapshot"}:
        assert await plane.content("album") in {"x", "y"}
    if change == "create":
        with pytest.raises(VolumeIncomplete, match="album"):
            await after.snapshot("album", "later", by="anna")
    if change == "snapshot":
        with pytest.raises(VolumeIncomplete, match="monday"):
            await after.restore("album", "monday", by="anna")
    await after.remove("album", by="anna")
    assert plane.world.disks() == []
    assert await after.list() == []


async def _die_in(
    plane: Plane,
    service: VolumeService,
    at: tuple[str, str],
    is_done: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change, call = at
    work = getattr(plane.world.vim.disks, call)

    async def dying(*words: object) -> None:
        if is_done:
            await work(*words)
        raise _Killed

    changes: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: service.create("album", "pe2", 10, by="anna"),
        "snapshot": lambda: service.snapshot("album", "monday", by="anna"),
        "restore": lambda: service.restore("album", "monday", by="anna"),
        "remove_snapshot": lambda: service.remove_snapshot("album", "monday", by="anna"),
        "remove": lambda: service.remove("album", by="anna"),
    }
    with monkeypatch.context() as patched, pytest.raises(_Killed):
        patched.setattr(plane.world.vim.disks, call, dying)
        await changes[change]()


async def test_one_change_at_a_time_in_all_instances(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, disks = plane.service(), plane.service("cp-2"), plane.world.vim.disks
    await one.create("album", "pe2", 10, by="anna")
    copying, goes_on = asyncio.Event(), asyncio.Event()
    copy = disks.copy

    async def slow(node: str, disk: str, to: str) -> None:
        copying.set()
        await goes_on.wait()
        await copy(node, disk, to)

    monkeypatch.setattr(disks, "copy", slow)
    taken = asyncio.create_task(one.snapshot("album", "monday", by="anna"))
    await copying.wait()
    for service in (one, other):
        with pytest.raises(VolumeBusy):
            await service.remove("album", by="anna")
    goes_on.set()
    await taken
    await other.remove("album", by="anna")


async def test_a_volume_is_at_one_node(plane: Plane) -> None:
    service, world = plane.service(), plane.world
    await service.create("album", "pe1", 10, by="anna")
    await started(world)
    assert (await world.vim.running())[world.guest.id].state is FunctionState.ACTIVE
    with pytest.raises(VolumeElsewhere, match="album is at pe1"):
        await service.attach("album", world.guest.id, by="anna")
    without = plane.service(vim=_NoGuests())
    with pytest.raises(NoVolumesThere, match="pe1"):
        await without.create("more", "pe1", 10, by="anna")
    with pytest.raises(UmbelError):
        await without.remove("album", by="anna")
    await without.remove("album", by="anna", force=True)
    assert await service.list() == []


async def test_a_node_with_volumes_stays(plane: Plane) -> None:
    service, node = plane.service(), plane.world.node
    clock = LoopClock()
    compute = Compute(Inventory(nodes=(node,)), plane.world.vim, clock, owners=[])
    compute.kept_at = VolumeStore(plane.database).at
    await compute.check_unused(node.name)
    await service.create("album", node.name, 10, by="anna")
    with pytest.raises(NodeInUse, match="album"):
        await compute.check_unused(node.name)


class _NoGuests:
    """A VIM without volumes."""

    async def start(self, *_: object) -> None: ...

    async def stop(self, *_: object) -> None: ...

    async def running(self) -> dict:
        return {}

    def watch(self, *_: object) -> None: ...

    async def close(self) -> None: ...
