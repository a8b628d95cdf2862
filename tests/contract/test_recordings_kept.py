"""What accounts keep of events: whose it is, links to it, what is for everybody, what is deleted,
and the quota; on SQLite and on PostgreSQL."""

import pytest

from support import recorded
from support.clocks import SetClock
from support.recorded import Reel, film
from support.recorded_event import NOW_S, RecordedEvent, place_of
from support.rows import Rows
from umbel.catalogue.model import EventEvent, EventPatch, Visibility
from umbel.catalogue.reservations.model import Purpose
from umbel.kit.db import Database
from umbel.recordings import store
from umbel.recordings.model import (
    NoReplay,
    NoSuchRecording,
    NoSuchShare,
    RecordingQuotaReached,
    RecordingState,
)
from umbel.repository.model import NoSuchItem


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def place(database: Database, clock: SetClock) -> RecordedEvent:
    return await place_of(database, clock)


async def test_what_nobody_keeps_is_deleted(place: RecordedEvent) -> None:
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


async def test_which_captures_are_deleted_is_one_question(
    place: RecordedEvent, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await place.on_air(Reel("one", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 1)
    capture = await database.read(store.by_stream, place.event.id)
    assert capture is not None
    there = capture.id
    rows = Rows(monkeypatch)
    for ids in ([], [there], ["x"], ["x", there, "y"], [*map(str, range(999)), there]):
        rows.reset()
        found = await database.read(store.missing, tuple(ids))
        assert found == tuple(id_ for id_ in ids if id_ != there)
        assert rows.questions <= 1


async def test_who_was_disinvited_gets_no_recording(place: RecordedEvent) -> None:
    invited = EventPatch(visibility=Visibility.INVITED)
    await place.catalogue.change_event(place.event.id, place.event.version, invited)
    for name in ("ann", "bob"):
        await place.catalogue.audiences.invite(place.event.id, ["ann", "bob"])
        await place.catalogue.reservations.reserve(name, place.event.id, Purpose.RECORD)
    await place.catalogue.audiences.invite(place.event.id, ["bob"])
    made = await place.on_air(Reel("one", film()))
    await place.studio.look()
    await place.play(made, 1)
    assert [await place.kept("ann"), len(await place.kept("bob"))] == [[], 1]


async def test_others_do_not_see_it(place: RecordedEvent) -> None:
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


async def test_a_link_works_until_it_expires_or_is_revoked(place: RecordedEvent) -> None:
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


async def test_the_provider_has_it_recorded_for_everybody(place: RecordedEvent) -> None:
    service = place.studio.recordings
    made = await place.on_air(Reel("one", film()))
    await service.set_replay(place.event.id, enabled=True)
    with pytest.raises(NoReplay):
        await service.replay(place.event.id)
    await place.play(made, 3)
    _, extent = await service.replay(place.event.id)
    index = await service.index(extent)
    assert (len(index.segments), index.is_growing) == (3, True)
    assert "PLAYLIST-TYPE:EVENT" in await recorded.playlist(service, extent)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    made.is_over = True
    await place.studio.look()
    text = await recorded.playlist(service, extent)
    assert "PLAYLIST-TYPE:VOD" in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    bob = await service.start("bob", place.event.id, from_start=True)
    assert bob.state is RecordingState.READY, "it may be kept afterwards"
    await service.set_replay(place.event.id, enabled=False)
    with pytest.raises(NoReplay):
        await service.replay(place.event.id)
    assert len(await place.file("bob", bob.recording.id)) > 0


async def test_beyond_the_quota_nothing_is_recorded(
    place: RecordedEvent, database: Database, clock: SetClock
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
