"""The control plane's moves over real guests: mobility with rows, its loop, and a probe that sends
1 000 packets a second through the guest."""

import asyncio
import json
import os
import pickle
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from support import databases
from support.libvirt_worlds import INSTALLATION, HypervisorRows, node_of
from support.libvirt_worlds import PATIENT as LAB_LIMITS
from support.migrating import OWNER, Guests, Ways
from support.moving_worlds import STALLED_S, MovingGuests
from support.vim_worlds import until_state
from support.waiting import until
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.hypervisors.model import HYPERVISORS_POOL, Hypervisor
from umbel.compute.images.folder import Images
from umbel.compute.model import Function, FunctionState, HostUsage, Instance, Inventory, Node
from umbel.compute.service import Compute
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.kit.leases import Leases
from umbel.mobility.live import LiveMover
from umbel.mobility.model import Migration, MigrationKind, Terms
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.service import MOVES_KEPT_S, Mobility, Request
from umbel.mobility.store import MigrationStore

PROBE = str(Path(__file__).with_name("prober.py"))
RATE = 1000
T = TypeVar("T")
LEASE_S = 5.0
FULL = MigrationKind.FULL_TRANSFER
PATIENT = Terms(max_gap_s=30.0, max_duration_s=600.0)


class UnmeasuredVim(LibvirtVim):
    """The hypervisors run on a machine that does other work, too: that does not count here."""

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        return {}


@dataclass(kw_only=True)
class GuestPlane:
    """A control plane's moves over the hypervisors, and the relay that they move. `guests` are its
    owner's; `note` leaves a migration to another control plane, or to this one once it runs."""

    vim: LibvirtVim
    edge: Function
    images: Images
    mobility: Mobility
    compute: Compute
    guests: Guests
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def disk_mb(self) -> float:
        """The size of the relay's disk."""
        image = self.images.get("relay")
        return self.images.part(image, "disk").stat().st_size / 2**20

    @property
    def memory_mb(self) -> float:
        """The relay's memory."""
        return self.images.get("relay").memory_mb

    def run(self) -> None:
        """Its loops, until it is closed."""
        for loop in (self.mobility.run(), self.guests.run(self.compute)):
            self.tasks.append(asyncio.create_task(loop))

    async def guest(self) -> Instance:
        """The relay at pe2, which runs."""
        self.guests.rows[self.edge.id] = self.edge
        return await until_state(self.vim, self.edge.id, FunctionState.ACTIVE, within_s=300)

    async def ask(self, target: str, kind: MigrationKind = FULL) -> Migration:
        request = Request(function=self.edge.id, target=target, kind=kind, terms=PATIENT)
        return await self.mobility.start(request, by="anna")

    async def note(self, target: str) -> Migration:
        """A migration as a row, which this control plane does not begin before it runs."""
        request = Request(function=self.edge.id, target=target, kind=FULL, terms=PATIENT)
        migration, _ = await self.mobility.check(request)
        await self.mobility.store.add(migration)
        return migration

    async def moved(self, target: str, kind: MigrationKind = FULL) -> Migration:
        """The migration of the relay, once it is over."""
        return await self.until(await self.ask(target, kind), lambda one: one.is_over)

    async def until(self, migration: Migration, good: Callable[[Migration], bool]) -> Migration:
        """The migration, once it is like this."""
        return await until(lambda: self.mobility.get(migration.id), good, within_s=300)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What control planes over the same guests have in common; a process can be given it."""

    hypervisors: tuple[Hypervisor, ...]
    edge: Function
    key: Path
    images: Path
    folder: Path
    is_live: bool = False

    @classmethod
    def of(cls, world: MovingGuests, folder: Path) -> "Surroundings":
        hypervisors = tuple(world.rows.hypervisors.values())
        images = world.ground.images.folder
        edge = world.edge
        return cls(hypervisors=hypervisors, edge=edge, key=world.key, images=images, folder=folder)


@asynccontextmanager
async def guest_plane(around: Surroundings, name: str) -> AsyncIterator[GuestPlane]:
    """A control plane of that name."""
    images, clock = Images(around.images), SystemClock()
    context = GuestContext(
        installation=INSTALLATION,
        images=images,
        clock=clock,
        limits=replace(LAB_LIMITS, stalled_s=STALLED_S, emulated_live=around.is_live),
        files=(around.key,),
    )
    vim = UnmeasuredVim(HYPERVISORS_POOL, HypervisorRows(*around.hypervisors), context)
    nodes = tuple(replace(node_of(one), memory_mb=1024.0) for one in around.hypervisors)
    database = Database(f"sqlite:///{around.folder / 'moves.db'}", durable=False)
    await databases.prepare(database)
    guests, store = Guests(), MigrationStore(database)
    pools = {HYPERVISORS_POOL: vim}
    compute = Compute(Inventory(nodes=nodes), vim, clock, owners=[OWNER], pools=pools)
    compute.moving.moves = lambda: store.moves(clock.now_s() - MOVES_KEPT_S)
    mover = LiveMover(compute=compute, owners={OWNER: guests})
    mobility = Mobility(
        store=store,
        rules=MigrationRules(database, clock),
        compute=compute,
        owners={OWNER: guests},
        movers={MigrationKind.FULL_TRANSFER: mover, MigrationKind.SHARED_STORAGE: mover},
        ways=Ways(),
        clock=clock,
        leases=Leases(database, clock, name, LEASE_S),
        on_close=mover.close,
    )
    plane = GuestPlane(
        vim=vim,
        edge=around.edge,
        images=images,
        mobility=mobility,
        compute=compute,
        guests=guests,
    )
    try:
        yield plane
    finally:
        await plane.close()
        await vim.close()
        await database.close()


async def _serve(file: Path) -> None:
    """A control plane in a process of its own, until it is killed."""
    around: Surroundings = pickle.loads(file.read_bytes())
    async with guest_plane(around, "killed") as plane:
        plane.guests.rows[around.edge.id] = around.edge
        plane.run()
        await asyncio.Event().wait()


@asynccontextmanager
async def another_process(around: Surroundings) -> AsyncIterator["asyncio.subprocess.Process"]:
    """Another control plane, which can be killed."""
    file = around.folder / "surroundings"
    file.write_bytes(pickle.dumps(around))
    words = [sys.executable, "-m", "support.guest_moves", str(file)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(*words, env=env)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def while_it_runs(process: "asyncio.subprocess.Process", work: Awaitable[T]) -> T:
    """What the work gives; fails at once when the process ends before it."""
    working = asyncio.ensure_future(work)
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait((working, ended), return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not working.done():
        working.cancel()
        raise AssertionError(f"the other process ended: {process.returncode}")
    return await working


@dataclass(frozen=True)
class Probed:
    """What a probe saw: packets sent and lost, seconds between two answers at most, and whether no
    answers came in the end."""

    sent: int
    lost: int
    gap_s: float
    is_silent: bool


@asynccontextmanager
async def probing(guest: Instance) -> AsyncIterator["asyncio.Future[Probed]"]:
    """Packets pass through the guest meanwhile; what came of them is there afterwards."""
    said: asyncio.Future[Probed] = asyncio.get_running_loop().create_future()
    words = [sys.executable, PROBE, guest.address, str(guest.ports["udp"]), str(RATE)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"begun\n"
        yield said
        process.stdin.close()
        said.set_result(Probed(**json.loads(await process.stdout.read())))
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    from support.guest_moves import _serve as serve  # so that values are of the classes they were

    asyncio.run(serve(Path(sys.argv[1])))
