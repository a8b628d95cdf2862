"""Files that are events' sources: set, started by the calendar or by hand, stopped.

In: calls of the portal, the clock. Out: a worker for each file that plays, as sending.py runs it.
Every instance may run this over one database: a playout is that of one, under a lease.
"""

import asyncio
from dataclasses import dataclass, field, replace

import structlog

from umbel.catalogue.model import Event, EventOver
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import NotFound
from umbel.kit.leases import Leases
from umbel.playout.checks import Checks
from umbel.playout.files import Files
from umbel.playout.model import (
    PLAYOUT_LIFE,
    FileNotReady,
    FileState,
    ForeignFile,
    NoPlayout,
    Playout,
    PlayoutEvent,
    PlayoutPlaying,
    PlayoutState,
)
from umbel.playout.sending import Sender
from umbel.playout.store import PlayoutStore

log = structlog.get_logger(__name__)

LEASE_S = 10.0
_SCAN = "scan"
_EVERY_S = 1.0
_NEAR_S = 15.0
"""Start times that are farther off are read again after a while only."""


@dataclass(frozen=True, kw_only=True)
class PlayoutOptions:
    """How an event streams its file."""

    file_id: str
    on_schedule: bool = True
    loop: bool = False
    ends_event: bool = False


@dataclass(kw_only=True)
class Playouts:
    """Those of all events. Methods with an event's id raise NoPlayout where it streams no file."""

    store: PlayoutStore
    files: Files
    checks: Checks
    catalogue: Catalogue
    sender: Sender
    leases: Leases
    clock: Clock
    _controller: Controller = field(init=False)
    _sending: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _starts: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(
            self._reconcile,
            lease=lambda key: self.leases.acquire(f"playout {key}"),
            standby=self._stand_by,
        )

    async def get(self, event_id: str) -> Playout:
        """The event's."""
        return await self.store.get(event_id)

    async def put(self, event: Event, options: PlayoutOptions) -> Playout:
        """The event streams this file. Raises NoSuchFile, FileNotReady, ForeignFile, EventOver, and
        PlayoutPlaying where another one is being sent."""
        if event.is_over:
            raise EventOver
        file = await self.files.get(options.file_id)
        if file.provider_id != event.provider_id:
            raise ForeignFile
        if file.state is not FileState.READY:
            raise FileNotReady(file.problem, state=file.state.value)
        now_s = self.clock.now_s()

        def make(before: Playout | None) -> Playout:
            if before is None or before.file_id != options.file_id:
                if before is not None and before.state is PlayoutState.PLAYING:
                    raise PlayoutPlaying
                return Playout(
                    event_id=event.id,
                    provider_id=event.provider_id,
                    version=1 if before is None else before.version + 1,
                    changed_s=now_s,
                    **vars(options),
                )
            return replace(before, **vars(options), version=before.version + 1, changed_s=now_s)

        made = await self.store.put(event.id, make)
        self._starts.pop(event.id, None)
        return made

    async def delete(self, event_id: str) -> None:
        """The event streams no file any more. Raises PlayoutPlaying."""
        if (await self.store.get(event_id)).state is PlayoutState.PLAYING:
            raise PlayoutPlaying
        await self.store.delete(event_id)

    async def start(self, event: Event, *, from_s: float | None = None) -> Playout:
        """Send the file now, from that position; where none is given, from where it was stopped.
        One that plays goes on. Raises EventOver, FileNotReady."""
        if event.is_over:
            raise EventOver
        file = await self.files.get((await self.store.get(event.id)).file_id)
        if file.state is not FileState.READY:
            raise FileNotReady(file.problem, state=file.state.value)

        def start(before: Playout) -> Playout:
            if before.state is PlayoutState.PLAYING:
                return before
            position_s = before.position_s if before.state is PlayoutState.STOPPED else 0.0
            if from_s is not None:
                position_s = min(from_s, file.facts.duration_s)
            return self._next(before, PlayoutEvent.START, position_s=position_s, problem="")

        after = await self.store.change(event.id, start)
        self._controller.wake(event.id)
        return after

    async def stop(self, event_id: str) -> Playout:
        """Stop sending, or do not begin. One that does neither stays as it is."""
        after = await self._stopped(event_id)
        self._controller.wake(event_id)
        return after

    def position_s(self, playout: Playout) -> float:
        """What was sent last, as this instance knows it."""
        return max(self.sender.positions.get(playout.event_id, 0.0), playout.position_s)

    async def run(self) -> None:
        """Start what is due and send what plays, until cancelled."""
        scanning = asyncio.create_task(self._scan(), name="playouts")
        try:
            await scanning
        finally:
            scanning.cancel()
            await self._controller.close()
            for event_id in list(self._sending):
                await self._cancel(event_id)

    # -- inside -----------------------------------------------------------------------------

    async def _scan(self) -> None:
        loop = Controller(self._look)
        await loop.run(_SCAN)

    async def _look(self, _key: str) -> float:
        for playout in await self.store.in_state(PlayoutState.WAITING):
            await self._start_if_due(playout)
        for playout in await self.store.in_state(PlayoutState.PLAYING):
            self._controller.wake(playout.event_id)
        return _EVERY_S

    async def _start_if_due(self, playout: Playout) -> None:
        now_s = self.clock.now_s()
        starts_s, read_s = self._starts.get(playout.event_id, (0.0, 0.0))
        if starts_s - now_s > _NEAR_S and now_s - read_s < _NEAR_S / 2:
            return
        event = await self._event(playout.event_id)
        if event is None or event.is_over:
            self._starts.pop(playout.event_id, None)
            await self.stop(playout.event_id)
            return
        self._starts[event.id] = event.starts_s, now_s
        if playout.on_schedule and event.starts_s <= now_s:
            self._starts.pop(event.id, None)
            await self.start(event)
            log.info("playout started by the calendar", event_id=event.id, file=playout.file_id)

    async def _reconcile(self, event_id: str) -> float | None:
        try:
            playout = await self.store.get(event_id)
        except NoPlayout:
            playout = None
        event = await self._event(event_id)
        if event_id in self.sender.finishing:
            return _EVERY_S
        if event is None or event.is_over:
            await self._cancel(event_id)
            if playout is not None:
                await self._stopped(event_id)
            await self._let_go(event_id)
            return None
        if playout is None or playout.state is not PlayoutState.PLAYING:
            await self._cancel(event_id)
            await self._let_go(event_id)
            return None
        task = self._sending.get(event_id)
        if task is None or task.done():
            self._sending[event_id] = asyncio.create_task(
                self.sender.send(event_id), name=f"playout {event_id}"
            )
        return _EVERY_S

    async def _stopped(self, event_id: str) -> Playout:
        def stop(before: Playout) -> Playout:
            if before.state not in {PlayoutState.PLAYING, PlayoutState.WAITING}:
                return before
            return self._next(before, PlayoutEvent.STOP, problem="")

        return await self.store.change(event_id, stop)

    async def _stand_by(self, event_id: str) -> None:
        await self._cancel(event_id)

    async def _let_go(self, event_id: str) -> None:
        await self.leases.drop(f"playout {event_id}")
        await self._controller.forget(event_id)

    async def _cancel(self, event_id: str) -> None:
        task = self._sending.pop(event_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _event(self, event_id: str) -> Event | None:
        try:
            return await self.catalogue.event(event_id)
        except NotFound:
            return None

    def _next(self, before: Playout, what: PlayoutEvent, **changes: object) -> Playout:
        return replace(
            before,
            state=PLAYOUT_LIFE.next(before.state, what),
            version=before.version + 1,
            changed_s=self.clock.now_s(),
            **changes,  # type: ignore[arg-type]
        )
