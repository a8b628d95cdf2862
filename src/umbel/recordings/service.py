"""The only entry to recordings: what viewers keep of events, and what everybody may see again.

In: calls of the portal, for a user who has proved who they are, or with a link's secret. Out:
values of `model`, and what replays.py reads. Neighbours: capturing.py stores what is recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from umbel.catalogue import rules
from umbel.catalogue.model import OVER, Event, EventState
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.errors import Unprocessable
from umbel.kit.ids import new_id
from umbel.kit.sql import Connection, ConstraintViolated
from umbel.recordings import store
from umbel.recordings.capturing import Capturing
from umbel.recordings.indexes import Index, Indexes
from umbel.recordings.kept import store as kept_store
from umbel.recordings.model import (
    LONGEST_NAME,
    LONGEST_SHARE_S,
    MOST_RECORDINGS,
    MOST_SHARES,
    Extent,
    Kept,
    NoReplay,
    NoSuchRecording,
    NoSuchShare,
    NothingRecorded,
    NotRecordable,
    Recording,
    RecordingQuotaReached,
    Share,
    TooManyRecordings,
    TooManyShares,
    Usage,
)
from umbel.recordings.replays import Replays
from umbel.recordings.rights import Right, RightKind
from umbel.recordings.storyboards.service import Storyboards
from umbel.repository.service import Repository

SOURCE = "source"
"""The quality as it comes from the encoder."""
_LEAST_SHARE_S = 60.0
_ON_AIR = frozenset({EventState.OPEN, EventState.LIVE})


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """Recordings by account, and replays by event."""

    database: Database
    catalogue: Catalogue
    clock: Clock
    capturing: Capturing
    replays: Replays
    storyboards: Storyboards
    quota_bytes: int

    # -- a viewer's own -------------------------------------------------------------------------

    async def of(self, username: str) -> tuple[list[Kept], Usage]:
        """The account's, the newest first, and what they take."""
        kept = await self._explained(await self.database.read(kept_store.of_user, username))
        return kept, Usage(bytes=sum(one.size for one in kept), quota_bytes=self.quota_bytes)

    async def the(self, username: str, recording_id: str) -> Kept:
        """One of the account's. Raises NoSuchRecording."""
        found = _found(await self.database.read(kept_store.the, username, recording_id))
        (kept,) = await self._explained([found])
        return kept

    async def lacking(self) -> Mapping[str, str]:
        """Why there is no room for a recorder, by the stream that is to have one."""
        return await self.capturing.running.lacking(await self.capturing.all_wanted())

    async def _explained(self, kept: Sequence[Kept]) -> list[Kept]:
        """With the reason where nothing is stored now, or where there is no room for the recorder
        that one waits for."""
        unsaved = self.capturing.unsaved
        kept = [
            replace(one, problem=unsaved.get(one.recording.stream, "")) if _waits(one) else one
            for one in kept
        ]
        open_ones = {one.recording.id for one in kept if _waits(one)}
        streams = {one.recording.stream for one in kept if one.recording.id in open_ones}
        wanted = await self.capturing.wanted(streams) if streams else ()
        lacking = await self.capturing.running.lacking(wanted)
        return [
            replace(one, problem=f"It is not being recorded now. {why}")
            if one.recording.id in open_ones and (why := lacking.get(one.recording.stream))
            else one
            for one in kept
        ]

    async def start(
        self, username: str, event_id: str, *, from_start: bool, quality: str = SOURCE
    ) -> Kept:
        """Record the event in a quality, from now on, or from the beginning of what there is of it.
        Raises NoSuchEvent, NotRecordable, TooManyRecordings, RecordingQuotaReached; Unprocessable
        where the event is not on offer in the quality."""
        event = await self.catalogue.event(event_id)
        is_replayed = await self.database.read(kept_store.is_replayed, event_id)
        if event.state not in _ON_AIR and not (event.state in OVER and is_replayed):
            raise NotRecordable(event=event_id, state=event.state.value)
        _, usage = await self.of(username)
        if usage.bytes >= self.quota_bytes:
            raise RecordingQuotaReached(quota_bytes=self.quota_bytes)
        stream = await self.capturing.running.stream(event_id, quality)
        now_s = self.clock.now_s()
        is_whole = from_start or event.is_over
        new = Recording(
            id=new_id("rec"),
            username=username,
            event_id=event_id,
            stream=stream,
            name=event.title[:LONGEST_NAME],
            from_s=None if is_whole else now_s,
            until_s=None,
            reserved=False,
            created_s=now_s,
        )
        await self.database.write(_add, new)
        self.capturing.look_again()
        return await self.the(username, new.id)

    async def rename(self, username: str, recording_id: str, name: str) -> Kept:
        """Give it another name. Raises NoSuchRecording, Unprocessable."""
        clean = rules.line("name", name, LONGEST_NAME)
        return await self._change(username, recording_id, lambda one: replace(one, name=clean))

    async def stop(self, username: str, recording_id: str) -> Kept:
        """Record no more of it. Idempotent. Raises NoSuchRecording."""
        now_s = self.clock.now_s()

        def stop(one: Recording) -> Recording:
            return one if one.until_s is not None else replace(one, until_s=now_s)

        return await self._change(username, recording_id, stop)

    async def delete(self, username: str, recording_id: str) -> None:
        """It goes, and with it what no other account keeps. Raises NoSuchRecording."""

        def drop(connection: Connection) -> None:
            _found(kept_store.the(connection, username, recording_id))
            kept_store.drop(connection, recording_id)

        await self.database.write(drop)
        self.capturing.look_again()

    async def extent(self, username: str, recording_id: str) -> tuple[Kept, Extent]:
        """What of which capture it is. Raises NoSuchRecording, NothingRecorded."""
        kept = await self.the(username, recording_id)
        return kept, await self._extent(kept.recording)

    async def _change(
        self, username: str, recording_id: str, make: Callable[[Recording], Recording]
    ) -> Kept:
        def change(connection: Connection) -> Kept:
            kept = _found(kept_store.the(connection, username, recording_id))
            kept_store.change(connection, make(kept.recording))
            return _found(kept_store.the(connection, username, recording_id))

        kept = await self.database.write(change)
        self.capturing.look_again()
        return kept

    # -- links ----------------------------------------------------------------------------------

    async def shares(self, username: str, recording_id: str) -> list[Share]:
        """Links that work. Raises NoSuchRecording."""
        await self.the(username, recording_id)
        now_s = self.clock.now_s()
        return await self.database.read(kept_store.shares, recording_id, now_s)

    async def share(
        self, username: str, recording_id: str, expires_in_s: float
    ) -> tuple[Share, str]:
        """A new link and its secret, which is shown this once. Raises NoSuchRecording,
        TooManyShares, Unprocessable."""
        if not _LEAST_SHARE_S <= expires_in_s <= LONGEST_SHARE_S:
            days = LONGEST_SHARE_S // 86_400
            raise Unprocessable(f"expires_in_s: from {_LEAST_SHARE_S:.0f} s to {days:.0f} days")
        secret, now_s = rules.new_secret(), self.clock.now_s()
        new = Share(
            id=new_id("share"),
            recording_id=recording_id,
            created_s=now_s,
            expires_s=now_s + expires_in_s,
        )

        def add(connection: Connection) -> None:
            _found(kept_store.the(connection, username, recording_id))
            if len(kept_store.shares(connection, recording_id, now_s)) >= MOST_SHARES:
                raise TooManyShares(most=MOST_SHARES)
            kept_store.add_share(connection, new, rules.key_hash(secret))

        await self.database.write(add)
        return new, secret

    async def revoke(self, username: str, recording_id: str, share_id: str) -> None:
        """The link no longer works, if there is such a link. Raises NoSuchRecording."""
        await self.the(username, recording_id)
        await self.database.write(kept_store.drop_share, recording_id, share_id)

    async def shared(self, secret: str) -> tuple[Recording, Share, Extent]:
        """What a link leads to. Raises NoSuchShare, NothingRecorded."""
        now_s = self.clock.now_s()
        hashed = rules.key_hash(secret)
        share = await self.database.read(kept_store.share_of, hashed, now_s)
        if share is None:
            raise NoSuchShare
        recording = await self.database.read(kept_store.by_id, share.recording_id)
        if recording is None:
            raise NoSuchShare
        return recording, share, await self._extent(recording)

    # -- everybody's ----------------------------------------------------------------------------

    async def is_replayed(self, event_id: str) -> bool:
        """Whether the event is recorded for everybody. Raises NoSuchEvent."""
        await self.catalogue.event(event_id)
        return await self.database.read(kept_store.is_replayed, event_id)

    async def set_replay(self, event_id: str, *, enabled: bool) -> None:
        """Have the event recorded for everybody, or not any more. Raises NoSuchEvent."""
        await self.catalogue.event(event_id)
        at_s = self.clock.now_s() if enabled else None
        await self.database.write(kept_store.set_replay, event_id, at_s)
        self.capturing.look_again()

    async def replay(self, event_id: str) -> tuple[Event, Extent]:
        """What everybody may see of it, also while it is on air. Raises NoSuchEvent, NoReplay."""
        event = await self.catalogue.event(event_id)
        capture = await self.database.read(store.by_stream, event_id)
        if capture is None or not await self.database.read(kept_store.is_replayed, event_id):
            raise NoReplay
        return event, Extent(capture_id=capture.id)

    async def require(self, right: Right) -> None:
        """Do nothing as long as what the right comes from is there. Raises NoSuchRecording,
        NoSuchShare, NoReplay. Who may watch an event is the catalogue's to say."""
        now_s = self.clock.now_s()
        match right.kind:
            case RightKind.RECORDING:
                if await self.database.read(kept_store.by_id, right.of) is None:
                    raise NoSuchRecording
            case RightKind.SHARE:
                if not await self.database.read(kept_store.is_shared, right.of, now_s):
                    raise NoSuchShare
            case RightKind.EVENT:
                if not await self.database.read(kept_store.is_replayed, right.of):
                    raise NoReplay

    async def index(self, extent: Extent) -> Index:
        """What there is of it now. Raises NothingRecorded, NoSuchRecording."""
        return await self.replays.index(extent)

    # -- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Store what is recorded, until cancelled."""
        await self.capturing.run()

    async def close(self) -> None:
        """Let go of recorders."""
        await self.capturing.recorders.close()

    async def _extent(self, recording: Recording) -> Extent:
        capture = await self.database.read(store.by_stream, recording.stream)
        if capture is None:
            raise NothingRecorded(event=recording.event_id)
        return Extent(capture_id=capture.id, from_s=recording.from_s, until_s=recording.until_s)


def recordings(capturing: Capturing, repository: Repository, quota_bytes: int) -> Recordings:
    """The service over what stores."""
    return Recordings(
        database=capturing.database,
        catalogue=capturing.catalogue,
        clock=capturing.clock,
        capturing=capturing,
        replays=Replays(Indexes(capturing.database), repository),
        storyboards=capturing.storyboards,
        quota_bytes=quota_bytes,
    )


def _waits(kept: Kept) -> bool:
    """Whether it goes on, and no row says why nothing comes."""
    return kept.is_open and not kept.problem


def _found(kept: Kept | None) -> Kept:
    if kept is None:
        raise NoSuchRecording
    return kept


def _add(connection: Connection, new: Recording) -> None:
    """Raises TooManyRecordings, NoSuchRecording where the account is gone."""
    if kept_store.count(connection, new.username) >= MOST_RECORDINGS:
        raise TooManyRecordings(most=MOST_RECORDINGS)
    try:
        kept_store.add(connection, new)
    except ConstraintViolated as error:
        raise NoSuchRecording from error
