"""Events are recorded once and kept by many, on SQLite and on PostgreSQL: whole, from now on, over
restarts of encoders, recorders and the control plane; with a full storage, and without a recorder.
The recorders are in memory, and what they give is decoded."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from support import mp4, recorded
from support.clocks import SetClock
from support.recorded import Reel, Studio, film
from support.stored import repository
from umbel.catalogue.model import Event, EventDraft, EventEvent, UserRole
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.recordings.capturing import DRAIN_S, LEASE_S, TAIL_S
from umbel.recordings.model import (
    Extent,
    Kept,
    NoReplay,
    NoSuchRecording,
    NoSuchShare,
    NotRecordable,
    RecordingQuotaReached,
    RecordingState,
)
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.model import NoSuchItem
from umbel.repository.service import Repository, Source

NOW_S = 1_803_000_000.0
PASSWORD = "correct horse battery"


@dataclass(kw_only=True)
class Place:
    studio: Studio
    catalogue: Catalogue
    repository: Repository
    storage: FakeStorage
    event: Event

    async def on_air(self, reel: Reel) -> Reel:
        """The event's recorder runs as soon as somebody wants it."""
        if (await self.catalogue.event(self.event.id)).state.value == "scheduled":
            await self.catalogue.transition(self.event.id, EventEvent.OPEN)
            await self.catalogue.transition(self.event.id, EventEvent.START)
        self.studio.reels.running[self.event.id] = reel
        return reel

    async def play(self, reel: Reel, count: int) -> None:
        """So many segments more, each stored right after it."""
        for _ in range(count):
            self.studio.advance(2.0)
            reel.ready += 1
            await self.studio.look()

    async def kept(self, username: str) -> list[Kept]:
        return (await self.studio.recordings.of(username))[0]

    async def file(self, username: str, recording_id: str, part: int = 0) -> bytes:
        _, extent = await self.studio.recordings.extent(username, recording_id)
        return await self.read(extent, part)

    async def read(self, extent: Extent, part: int = 0) -> bytes:
        replays = self.studio.recordings.replays
        file = await replays.file(extent, part)
        data = b"".join([piece async for piece in replays.read(file, 0, file.size)])
        assert len(data) == file.size
        return data


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def place(database: Database, clock: SetClock) -> Place:
    catalogue = Catalogue(database, clock)
    for name in ("ann", "bob"):
        await catalogue.add_user(name, PASSWORD, UserRole.VIEWER)
    provider = await catalogue.add_provider("City", "pe1")
    event = await catalogue.add_event(
        EventDraft(
            provider_id=provider.id,
            title="Council",
            starts_s=NOW_S,
            ends_s=NOW_S + 3600,
        )
    )
    storage = FakeStorage(clock=clock)
    items = repository(database, storage, clock)
    return Place(
        studio=recorded.studio(database, catalogue, items, clock),
        catalogue=catalogue,
        repository=items,
        storage=storage,
        event=event,
    )


