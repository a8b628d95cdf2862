"""What is recorded is fetched from recorders and stored.

In: which streams somebody has recorded, and where their recorders are. Out: the streams that are to
have a recorder, for delivery; segments in the repository, and rows that say where. A recorder keeps
a segment until the next request says that it is stored: a control plane that dies loses nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import structlog

from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.errors import UmbelError, Unavailable
from umbel.kit.ids import new_id
from umbel.kit.leases import Leases
from umbel.kit.sql import Connection
from umbel.media.service import Pulled, Recorders
from umbel.recordings import store
from umbel.recordings.appending import Appended, append
from umbel.recordings.kept import store as kept_store
from umbel.recordings.model import (
    CAPTURE_LIFE,
    MOST_RECORDINGS,
    Capture,
    CaptureEvent,
    CaptureState,
    Recording,
)
from umbel.recordings.ports import RecorderAt, RunningRecorders
from umbel.recordings.storyboards.service import Storyboards
from umbel.repository.model import TooManyParts
from umbel.repository.service import Repository, Source

log = structlog.get_logger(__name__)

TAIL_S = 10.0
"""A recorder goes on after the last recording's end: what it has comes in whole segments."""
DRAIN_S = 60.0
"""What a recorder has is waited for after the event's end."""
LEASE_S = 60.0
"""Recorders keep twice as much: another instance takes over before anything is dropped."""
LONGEST_PULL_S = 25.0
"""Shorter than half a lease, at which it is renewed."""
_KEY = "recordings"
_LOOK_S = 1.0
_SWEEP_S = 60.0
_BETWEEN_PULLS_S = 4.0
_RETRY_S = 2.0
PARTS_PER_ITEM = 500
_LONGEST_PROBLEM = 500


