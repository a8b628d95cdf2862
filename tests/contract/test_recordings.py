"""Events are recorded once and kept by many, on SQLite and on PostgreSQL: whole, from now on, over
restarts of encoders, recorders and the control plane; with a full storage, and without a recorder.
The recorders are in memory, and what they give is decoded."""

import itertools
from collections.abc import AsyncIterator

import pytest

from support import mp4, recorded
from support.clocks import SetClock
from support.recorded import Reel, film
from support.recorded_event import NOW_S, RecordedEvent, place_of
from umbel.catalogue.model import EventEvent
from umbel.catalogue.reservations.model import Purpose
from umbel.kit.db import Database
from umbel.recordings.capturing import DRAIN_S, LEASE_S, TAIL_S
from umbel.recordings.model import NoReplay, NotRecordable, RecordingState
from umbel.repository.service import Repository, Source


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def place(database: Database, clock: SetClock) -> RecordedEvent:
    return await place_of(database, clock)


async def test_one_recording_serves_all_who_asked(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    assert ann.state is RecordingState.WAITING
    await place.studio.look()
    assert await place.is_wanted()
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


async def test_each_quality_is_recorded_once(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film()))
    small = f"{place.event.id}-360p"
    other = place.studio.reels.running[small] = Reel("two", film(sound=False))
    start = place.studio.recordings.start
    for name in ("ann", "bob"):
        await start(name, place.event.id, from_start=False, quality="360p")
    await place.studio.look()
    assert await place.studio.recordings.capturing.all_wanted() == {small}
    assert not await place.is_wanted(), "nobody records the source's stream"
    ann = await start("ann", place.event.id, from_start=False)
    await place.studio.look()
    assert await place.studio.recordings.capturing.all_wanted() == {small, place.event.id}
    other.ready = 1
    await place.play(made, 3)
    assert [one.segments for one in await place.kept("bob")] == [1]
    assert sorted(one.segments for one in await place.kept("ann")) == [1, 3]
    items = await place.repository.find({"event": place.event.id}, owner=None)
    assert len(items) == 2
    assert len(mp4.decode(await place.file("ann", ann.recording.id)).heard_s) > 0
    (bob,) = await place.kept("bob")
    assert mp4.decode(await place.file("bob", bob.recording.id)).heard_s == []

    # One quality goes with the last who keeps it, the other stays.
    made.is_over = other.is_over = True
    await place.catalogue.transition(place.event.id, EventEvent.END)
    await place.studio.look()
    await place.studio.recordings.delete("ann", ann.recording.id)
    await place.studio.recordings.capturing.sweep()
    (left,) = await place.repository.find({"event": place.event.id}, owner=None)
    assert left in items
    assert [one.segments for one in await place.kept("ann")] == [1]


async def test_one_that_is_deleted_before_its_recorder_comes_begins_nothing(
    place: RecordedEvent,
) -> None:
    await place.on_air(Reel("one", film()))
    start, capturing = place.studio.recordings.start, place.studio.recordings.capturing
    ann = await start("ann", place.event.id, from_start=False, quality="360p")
    await place.studio.look()
    await place.studio.recordings.delete("ann", ann.recording.id)
    small = f"{place.event.id}-360p"
    place.studio.reels.running[small] = Reel("two", film(), ready=1)
    assert await capturing.capture(small) is None
    assert await place.repository.find({"event": place.event.id}, owner=None) == []


async def test_everybody_sees_the_sources_quality_again(place: RecordedEvent) -> None:
    await place.on_air(Reel("one", film(), ready=2))
    place.studio.reels.running[f"{place.event.id}-360p"] = Reel("two", film(), ready=1)
    await place.studio.recordings.start("ann", place.event.id, from_start=True, quality="360p")
    await place.studio.look()
    await place.studio.look()
    assert [one.segments for one in await place.kept("ann")] == [1]
    with pytest.raises(NoReplay):
        await place.studio.recordings.replay(place.event.id)
    await place.studio.recordings.set_replay(place.event.id, enabled=True)
    with pytest.raises(NoReplay):
        await place.studio.recordings.replay(place.event.id)
    await place.studio.look()
    await place.studio.look()
    _, extent = await place.studio.recordings.replay(place.event.id)
    assert len((await place.studio.recordings.index(extent)).segments) == 2


async def test_a_recording_may_begin_where_the_capture_did(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 3)
    await place.studio.recordings.start("bob", place.event.id, from_start=True)
    await place.play(made, 1)
    assert [one.segments for one in await place.kept("bob")] == [4]


async def test_a_reservation_is_recorded_with_nobody_watching(place: RecordedEvent) -> None:
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


