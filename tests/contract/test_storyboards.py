"""Small pictures of what was recorded: about one every 10 s, where there are some; on SQLite and on
PostgreSQL."""

import pytest

from support.clocks import SetClock
from support.recorded import Reel, film
from support.recorded_event import NOW_S, RecordedEvent, place_of
from umbel.kit.db import Database
from umbel.media.replay.pieces import NoSuchPiece
from umbel.recordings.storyboards.service import spread, vtt


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def place(database: Database, clock: SetClock) -> RecordedEvent:
    return await place_of(database, clock)


async def test_a_picture_about_every_ten_seconds(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film(30.0)))
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 2)  # no picture is there yet
    for number in range(13):
        place.studio.reels.pictures[place.event.id] = b"jpeg %d" % number
        await place.play(made, 1)
    bob = await place.studio.recordings.start("bob", place.event.id, from_start=True)
    _, extent = await place.studio.recordings.extent("bob", bob.recording.id)
    index = await place.studio.recordings.index(extent)
    storyboards = place.studio.recordings.storyboards
    shown = await storyboards.of(index)
    assert [round(one.at_s) for one in shown] == [6, 16, 26]
    read = [await storyboards.read(index, one.picture.number) for one in shown]
    assert read == [b"jpeg 0", b"jpeg 5", b"jpeg 10"]
    with pytest.raises(NoSuchPiece):
        await storyboards.read(index, 3)
    assert [round(one.at_s) for one in spread(shown, 2)] == [6, 26]
    lines = vtt(shown, index.duration_s).splitlines()
    assert lines[0] == "WEBVTT"
    assert lines[2].startswith("00:00:06.")
    assert [line for line in lines if line.endswith(".jpg")] == [
        "picture-0.jpg",
        "picture-1.jpg",
        "picture-2.jpg",
    ]


async def test_a_recording_has_the_pictures_of_its_own_time(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film(30.0)))
    place.studio.reels.pictures[place.event.id] = b"jpeg"
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 8)
    late = await place.studio.recordings.start("bob", place.event.id, from_start=False)
    await place.play(made, 5)
    _, extent = await place.studio.recordings.extent("bob", late.recording.id)
    index = await place.studio.recordings.index(extent)
    shown = await place.studio.recordings.storyboards.of(index)
    assert [round(one.at_s) for one in shown] == [6]
    with pytest.raises(NoSuchPiece):
        await place.studio.recordings.storyboards.read(index, 0)


async def test_nothing_waits_for_a_picture(place: RecordedEvent) -> None:
    made = await place.on_air(Reel("one", film()))
    place.studio.reels.pictures[place.event.id] = b"x" * (300 << 10)
    await place.studio.recordings.start("ann", place.event.id, from_start=False)
    await place.play(made, 3)
    assert [one.segments for one in await place.kept("ann")] == [3]
