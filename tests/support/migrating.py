"""A control plane that moves functions, over nodes in memory and a real database.

`Nodes` outlive it: the fake VIM, and an owner's rows. `Stop` holds the loop right before or right
after it writes a state, so that a test can break something at exactly that point.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from support import databases
from support.virtual import PatientDatabase, until
from umbel.compute.drivers.fake import FakeGuestVim, FakeVim
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    Instance,
    Inventory,
    Node,
    NodeKind,
    Resources,
    ScheduledNode,
)
from umbel.compute.service import Compute
from umbel.kit.clock import Clock, LoopClock
from umbel.kit.db import Database
from umbel.kit.leases import Leases
from umbel.mobility.choice import Choosing
from umbel.mobility.live import LiveMover
from umbel.mobility.model import Migration, MigrationKind, MigrationState, Step
from umbel.mobility.replacement import ReplacementMover
from umbel.mobility.rule_store import MigrationRules
from umbel.mobility.service import MOVES_KEPT_S, Mobility, Request
from umbel.mobility.store import MigrationStore
from umbel.planner.moves import solve
from umbel.planner.moves.model import MovePlan, MoveProblem

OWNER = "guests"
LEASE_S = 3.0
GUEST = Description(name="guest", resources=Resources(cores=1.0, memory_mb=256))
NODES = tuple(
    Node(
        name=f"pe{n}",
        kind=NodeKind.PROVIDER_EDGE,
        address=f"127.0.{n}.1",
        cores=4.0,
        memory_mb=1024,
        pool="far" if n == 9 else "default",
    )
    for n in (1, 2, 3, 9)
)


class CountingVim(FakeVim):
    """Counts starts: a function that was started once has kept its state."""

    def __init__(self, clock: Clock, *, boot_s: float = 1.0) -> None:
        super().__init__(clock, boot_s=boot_s)
        self.starts = 0

    async def start(self, owner: str, function: Function, node: Node) -> None:
        before = (await self.running()).get(function.id)
        await super().start(owner, function, node)
        after = (await self.running())[function.id]
        self.starts += before is None or before.state is not after.state


@dataclass
class Guests:
    """An owner whose rows say where it wants its functions. It acts on what it read a while ago,
    as an owner over a slow database does."""

    rows: dict[str, Function] = field(default_factory=dict)

    async def wanted(self) -> Mapping[str, Function]:
        return dict(self.rows)

    async def relocate(self, function_id: str, node: str) -> None:
        if function_id in self.rows:
            self.rows[function_id] = replace(self.rows[function_id], node=node)

    async def run(self, compute: Compute) -> None:
        while True:
            read = dict(self.rows)
            await asyncio.sleep(1.0)
            await compute.ensure(OWNER, read)


@dataclass
class Ways:
    """Every way has this rate left."""

    mbps: float | None = 10_000.0

    async def free_mbps(self, source: str, target: str) -> float | None:
        return self.mbps


@dataclass
class Stop:
    """Where the loop is held: before or after the row gets the state."""

    state: MigrationState
    is_after: bool = True
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    resume: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold(self) -> None:
        self.reached.set()
        await self.resume.wait()


class HeldStore(MigrationStore):
    """Holds its caller at the stop, once."""

    stop: Stop | None = None

    async def transition(
        self, migration_id: str, step: Step, *, at_s: float, most_running: int | None = None
    ) -> Migration:
        stop = self.stop
        is_here = stop is not None and stop.state.value == _STATE_OF[step.event.value]
        if stop is not None and is_here and not stop.is_after:
            await stop.hold()
        made = await super().transition(migration_id, step, at_s=at_s, most_running=most_running)
        if stop is not None and is_here and stop.is_after:
            await stop.hold()
        return made


_STATE_OF = {
    "admit": "admitted",
    "prepare": "prepared",
    "copy": "copying",
    "switch": "switched",
    "commit": "committed",
    "abort": "aborted",
}


@dataclass(kw_only=True)
class Plane:
    """Nodes, an owner, and the control plane that runs now."""

    url: str
    clock: Clock = field(default_factory=LoopClock)
    guests: Guests = field(default_factory=Guests)
    ways: Ways = field(default_factory=Ways)
    nodes: tuple[Node, ...] = NODES
    number: int = 0
    boot_s: float = 1.0
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.vim = CountingVim(self.clock, boot_s=self.boot_s)
        self.far = FakeGuestVim(self.clock, boot_s=self.boot_s)

    async def start(self, stop: Stop | None = None) -> None:
        """Start a control plane under a new name, as after kill -9."""
        self.number += 1
        self.database = PatientDatabase(self.url)
        self.assemble(stop)
        runs = (self.mobility.run(), self.guests.run(self.compute))
        self.tasks = [asyncio.create_task(run) for run in runs]

    def assemble(self, stop: Stop | None) -> None:
        """A control plane over the database, without its loops."""
        inventory = Inventory(nodes=self.nodes)
        compute = Compute(inventory, self.vim, self.clock, owners=[OWNER], pools={"far": self.far})
        self.compute, store = compute, HeldStore(self.database)
        store.stop = stop
        compute.moving.moves = lambda: store.moves(self.clock.now_s() - MOVES_KEPT_S)
        self.mover = LiveMover(compute=compute, owners={OWNER: self.guests})
        self.mobility = Mobility(
            store=store,
            rules=MigrationRules(self.database, self.clock),
            compute=compute,
            owners={OWNER: self.guests},
            movers={
                MigrationKind.FULL_TRANSFER: self.mover,
                MigrationKind.SHARED_STORAGE: self.mover,
                MigrationKind.REPLACEMENT: ReplacementMover(compute=compute, owners={}),
            },
            ways=self.ways,
            clock=self.clock,
            leases=Leases(self.database, self.clock, f"cp-{self.number}", LEASE_S),
            on_close=_go_on,
        )
        self.choosing = Choosing(mobility=self.mobility, solve=_solved)

    async def kill(self, *, copies_go_on: bool = False) -> None:
        """kill -9. A copy ends with its caller, or the hypervisor goes on with it."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if not copies_go_on:
            await self.mover.close()
        await self.vim.close()
        await self.database.close()

    def set_nodes(self, *members: ScheduledNode) -> None:
        self.nodes = tuple(one.node for one in members)
        self.compute.set_nodes(members)

    async def guest(self, number: int = 1, node: str = "pe1") -> str:
        """A function that runs."""
        function = Function(id=f"guest-{number}", node=node, description=GUEST)
        self.guests.rows[function.id] = function
        await until(lambda: self.is_active(function.id), within_s=10, why=f"{function.id} runs")
        return function.id

    async def ask(self, function: str, target: str = "pe2", **more: object) -> Migration:
        request = Request(function=function, target=target)
        return await self.mobility.start(replace(request, **more), by="anna")  # type: ignore[arg-type]

    async def instance(self, function: str) -> Instance | None:
        return (await self.vim.running()).get(function)

    async def is_active(self, function: str) -> bool:
        seen = await self.instance(function)
        return seen is not None and seen.state is FunctionState.ACTIVE

    async def until_over(self, migration: Migration, *, within_s: float = 120) -> Migration:
        async def is_over() -> bool:
            return (await self.mobility.get(migration.id)).is_over

        await until(is_over, within_s=within_s, why=f"{migration.id} is over")
        return await self.mobility.get(migration.id)

    async def until_state(self, migration: Migration, state: MigrationState) -> Migration:
        async def holds() -> bool:
            return (await self.mobility.get(migration.id)).state is state

        await until(holds, within_s=30, why=f"{migration.id} is {state}")
        return await self.mobility.get(migration.id)


async def _solved(problem: MoveProblem) -> MovePlan:
    return solve.plan(problem)


async def _go_on() -> None:
    """What is under way goes on, as at a VIM of its own."""


def served(database: Database, clock: Clock) -> Plane:
    """Mobility over a database that is there, without its loops: for a front end."""
    made = Plane(url="", clock=clock, boot_s=0.1)
    made.database = database
    made.assemble(None)
    return made


@asynccontextmanager
async def plane(folder: Path, stop: Stop | None = None) -> AsyncIterator[Plane]:
    """A running one."""
    url = f"sqlite:///{folder / 'umbel.db'}"
    database = PatientDatabase(url)
    await databases.prepare(database)
    await database.close()
    made = Plane(url=url)
    await made.start(stop)
    try:
        yield made
    finally:
        if stop is not None:
            stop.resume.set()
        await made.kill()