async def test_the_end_of_the_event_is_the_end_of_the_recording(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 4)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    made.ready, made.is_over = 6, True
    await place.studio.look()
    assert await place.is_wanted(), "there is more to store"
    await place.studio.look()
    await place.studio.look()
    assert not await place.is_wanted()
    (kept,) = await place.kept("ann")
    assert (kept.state, kept.segments) == (RecordingState.READY, 6)
    assert kept.duration_s == pytest.approx(12.0, abs=0.1)
    assert len(mp4.decode(await place.file("ann", ann.recording.id)).shown_s) == 360
    with pytest.raises(NotRecordable):
        await place.studio.recordings.start("bob", place.event.id, from_start=True)


async def test_a_capture_that_ended_stays_so_though_the_last_look_wanted_it(
    place: RecordedEvent,
) -> None:
    made = await place.on_air(Reel("one", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)
    await place.catalogue.transition(place.event.id, EventEvent.END)
    made.is_over = True
    await place.studio.recordings.capturing.look()
    for _ in range(3):
        assert await place.studio.recordings.capturing.capture(place.event.id) is None
        assert [one.state for one in await place.kept("ann")] == [RecordingState.READY]
    assert await place.is_wanted(), "nobody looked since"


async def test_a_recorder_that_stays_silent_is_not_waited_for_for_ever(
    place: RecordedEvent,
) -> None:
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


async def test_stopping_is_everybodys_own(place: RecordedEvent) -> None:
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
    assert await place.is_wanted(), "the tail comes, too"
    place.studio.advance(TAIL_S + 1)
    await place.studio.look()
    assert not await place.is_wanted()
    del place.studio.reels.running[place.event.id]
    await place.studio.look()
    # Somebody asks again: the same capture goes on.
    again = await place.on_air(Reel("two", film()))
    await place.studio.recordings.start("ann", place.event.id, from_start=True)
    await place.play(again, 1)
    assert [one.segments for one in await place.kept("ann")] == [5, 2]


async def test_another_life_of_the_recorder_goes_on_where_the_first_ended(
    place: RecordedEvent,
) -> None:
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
    text = await recorded.playlist(place.studio.recordings, extent)
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert text.count("#EXT-X-MAP") == 1, "the same parameters"


@pytest.mark.parametrize(("picture", "sound"), [(True, False), (False, True)])
async def test_one_medium_alone(place: RecordedEvent, *, picture: bool, sound: bool) -> None:
    made = await place.on_air(Reel("one", film(picture=picture, sound=sound)))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 4)
    got = mp4.decode(await place.file("ann", ann.recording.id))
    assert bool(got.shown_s) is picture
    assert bool(got.heard_s) is sound
    (kept,) = await place.kept("ann")
    assert kept.duration_s == pytest.approx(sum(one.duration_s for one in made.segments[:4]))
    assert (got.shown_s or got.heard_s)[-1] == pytest.approx(kept.duration_s, abs=0.05)


async def test_streams_of_two_sizes_are_two_files(place: RecordedEvent) -> None:
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
    assert (await recorded.playlist(place.studio.recordings, extent)).count("#EXT-X-MAP") == 2


async def test_a_control_plane_that_dies_between_bytes_and_rows_loses_nothing(
    place: RecordedEvent, database: Database, clock: SetClock
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


async def test_a_full_storage_is_named_and_waited_for(place: RecordedEvent) -> None:
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


async def test_who_asked_for_it_hears_that_there_is_no_room_for_a_recorder(
    place: RecordedEvent,
) -> None:
    why = "No node has room for a recorder."
    made = await place.on_air(Reel("one", film()))
    ann = await place.studio.recordings.start("ann", place.event.id, from_start=False)
    place.studio.reels.no_room[place.event.id] = why
    for kept in (
        *await place.kept("ann"),
        await place.studio.recordings.the("ann", ann.recording.id),
    ):
        assert kept.problem == f"It is not being recorded now. {why}"
    await place.studio.recordings.stop("ann", ann.recording.id)
    assert [one.problem for one in await place.kept("ann")] == [""]
    place.studio.reels.no_room.clear()
    await place.studio.recordings.start("bob", place.event.id, from_start=False)
    await place.play(made, 1)
    assert [one.problem for one in await place.kept("bob")] == [""]


async def _append(items: Repository, item: str, data: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    size = (await items.get(item)).size
    await items.write(item, Source(chunks=chunks(), size=len(data), offset=size))


async def test_a_reservation_may_be_for_both(place: RecordedEvent) -> None:
    await place.catalogue.reservations.reserve("ann", place.event.id, Purpose.BOTH)
    made = await place.on_air(Reel("one", film()))
    await place.studio.look()
    await place.play(made, 1)
    assert [one.segments for one in await place.kept("ann")] == [1]
