"""Files that the calendar starts, on virtual time: two instances over one database, and a worker
that notes what it sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from support import databases
from support.delivery import MemoryDelivery
from support.stored import playouts_of, repository
from support.virtual import PatientDatabase, scenario
from umbel.catalogue.model import Event, EventDraft, EventEvent, EventPatch
from umbel.catalogue.service import Catalogue
from umbel.kit.leases import Leases
from umbel.kit.tokens import Signer, new_private_key
from umbel.playout.model import FileState, PlayoutState
from umbel.playout.service import LEASE_S, PlayoutOptions, Playouts
from umbel.playout.worker import PlayoutTarget, PlayoutWorkerLost, Workers
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.model import Content

EPOCH_S = 1_803_000_000.0
STARTS_IN_S = 60.0
LATE_S = 2.0
"""A playout may start so long after its event's start: the calendar is read every second."""


@dataclass(frozen=True)
class SceneClock:
    """The loop's time. A database's units, which run in threads, read it too."""

    loop: asyncio.AbstractEventLoop

    def now_s(self) -> float:
        return EPOCH_S + self.loop.time()

    def monotonic_s(self) -> float:
        return self.loop.time()


@dataclass(frozen=True, kw_only=True)
class NotedWorkers(Workers):
    """Workers whose files never end, or that are lost at once for events of `lost`. `played` has
    the events and when a file's sending began."""

    played: list[tuple[str, float]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    clock: SceneClock

    async def play(
        self,
        content: Content,
        target: PlayoutTarget,
        position_s: float,
        on_position: Callable[[float], Awaitable[None]],
    ) -> None:
        event_id = target.key.partition(".")[0]
        self.played.append((event_id, self.clock.now_s()))
        if event_id in self.lost:
            raise PlayoutWorkerLost
        while True:
            await asyncio.sleep(1.0)
            position_s += 1.0
            await on_position(position_s)


@dataclass(kw_only=True)
class Place:
    """A provider with a file that is ready, and two instances that run."""

    catalogue: Catalogue
    clock: SceneClock
    one: Playouts
    other: Playouts
    provider_id: str
    file_id: str
    workers: NotedWorkers

    @property
    def played(self) -> list[tuple[str, float]]:
        return self.workers.played

    async def event(self, *, on_schedule: bool) -> Event:
        """An event that streams the file."""
        starts_s = self.clock.now_s() + STARTS_IN_S
        draft = EventDraft(
            provider_id=self.provider_id,
            title="Council",
            starts_s=starts_s,
            ends_s=starts_s + 3600.0,
        )
        event = await self.catalogue.add_event(draft)
        options = PlayoutOptions(file_id=self.file_id, on_schedule=on_schedule)
        await self.one.put(event, options)
        return event

    async def state(self, event: Event) -> PlayoutState:
        return (await self.other.get(event.id)).state

    async def until(self, at_s: float) -> None:
        await asyncio.sleep(at_s - self.clock.now_s())


async def _body() -> AsyncIterator[bytes]:
    yield b"film"


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    clock = SceneClock(asyncio.get_running_loop())
    database = PatientDatabase(f"sqlite:///{folder / 'umbel.db'}")
    await databases.prepare(database)
    catalogue = Catalogue(database, clock)
    delivery = MemoryDelivery(catalogue, Signer(new_private_key()), clock)
    items = repository(database, FakeStorage(clock=clock), clock)
    workers = NotedWorkers(repository=items, memory_mb=1, most_pixels=1, clock=clock)

    def instance(owner: str) -> Playouts:
        made = playouts_of(items, database, delivery)
        made.leases = Leases(database, clock, owner, LEASE_S)
        made.sender.workers = workers
        return made

    one, other = instance("one"), instance("other")
    provider = await catalogue.add_provider("City", "pe1")
    file_id = (await one.files.begin(provider.id, 4, "")).item.id
    await one.files.receive(file_id, 0, _body())
    await one.files.store.change(file_id, lambda file: replace(file, state=FileState.READY))
    running = [asyncio.create_task(each.run()) for each in (one, other)]
    try:
        yield Place(
            catalogue=catalogue,
            clock=clock,
            one=one,
            other=other,
            provider_id=provider.id,
            file_id=file_id,
            workers=workers,
        )
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await database.close()


@scenario
async def test_a_file_starts_with_its_event_and_once(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        event = await here.event(on_schedule=True)
        by_hand = await here.event(on_schedule=False)
        await here.until(event.starts_s - 0.1)
        assert (here.played, await here.state(event)) == ([], PlayoutState.WAITING)
        await here.until(event.starts_s + 20.0)
        ((played, began_s),) = here.played
        assert played == event.id
        assert event.starts_s <= began_s <= event.starts_s + LATE_S
        assert await here.state(event) is PlayoutState.PLAYING
        assert await here.state(by_hand) is PlayoutState.WAITING
        await here.other.start(by_hand)
        await asyncio.sleep(LATE_S)
        assert [each for each, _ in here.played] == [event.id, by_hand.id]


@scenario
async def test_a_file_follows_its_event_to_another_time(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        event = await here.event(on_schedule=True)
        for moved_s in (10.0, -30.0):
            await here.until(event.starts_s - 40.0)
            version, starts_s = event.version, event.starts_s + moved_s
            patch = EventPatch(starts_s=starts_s)
            event = await here.catalogue.change_event(event.id, version, patch)
        await here.until(event.starts_s - 0.1)
        assert here.played == []
        await here.until(event.starts_s + 20.0)
        ((_, began_s),) = here.played
        assert event.starts_s <= began_s <= event.starts_s + LATE_S


@scenario
async def test_a_file_whose_event_is_cancelled_does_not_start(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        event = await here.event(on_schedule=True)
        await here.until(event.starts_s - 30.0)
        await here.catalogue.transition(event.id, EventEvent.CANCEL)
        await here.until(event.starts_s + 20.0)
        assert (here.played, await here.state(event)) == ([], PlayoutState.STOPPED)


@scenario
async def test_files_of_many_events_start_together(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        events = [await here.event(on_schedule=True) for _ in range(12)]
        await here.until(max(event.starts_s for event in events) + LATE_S)
        assert {played for played, _ in here.played} == {event.id for event in events}


@scenario
async def test_a_file_that_cannot_be_sent_is_given_up(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        event = await here.event(on_schedule=True)
        here.workers.lost.add(event.id)
        await here.until(event.starts_s + 200.0)
        assert await here.state(event) is PlayoutState.FAILED
        assert len(here.played) == 31
        assert (await here.other.get(event.id)).problem
