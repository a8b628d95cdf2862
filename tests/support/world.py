"""The whole platform on its fakes: nodes, functions and media in memory, a real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.virtual import PatientDatabase, until
from umbel.bootstrap import Drivers, System, assemble
from umbel.catalogue.model import EventDraft, EventState
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.model import Function, FunctionState, Instance, Node
from umbel.delivery.loop.recordings import RecordingDemand
from umbel.delivery.loop.timing import Timing
from umbel.delivery.model import Ticket
from umbel.delivery.steering.drivers.fake import InlineSolver
from umbel.delivery.steering.ports import Solver
from umbel.kit.clock import LoopClock
from umbel.kit.config import Settings
from umbel.media.drivers.fake import FakeMedia
from umbel.media.drivers.fake_recorders import FakeRecorders
from umbel.media.drivers.fake_replays import FakeReplays
from umbel.media.model import Server, StreamState
from umbel.network.drivers.loopback import LoopbackFabric
from umbel.network.ports import Fabric, ProgrammableFabric
from umbel.network.service import NetworkDrivers
from umbel.network.switching.ports import Bridges
from umbel.notify.drivers.fake import FakeCourier

TIMING = Timing(linger_s=5.0, session_idle_s=30.0)


@dataclass(kw_only=True)
class World:
    """The world outlives the control plane: `crash` and `start` leave nodes and media alone.
    `connect_switches` is called as soon as a control plane is assembled, before its loops run. A
    `demand` takes the place of the platform's own."""

    folder: Path
    policy: str = "sls"
    timing: Timing = TIMING
    clock: LoopClock = field(default_factory=LoopClock)
    media: FakeMedia = field(default_factory=FakeMedia)
    courier: FakeCourier = field(default_factory=FakeCourier)
    spawned: list[str] = field(default_factory=list)
    fabric: Fabric = field(default_factory=LoopbackFabric)
    switches: ProgrammableFabric | None = None
    bridges: Bridges | None = None
    connect_switches: Callable[[], Awaitable[object]] | None = None
    solver: Solver = field(default_factory=InlineSolver)
    settings: Mapping[str, Any] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    demand: RecordingDemand | None = None

    def __post_init__(self) -> None:
        self.vim = _CountingVim(self.clock, self.spawned)
        self.recorders = FakeRecorders(self.media, self.clock)
        self.replays = FakeReplays(self.clock)

    async def start(self) -> None:
        """Start a control plane."""
        settings = Settings(data_dir=self.folder, policy=self.policy, **self.settings)
        drivers = Drivers(
            vim=self.vim,
            media=self.media,
            courier=self.courier,
            recorders=self.recorders,
            replay_caches=self.replays,
            network=NetworkDrivers(
                fabric=self.fabric, switches=self.switches, bridges=self.bridges
            ),
            solver=self.solver,
            owners=self.owners,
        )
        database = PatientDatabase(settings.database)
        self.system: System = await assemble(
            settings, drivers=drivers, clock=self.clock, timing=self.timing, database=database
        )
        self.delivery = self.system.delivery
        if self.demand is not None:
            self.delivery.recorders.recordings.demand = self.demand
        if self.connect_switches is not None:
            await self.connect_switches()
        runs = (
            self.delivery.run,
            self.system.schedule.run,
            self.system.demand.run,
            self.system.mobility.run,
            self.system.recordings.run,
            self.system.loops()["replays"],
            self.system.caption_reader.run,
        )
        self._loops = [asyncio.create_task(run()) for run in runs]
        await asyncio.sleep(0.5)

    async def crash(self) -> None:
        """The control plane dies as by kill -9: nothing is told to anybody."""
        await self.vim.close()
        await self.media.close()
        await self.stop()

    async def stop(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.system.database.close()

    async def event(self, node: str = "pe1", *, lasts_s: float = 7200.0) -> str:
        """A provider at the node and an event of it, in the calendar from now on."""
        provider = await self.system.catalogue.ensure_provider(f"Provider at {node}", node)
        now_s = self.clock.now_s()
        draft = EventDraft(
            provider_id=provider.id, title="Council", starts_s=now_s, ends_s=now_s + lasts_s
        )
        return (await self.system.catalogue.add_event(draft)).id

    async def live(self, node: str = "pe1", *, mbps: float = 2.0) -> str:
        """An event somebody publishes to, at that rate."""
        event = await self.event(node)
        point = await self.delivery.open_ingest(event)
        self.media.publish(point.function, event, mbps=mbps)
        await self.until_state(event, EventState.LIVE)
        return event

    async def watch(self, event: str, node: str) -> Ticket:
        """A viewer who connects at once, as a browser would."""
        ticket = await self.delivery.open_session(event, node)
        await self.connect(ticket)
        return ticket

    async def connect(self, *tickets: Ticket) -> None:
        for ticket in tickets:
            function, event = ticket.session.function, ticket.session.stream
            seen = self.delivery.collector.stream(function, event)
            others = seen.viewers if seen is not None else ()
            self.media.set_viewers(function, event, {*others, ticket.session.id})
            await self.delivery.collector.refresh_function(function)

    async def kill(self, function: str) -> None:
        """kill -9 of a function: its media is gone with it."""
        self.vim.kill(function)
        self.media.lose(function)

    async def until_state(self, event: str, state: EventState) -> float:
        async def holds() -> bool:
            return (await self.system.catalogue.event(event)).state is state

        return await until(holds, within_s=30, why=f"{event} is {state}")

    async def until_watched(self, ticket: Ticket, *, within_s: float) -> float:
        """Until the viewer's edge gets the stream; answers after how long."""

        async def holds() -> bool:
            return await self.arrives(ticket)

        return await until(holds, within_s=within_s, why=f"{ticket.session.function} is fed")

    async def arrives(self, ticket: Ticket) -> bool:
        """Whether packets of the event reach the viewer's edge now, as the world sees it."""
        edge, event = ticket.session.function, ticket.session.stream
        if self.states().get(edge) is not FunctionState.ACTIVE:
            return False
        state = await self.carried(edge)
        return event in state and state[event].mbps_in > 0

    async def carried(self, function: str) -> dict[str, StreamState]:
        """What a function does, asked of itself and not of the control plane."""
        address = self.vim.instances()[function].address
        server = Server(function_id=function, address=address, control_port=1, secret="")
        return await self.media.observe(server)

    async def until_functions(self, *functions: str, within_s: float = 30) -> float:
        """Until exactly these run."""

        async def holds() -> bool:
            return {f for f, s in self.states().items() if s is FunctionState.ACTIVE} == set(
                functions
            )

        return await until(holds, within_s=within_s, why=f"{functions} run: {self.states()}")

    def states(self) -> dict[str, FunctionState]:
        return {name: instance.state for name, instance in self.vim.instances().items()}


class _CountingVim(FakeVim):
    """Notes who was started, so that a duplicate is seen."""

    def __init__(self, clock: LoopClock, spawned: list[str]) -> None:
        super().__init__(clock, boot_s=1.0)
        self._spawned = spawned

    async def start(self, owner: str, function: Function, node: Node) -> None:
        before = self.instances().get(function.id)
        await super().start(owner, function, node)
        if before is None or before.state is FunctionState.FAILED:
            self._spawned.append(function.id)

    def instances(self) -> dict[str, Instance]:
        return {id_: machine.instance for id_, machine in self._machines.items()}


@asynccontextmanager
async def world(
    folder: Path, *, policy: str = "sls", timing: Timing = TIMING, **more: Any
) -> AsyncIterator[World]:
    """A running platform; `more` are other fields of World."""
    made = World(folder=folder, policy=policy, timing=timing, **more)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        for function in list(made.replays.caches):
            made.replays.lose(function)