async def test_one_recording_serves_all_who_asked(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    assert ann.state is RecordingState.WAITING
    await place.studio.look()
    assert place.studio.recordings.capturing.wanted == {place.event.id}
    await place.play(made, 3)
    bob = await place.studio.recordings.start("bob", place.event.id, from_start=False)
    await place.play(made, 2)
    kept = [(await place.kept(name))[0] for name in ("ann", "bob")]
    assert [one.state for one in kept] == [RecordingState.RECORDING] * 2
    assert [one.segments for one in kept] == [5, 2]
    assert len(await place.repository.find({"event": place.event.id}, owner=None)) == 1
    shown = mp4.decode(await place.file("ann", ann.recording.id))
    assert len(shown.shown_s) == 300
    late = mp4.decode(await place.file("bob", bob.recording.id))
    assert len(late.shown_s) == 120
    assert late.shown_s[0] == pytest.approx(0.0, abs=0.03)


async def test_a_recording_may_begin_where_the_capture_did(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 3)
    await place.studio.recordings.start("bob", place.event.id, from_start=True)
    await place.play(made, 1)
    assert [one.segments for one in await place.kept("bob")] == [4]


async def test_a_reservation_is_recorded_with_nobody_watching(place: Place) -> None:
    reserve = place.catalogue.reservations.reserve
    await reserve("ann", place.event.id, Purpose.RECORD)
    await place.studio.look()
    assert await place.kept("ann") == []
    made = await place.on_air(Reel("one", film()))
    await place.play(made, 2)
    await place.studio.look()
    (kept,) = await place.kept("ann")
    assert (kept.recording.name, kept.segments) == ("Council", 2)
    await place.studio.recordings.delete("ann", kept.recording.id)


async def test_the_end_of_the_event_is_the_end_of_the_recording(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 4)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    made.ready, made.is_over = 6, True
    await place.studio.look()
    assert place.event.id in place.studio.recordings.capturing.wanted, "there is more to store"
    await place.studio.look()
    await place.studio.look()
    assert place.studio.recordings.capturing.wanted == frozenset()
    (kept,) = await place.kept("ann")
    assert (kept.state, kept.segments) == (RecordingState.READY, 6)
    assert kept.duration_s == pytest.approx(12.0, abs=0.1)
    assert len(mp4.decode(await place.file("ann", ann.recording.id)).shown_s) == 360
    with pytest.raises(NotRecordable):
        await place.studio.recordings.start("bob", place.event.id, from_start=True)


async def test_a_recorder_that_stays_silent_is_not_waited_for_for_ever(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    place.studio.reels.deaf = True
    await place.studio.look()
    assert [one.state for one in await place.kept("ann")] == [RecordingState.RECORDING]
    place.studio.advance(DRAIN_S + 1)
    await place.studio.look()
    assert [one.state for one in await place.kept("ann")] == [RecordingState.READY]


async def test_stopping_is_everybodys_own(place: Place) -> None:
    made = await place.on_air(Reel("one", film(20.0)))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    bob = await place.studio.recordings.start("bob", place.event.id, from_start=False)
    await place.play(made, 2)
    await place.studio.recordings.stop("ann", ann.recording.id)
    await place.play(made, 2)
    kept = [(await place.kept(name))[0] for name in ("ann", "bob")]
    assert [one.segments for one in kept] == [2, 4]
    assert [one.state for one in kept] == [RecordingState.READY, RecordingState.RECORDING]
    await place.studio.recordings.stop("bob", bob.recording.id)
    await place.studio.look()
    assert place.event.id in place.studio.recordings.capturing.wanted, "the tail comes, too"
    place.studio.advance(TAIL_S + 1)
    await place.studio.look()
    assert place.studio.recordings.capturing.wanted == frozenset()
    del place.studio.reels.running[place.event.id]
    await place.studio.look()
    # Somebody asks again: the same capture goes on.
    again = await place.on_air(Reel("two", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=True)
    await place.play(again, 1)
    assert [one.segments for one in await place.kept("ann")] == [5, 2]


async def test_another_life_of_the_recorder_goes_on_where_the_first_ended(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    second = await place.on_air(Reel("two", film()))
    await place.play(second, 3)
    (kept,) = await place.kept("ann")
    assert kept.duration_s == pytest.approx(10.0, abs=0.1)
    shown = mp4.decode(await place.file("ann", ann.recording.id)).shown_s
    assert len(shown) == 300
    steps = [later - earlier for earlier, later in itertools.pairwise(shown)]
    assert max(steps) < 0.2, "one timeline"
    assert min(steps) > 0
    _, extent = await place.studio.recordings.extent("ann", ann.recording.id)
    text = await place.studio.recordings.replays.playlist(extent)
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert text.count("#EXT-X-MAP") == 1, "the same parameters"


@pytest.mark.parametrize(("picture", "sound"), [(True, False), (False, True)])
async def test_one_medium_alone(place: Place, *, picture: bool, sound: bool) -> None:
    made = await place.on_air(Reel("one", film(picture=picture, sound=sound)))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 4)
    got = mp4.decode(await place.file("ann", ann.recording.id))
    assert bool(got.shown_s) is picture
    assert bool(got.heard_s) is sound
    (kept,) = await place.kept("ann")
    assert kept.duration_s == pytest.approx(sum(one.duration_s for one in made.segments[:4]))
    assert (got.shown_s or got.heard_s)[-1] == pytest.approx(kept.duration_s, abs=0.05)


async def test_streams_of_two_sizes_are_two_files(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    await place.play(await place.on_air(Reel("two", film(sound=False))), 3)
    first = mp4.decode(await place.file("ann", ann.recording.id))
    second = mp4.decode(await place.file("ann", ann.recording.id, 1))
    assert (len(first.shown_s), len(second.shown_s)) == (120, 180)
    assert (bool(first.heard_s), bool(second.heard_s)) == (True, False)
    assert second.shown_s[0] == pytest.approx(0.0, abs=0.03)
    _, extent = await place.studio.recordings.extent("ann", ann.recording.id)
    assert (await place.studio.recordings.replays.playlist(extent)).count("#EXT-X-MAP") == 2


async def test_a_control_plane_that_dies_between_bytes_and_rows_loses_nothing(
    place: Place, database: Database, clock: SetClock
) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    (item,) = await place.repository.find({"event": place.event.id}, owner=None)
    await _append(place.repository, item, b"written by one that died")
    clock.at_s += LEASE_S  # its lease ran out
    second = recorded.studio(database, place.catalogue, place.repository, clock, owner="second")
    second.reels.running, place.studio = place.studio.reels.running, second
    await place.play(made, 2)
    shown = mp4.decode(await place.file("ann", ann.recording.id)).shown_s
    assert len(shown) == 240


async def test_a_full_storage_is_named_and_waited_for(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    place.storage.capacity = place.storage.used
    await place.play(made, 2)
    (kept,) = await place.kept("ann")
    assert kept.segments == 2
    assert "is all there is" in kept.problem
    assert len(mp4.decode(await place.file("ann", ann.recording.id)).shown_s) == 120
    place.storage.capacity = 1 << 40
    await place.play(made, 1)
    (kept,) = await place.kept("ann")
    assert (kept.segments, kept.problem) == (5, ""), "the recorder kept what was not stored"


async def test_what_nobody_keeps_is_deleted(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    bob = await place.studio.recordings.start("bob", place.event.id, from_start=False)
    await place.play(made, 2)
    (item,) = await place.repository.find({"event": place.event.id}, owner=None)
    _, extent = await place.studio.recordings.extent("ann", ann.recording.id)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    made.is_over = True
    await place.studio.look()
    await place.studio.recordings.delete("ann", ann.recording.id)
    await place.studio.recordings.capturing.sweep()
    assert len(await place.file("bob", bob.recording.id)) > 0
    with pytest.raises(NoSuchRecording):
        await place.studio.recordings.extent("ann", ann.recording.id)
    await place.catalogue.remove_user("bob")
    await place.studio.recordings.capturing.sweep()
    with pytest.raises(NoSuchItem):
        await place.repository.get(item)
    with pytest.raises(NoSuchRecording):
        await place.studio.recordings.index(extent)


async def test_others_do_not_see_it(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 1)
    service = place.studio.recordings
    for call in (
        service.the("bob", ann.recording.id),
        service.extent("bob", ann.recording.id),
        service.rename("bob", ann.recording.id, "Mine"),
        service.stop("bob", ann.recording.id),
        service.delete("bob", ann.recording.id),
        service.share("bob", ann.recording.id, 3600.0),
        service.shares("bob", ann.recording.id),
        service.revoke("bob", ann.recording.id, "share_1"),
    ):
        with pytest.raises(NoSuchRecording):
            await call
    assert [one.recording.name for one in await place.kept("ann")] == ["Council"]


async def test_a_link_works_until_it_expires_or_is_revoked(place: Place) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    service = place.studio.recordings
    share, secret = await service.share("ann", ann.recording.id, 3600.0)
    other, revoked = await service.share("ann", ann.recording.id, 3600.0)
    found, _, extent = await service.shared(secret)
    assert (found.name, len((await service.index(extent)).segments)) == ("Council", 2)
    await service.revoke("ann", ann.recording.id, other.id)
    with pytest.raises(NoSuchShare):
        await service.shared(revoked)
    with pytest.raises(NoSuchShare):
        await service.shared("0" * 40)
    assert [one.id for one in await service.shares("ann", ann.recording.id)] == [share.id]
    place.studio.advance(3601)
    with pytest.raises(NoSuchShare):
        await service.shared(secret)
    assert await service.shares("ann", ann.recording.id) == []


async def test_the_provider_has_it_recorded_for_everybody(place: Place) -> None:
    service = place.studio.recordings
    made = await place.on_air(Reel("one", film()))
    await service.set_replay(place.event.id, enabled=True)
    with pytest.raises(NoReplay):
        await service.replay(place.event.id)
    await place.play(made, 3)
    _, extent = await service.replay(place.event.id)
    index = await service.index(extent)
    assert (len(index.segments), index.is_growing) == (3, True)
    assert "PLAYLIST-TYPE:EVENT" in await service.replays.playlist(extent)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    made.is_over = True
    await place.studio.look()
    text = await service.replays.playlist(extent)
    assert "PLAYLIST-TYPE:VOD" in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    bob = await service.start("bob", place.event.id, from_start=True)
    assert bob.state is RecordingState.READY, "it may be kept afterwards"
    await service.set_replay(place.event.id, enabled=False)
    with pytest.raises(NoReplay):
        await service.replay(place.event.id)
    assert len(await place.file("bob", bob.recording.id)) > 0


async def test_beyond_the_quota_nothing_is_recorded(
    place: Place, database: Database, clock: SetClock
) -> None:
    tight = recorded.studio(
        database, place.catalogue, place.repository, clock, quota_bytes=1, owner="tight"
    )
    place.studio = tight
    made = await place.on_air(Reel("one", film()))
    await tight.recordings.start("ann", place.event.id, from_start=False)
    tight.advance(61)
    await place.play(made, 2)
    tight.advance(61)
    await place.play(made, 1)
    (kept,) = await place.kept("ann")
    assert kept.recording.until_s is not None
    assert "stopped" in kept.problem
    with pytest.raises(RecordingQuotaReached):
        await tight.recordings.start("ann", place.event.id, from_start=False)


async def _append(items: Repository, item: str, data: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    size = (await items.get(item)).size
    await items.write(item, Source(chunks=chunks(), size=len(data), offset=size))