@dataclass(kw_only=True)
class Capturing:
    """`changed(stream)` is called when a stream is to have a recorder, or none any more; a user's
    recordings are stopped beyond `quota_bytes`. `unsaved` says why a stream is not stored where
    that cannot be written either: the database's disk may be the full one."""

    database: Database
    catalogue: Catalogue
    repository: Repository
    storyboards: Storyboards
    running: RunningRecorders
    recorders: Recorders
    clock: Clock
    leases: Leases
    changed: Callable[[str], None]
    quota_bytes: int
    unsaved: dict[str, str] = field(default_factory=dict, init=False)
    _wanted: frozenset[str] | None = None
    _swept_s: float = 0.0
    _looks: Controller = field(init=False)
    _pulls: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._looks = Controller(self._look)
        self._pulls = Controller(self._capture)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._looks.pace()

    async def run(self) -> None:
        """Capture, until cancelled."""
        try:
            await self._looks.run(_KEY)
        finally:
            await self._pulls.close()

    def look_again(self) -> None:
        """Somebody asked for a recording, or for one no more."""
        if self._looks.keys():
            self._looks.wake(_KEY)

    # -- what is wanted -----------------------------------------------------------------------

    async def _look(self, _key: str) -> float:
        for stream in {*await self.running.all(), *await self.look()}:
            self._ask(stream)
        return _LOOK_S

    def _ask(self, stream: str) -> None:
        """Ask its recorder from now on, if it is not asked already."""
        if not {stream} & self._pulls.keys():
            self._pulls.wake(stream)

    async def look(self) -> list[str]:
        """Find out what is wanted, and keep the rows in order. Answers the streams whose captures
        are not over."""
        is_owner = await self.leases.acquire(_KEY)
        if is_owner:
            await self._keep_in_order()
        running, is_over = await self.database.read(_running)
        if is_owner and is_over:
            running = await self.database.write(_note_over, self.clock.now_s())
        await self._find_wanted(running)
        return [one.stream for one in running]

    async def wanted(self, streams: Collection[str]) -> frozenset[str]:
        """Those of these streams that are to have a recorder."""
        return (await self.all_wanted()).intersection(streams)

    async def all_wanted(self) -> frozenset[str]:
        """The streams that are to have a recorder."""
        if self._wanted is None:
            return await self._find_wanted(await self.database.read(store.running))
        return self._wanted

    async def _find_wanted(self, running: Collection[Capture]) -> frozenset[str]:
        now_s = self.clock.now_s()
        over = {one.stream for one in running if one.over_s is not None}
        wanted = await self.database.read(kept_store.wanted, now_s - TAIL_S) | over
        before, self._wanted = self._wanted or frozenset(), wanted
        for stream in wanted ^ before:
            self.changed(stream)
        return wanted

    async def _keep_in_order(self) -> None:
        now_s = self.clock.now_s()
        if await self.database.read(kept_store.reserved):
            await self.database.write(_keep_reserved, now_s)
        if now_s - self._swept_s >= _SWEEP_S:
            self._swept_s = now_s
            await self._stop_beyond_quota(now_s)
            await self.sweep()

    async def _stop_beyond_quota(self, now_s: float) -> None:
        growing = await self.database.read(kept_store.still_open, now_s)
        for username in {one.username for one in growing}:
            kept = await self.database.read(kept_store.of_user, username)
            if sum(one.size for one in kept) >= self.quota_bytes:
                await self.database.write(_stop, username, now_s)
                log.warning("recordings stopped: the quota is reached", username=username)

    async def sweep(self) -> None:
        """Delete captures of which nobody keeps anything, and links that expired."""
        await self.database.write(kept_store.forget_shares, self.clock.now_s())
        for capture_id in await self.database.read(kept_store.unused):
            for item in await self.repository.find({"capture": capture_id}, owner=None):
                await self.repository.delete(item)
            await self.database.write(store.drop, capture_id)
            log.info("capture deleted", capture=capture_id)

    # -- one stream ---------------------------------------------------------------------------

    async def _capture(self, stream: str) -> float | None:
        try:
            again_s = await self.capture(stream)
        except Unavailable as error:
            self.unsaved[stream] = error.message
            raise
        self.unsaved.pop(stream, None)
        if again_s is None:
            await self._pulls.forget(stream)
        return again_s

    async def capture(self, stream: str) -> float | None:
        """Store what the stream's recorder has. Answers when to ask again, None when it is over."""
        if not await self.leases.acquire(_lease(stream)):
            return _LOOK_S
        at = (await self.running.all()).get(stream)
        capture = await self.database.read(store.by_stream, stream)
        if at is None:
            return None if capture is None else await self._without_recorder(capture)
        if capture is None or capture.state is CaptureState.ENDED:
            if not await self.wanted([stream]):
                return None
            capture = await self.database.write(_begin, stream, self.clock.now_s())
            if capture is None:
                return None
        return await self._pull(capture, at)

    async def _without_recorder(self, capture: Capture) -> float | None:
        """It is over where none is to come."""
        if capture.state is CaptureState.ENDED:
            return None
        if self._is_late(capture) or not await self.wanted([capture.stream]):
            await self._end(capture)
            return None
        return _LOOK_S

    async def _pull(self, capture: Capture, at: RecorderAt) -> float | None:
        try:
            async with asyncio.timeout(LONGEST_PULL_S):
                pulled = await self.recorders.pull(at.url, at.token, capture.after, capture.boot)
        except (UmbelError, TimeoutError) as error:
            log.warning("recorder not asked", stream=capture.stream, reason=str(error))
            if self._is_late(capture):
                await self._end(capture)
                return None
            return _RETRY_S
        self.leases.check(_lease(capture.stream))
        try:
            capture = await self._stored(capture, pulled)
        except UmbelError as error:
            await self.database.write(_note_problem, capture.stream, error.message)
            log.warning("recording waits", stream=capture.stream, reason=error.message)
            return _RETRY_S
        if pulled.segments:
            await self.storyboards.follow(capture, await self._owner(capture))
        is_all = pulled.ended or not pulled.segments
        if (capture.over_s is not None and is_all) or self._is_late(capture):
            await self._end(capture)
            return None
        if capture.over_s is not None:
            return 0.0
        # Nothing more comes of a stream that ended there, until another recorder takes over.
        return _BETWEEN_PULLS_S if pulled.segments else _LOOK_S if pulled.ended else 0.0

    def _is_late(self, capture: Capture) -> bool:
        return capture.over_s is not None and self.clock.now_s() - capture.over_s > DRAIN_S

    async def _end(self, capture: Capture) -> None:
        await self.database.write(_end, capture.stream)
        log.info("capture ended", stream=capture.stream, duration_s=round(capture.duration_s, 3))
        self.look_again()

    async def _stored(self, capture: Capture, pulled: Pulled) -> Capture:
        """The capture with what was pulled. Raises what `Repository.write` raises, and nothing of
        it counts as stored then."""
        if not pulled.segments and pulled.boot == capture.boot:
            return capture
        maps = await self.database.read(store.maps, capture.id)
        item = await self._item(capture) if pulled.segments else ""
        size = (await self.repository.get(item)).size if item else 0
        made = append(capture, pulled, maps, item=item, offset=size, now_s=self.clock.now_s())
        missing = made.capture.dropped - capture.dropped
        if missing:
            log.warning("segments came too late", stream=capture.stream, missing=missing)
        if made.chunks:
            try:
                await self._write(item, made.chunks, size)
            except TooManyParts:
                full = replace(capture, item_parts=PARTS_PER_ITEM)
                return await self._stored(full, pulled)
        return await self.database.write(_keep, capture, made)

    async def _write(self, item: str, chunks: Sequence[bytes], offset: int) -> None:
        source = Source(
            chunks=_each(chunks),
            size=sum(map(len, chunks)),
            offset=offset or None,
            content_type="video/mp4",
        )
        await self.repository.write(item, source)

    async def _item(self, capture: Capture) -> str:
        """What takes the next bytes."""
        if capture.item and capture.item_parts < PARTS_PER_ITEM:
            return capture.item
        metadata = {"capture": capture.id, "event": capture.event_id}
        return (await self.repository.create(await self._owner(capture), metadata)).id

    async def _owner(self, capture: Capture) -> str:
        return (await self.catalogue.event(capture.event_id)).provider_id


def _lease(stream: str) -> str:
    return f"capture:{stream}"[:64]


async def _each(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


# -- units of work ------------------------------------------------------------------------------


def _keep_reserved(connection: Connection, now_s: float) -> None:
    """Reservations become recordings: whole ones, from the capture's beginning to its end."""
    for username, event_id, name in kept_store.reserved(connection):
        if kept_store.count(connection, username) >= MOST_RECORDINGS:
            log.warning("reserved recording left out: too many", username=username)
            continue
        new = Recording(
            id=new_id("rec"),
            username=username,
            event_id=event_id,
            stream=event_id,
            name=name,
            from_s=None,
            until_s=None,
            reserved=True,
            created_s=now_s,
        )
        kept_store.add(connection, new)


def _running(connection: Connection) -> tuple[list[Capture], bool]:
    """The captures that are not over, and whether the event of one is, which was not noted yet."""
    running = store.running(connection)
    return running, any(_is_over_now(connection, one) for one in running)


def _is_over_now(connection: Connection, capture: Capture) -> bool:
    return capture.over_s is None and store.is_over(connection, capture.event_id)


def _note_over(connection: Connection, now_s: float) -> list[Capture]:
    """The captures that are not over, with when their events ended."""
    return [
        store.change(connection, one, replace(one, over_s=now_s))
        if _is_over_now(connection, one)
        else one
        for one in store.running(connection)
    ]


def _stop(connection: Connection, username: str, now_s: float) -> None:
    problem = "It was stopped: your recordings take as many bytes as they may."
    for one in kept_store.still_open(connection, now_s):
        if one.username == username:
            kept_store.change(connection, replace(one, until_s=now_s, problem=problem))


def _begin(connection: Connection, stream: str, now_s: float) -> Capture | None:
    """The stream's capture, which takes more from now on; None where nobody wants it any more."""
    found = store.by_stream(connection, stream)
    if found is None:
        event_id = kept_store.event_of(connection, stream)
        if event_id is None:
            return None
        found = Capture(id=new_id("cap"), event_id=event_id, stream=stream, started_s=now_s)
        store.add(connection, found)
    elif found.state is CaptureState.ENDED:
        # What the last look found may have ended since, and the capture with it.
        if stream not in kept_store.wanted(connection, now_s - TAIL_S):
            return None
        state = CAPTURE_LIFE.next(found.state, CaptureEvent.RESUME)
        found = store.change(connection, found, replace(found, state=state, over_s=None))
    return found


def _end(connection: Connection, stream: str) -> None:
    found = store.by_stream(connection, stream)
    if found is not None and found.state is CaptureState.RUNNING:
        state = CAPTURE_LIFE.next(found.state, CaptureEvent.END)
        store.change(connection, found, replace(found, state=state))


def _note_problem(connection: Connection, stream: str, problem: str) -> None:
    found = store.by_stream(connection, stream)
    if found is not None and found.problem != problem[:_LONGEST_PROBLEM]:
        store.change(connection, found, replace(found, problem=problem[:_LONGEST_PROBLEM]))


def _stored(capture: Capture) -> tuple[str, int, int]:
    return capture.boot, capture.after, capture.segments


def _keep(connection: Connection, capture: Capture, made: Appended) -> Capture:
    """Note where the segments are. What else was noted of the capture stays. Raises VersionMismatch
    where another instance stored some."""
    found = store.by_stream(connection, capture.stream)
    if found is None or _stored(found) != _stored(capture):
        raise VersionMismatch(f"{capture.id} changed since it was read")
    new = replace(
        made.capture, state=found.state, over_s=found.over_s, problem="", version=found.version
    )
    for number, body in made.new_maps.items():
        store.add_map(connection, capture.id, number, body)
    store.add_segments(connection, capture.id, made.segments)
    return store.change(connection, found, new)
