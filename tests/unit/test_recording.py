"""A recording keeps whole segments until they are pulled; in virtual time, with real media."""

import asyncio
from collections.abc import Sequence

import pytest

from support import camera, mp4
from support.camera import Camera
from umbel.kit.clock import LoopClock
from umbel.media.hls.boxes import Sound, Tracks
from umbel.media.hls.segmenter import Opening, Part, SegmentEnd
from umbel.media.io.recording import IDLE_S, WAIT_S, Recording
from umbel.media.model import Pulled
from umbel.media.record import answer
from umbel.media.record.buffer import Bounds, SegmentBuffer

pytestmark = pytest.mark.looptime

Timed = Sequence[tuple[float, bytes]]


async def play(recording: Recording, timed: Timed, *, silent_s: float = 0.0) -> None:
    """Feed packets in their own time, with the housekeeping of a media server."""
    loop = asyncio.get_running_loop()
    start_s = tick_s = loop.time()
    for at_s, data in [*timed, (timed[-1][0] + silent_s, b"")]:
        while tick_s < start_s + at_s:
            await asyncio.sleep(tick_s - loop.time())
            recording.tick(loop.time())
            tick_s += 0.5
        await asyncio.sleep(start_s + at_s - loop.time())
        if data:
            recording.packets([data], loop.time())


def made(seconds: float, camera_: Camera | None = None, *, after_s: float = 0.0) -> Timed:
    source = camera_ or Camera()
    known = len(source.sent)
    source.video(camera.pictures(seconds), after_s).audio(camera.sounds(seconds), after_s)
    return sorted(source.sent[known:], key=lambda entry: entry[0])


def files(pulled: Pulled) -> list[bytes]:
    """What a player plays through: a file for every stretch without a discontinuity."""
    out: list[bytes] = []
    for segment in pulled.segments:
        if segment.discontinuity or not out:
            out.append(pulled.maps[segment.map_number])
        out[-1] += segment.body
    return out


async def test_segments_make_a_file_of_the_right_length() -> None:
    recording = Recording("ev1", LoopClock())
    await play(recording, made(7.0))
    recording.end()
    pulled = answer.decode(answer.encode(await recording.pull(-1, "")))
    assert sum(s.duration_s for s in pulled.segments) == pytest.approx(7.0, abs=0.05)
    assert [s.number for s in pulled.segments] == list(range(len(pulled.segments)))
    assert [s.discontinuity for s in pulled.segments] == [False] * len(pulled.segments)
    assert sum(s.keyframes for s in pulled.segments) == 4
    (file,) = files(pulled)
    decoded = mp4.decode(file)
    assert len(decoded.shown_s) == 210
    assert decoded.samples == pytest.approx(7.0 * 48_000, abs=3000)


async def test_segments_follow_on_by_the_calendar() -> None:
    clock = LoopClock()
    recording = Recording("ev1", clock)
    began_s = clock.now_s()
    await play(recording, made(5.0))
    recording.end()
    first, *others = (await recording.pull(-1, "")).segments
    assert first.wall_s == pytest.approx(began_s, abs=0.2)
    for before, after in zip([first, *others], others, strict=False):
        assert after.wall_s == pytest.approx(before.wall_s + before.duration_s, abs=0.1)


@pytest.mark.parametrize("kind", ["video", "audio"])
async def test_one_medium_is_enough(kind: str) -> None:
    source, recording = Camera(), Recording("ev1", LoopClock())
    if kind == "video":
        source.video(camera.pictures(6.0))
    else:
        source.audio(camera.sounds(6.0))
    await play(recording, source.timed())
    recording.end()
    pulled = await recording.pull(-1, "")
    length_s = sum(segment.duration_s for segment in pulled.segments)
    assert length_s == pytest.approx(6.0, abs=0.1)
    decoded = mp4.decode(files(pulled)[0])
    assert bool(decoded.shown_s) == (kind == "video")
    assert bool(decoded.samples) == (kind == "audio")


async def test_another_encoder_makes_a_discontinuity_and_no_gap_in_the_sum() -> None:
    recording = Recording("ev1", LoopClock())
    await play(recording, made(4.0), silent_s=1.0)
    again = Camera(ssrc=5, audio_ssrc=6, sequence=9, timestamp=77, audio_timestamp=88)
    await play(recording, made(3.0, again))
    recording.end()
    pulled = await recording.pull(-1, "")
    assert sum(s.duration_s for s in pulled.segments) == pytest.approx(7.0, abs=0.15)
    assert sum(s.discontinuity for s in pulled.segments) == 1
    assert [len(mp4.decode(file).shown_s) for file in files(pulled)] == [120, 90]


async def test_silence_ends_the_open_segment() -> None:
    recording = Recording("ev1", LoopClock())
    source = Camera()
    await play(recording, made(3.0, source), silent_s=IDLE_S - 0.5)
    before = await recording.pull(-1, "")
    await play(recording, [(0.0, b"")], silent_s=2.0)
    pulled = await recording.pull(before.segments[-1].number, before.boot)
    length_s = sum(s.duration_s for s in (*before.segments, *pulled.segments))
    assert length_s == pytest.approx(3.0, abs=0.05)
    assert not pulled.ended
    recording.packets([data for _, data in made(2.0, Camera(ssrc=9))], 60_000.0)
    recording.end()
    rest = await recording.pull(pulled.segments[-1].number, pulled.boot)
    assert rest.segments[0].discontinuity


async def test_what_is_acknowledged_is_forgotten() -> None:
    recording = Recording("ev1", LoopClock())
    await play(recording, made(7.0))
    first = await recording.pull(-1, "")
    assert len(first.segments) == 3
    again = await recording.pull(0, first.boot)
    assert [s.number for s in again.segments] == [1, 2]
    assert [s.number for s in (await recording.pull(-1, first.boot)).segments] == [1, 2]
    assert again.dropped == 0
    recording.end()
    last = await recording.pull(2, first.boot)
    assert [s.number for s in last.segments] == [3]
    assert (await recording.pull(3, first.boot)).segments == ()
    assert recording.stored_bytes == 0


async def test_a_number_of_another_life_acknowledges_nothing() -> None:
    recording = Recording("ev1", LoopClock())
    await play(recording, made(5.0))
    pulled = await recording.pull(500, "another")
    assert [s.number for s in pulled.segments] == [0, 1]
    assert Recording("ev1", LoopClock())._buffer.boot != pulled.boot


async def test_a_pull_waits_for_a_segment() -> None:
    recording = Recording("ev1", LoopClock())
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    waiting = asyncio.create_task(recording.pull(-1, ""))
    await play(recording, made(3.0))
    pulled = await waiting
    assert [s.number for s in pulled.segments] == [0]
    assert loop.time() - began_s == pytest.approx(3.0, abs=0.1)


async def test_a_pull_waits_so_long_and_no_longer() -> None:
    recording, loop = Recording("ev1", LoopClock()), asyncio.get_running_loop()
    began_s = loop.time()
    pulled = await recording.pull(-1, "")
    assert (pulled.segments, pulled.maps, pulled.ended) == ((), {}, False)
    assert loop.time() - began_s == pytest.approx(WAIT_S, abs=0.01)


async def test_the_end_answers_who_waits() -> None:
    recording = Recording("ev1", LoopClock())
    waiting = asyncio.create_task(recording.pull(-1, ""))
    await asyncio.sleep(1.0)
    recording.end()
    assert (await waiting).ended
    recording.packets([data for _, data in made(3.0)], asyncio.get_running_loop().time())
    assert (await recording.pull(-1, "")).segments == ()


async def test_one_that_is_held_goes_on_from_its_open_segment() -> None:
    recording, source = Recording("ev1", LoopClock()), Camera()
    recording.hold(is_held=True)
    await play(recording, made(5.0, source))
    assert recording.unpulled == 0
    recording.hold(is_held=False)
    recording.end()
    pulled = await recording.pull(-1, "")
    assert sum(s.duration_s for s in pulled.segments) == pytest.approx(1.0, abs=0.05)
    assert len(mp4.decode(files(pulled)[0]).shown_s) == 30


# -- bounds -----------------------------------------------------------------------------------


def part(size: int, seconds: float, *, opens: bool = True, sound: Sound = Sound.OPUS) -> Part:
    opening = Opening(Tracks(None, sound), False, 100.0) if opens else None
    return Part(seconds, True, True, 0, bytes(size), opening, 1)


def filled(buffer: SegmentBuffer, count: int, size: int, seconds: float = 2.0) -> None:
    for _ in range(count):
        buffer.add([part(size, seconds), SegmentEnd()], lambda at_s: at_s)


def test_the_oldest_are_dropped_when_there_are_too_many_bytes() -> None:
    buffer = SegmentBuffer("b", Bounds(most_bytes=10_000, most_s=120.0))
    filled(buffer, 15, 1000)
    pulled = buffer.after(-1)
    assert [s.number for s in pulled.segments] == list(range(5, 15))
    assert pulled.dropped == 5
    assert buffer.stored_bytes == 10_000


def test_the_oldest_are_dropped_when_they_are_too_old() -> None:
    buffer = SegmentBuffer("b", Bounds(most_bytes=1 << 20, most_s=10.0))
    filled(buffer, 8, 10)
    assert [s.number for s in buffer.after(-1).segments] == [3, 4, 5, 6, 7]
    assert buffer.dropped == 3


def test_what_was_acknowledged_is_not_dropped() -> None:
    buffer = SegmentBuffer("b", Bounds(most_bytes=1 << 20, most_s=10.0))
    for number in range(20):
        filled(buffer, 1, 10)
        assert buffer.acknowledge("b", number) == number
    assert buffer.dropped == 0
    assert buffer.stored_bytes == 0


def test_an_answer_is_bounded_and_the_next_goes_on() -> None:
    buffer = SegmentBuffer("b", Bounds(most_bytes=1 << 30, most_s=3600.0))
    filled(buffer, 50, 1 << 20)
    buffer.end()
    first = buffer.after(-1)
    assert len(first.segments) == 30  # a minute
    assert not first.ended
    second = buffer.after(buffer.acknowledge("b", first.segments[-1].number))
    assert len(second.segments) == 20
    assert second.ended
    filled(large := SegmentBuffer("b"), 5, 10 << 20)
    assert len(large.after(-1).segments) == 3


def test_a_segment_that_grows_too_large_is_cut() -> None:
    buffer = SegmentBuffer("b")
    buffer.add([part(4 << 20, 0.3), *[part(4 << 20, 0.3, opens=False)] * 5], lambda at_s: at_s)
    buffer.end()
    first, second = buffer.after(-1).segments
    assert (len(first.body), len(second.body)) == (16 << 20, 8 << 20)
    assert second.wall_s == pytest.approx(first.wall_s + 1.2)
    assert (second.discontinuity, second.map_number) == (False, first.map_number)


def test_maps_are_kept_as_long_as_they_are_used() -> None:
    buffer = SegmentBuffer("b")
    for sound in (Sound.OPUS, Sound.AAC, Sound.OPUS):
        for _ in range(2):
            buffer.add([part(10, 2.0, sound=sound), SegmentEnd()], lambda at_s: at_s)
    pulled = buffer.after(-1)
    assert [s.map_number for s in pulled.segments] == [0, 0, 1, 1, 2, 2]
    assert list(pulled.maps) == [0, 1, 2]
    buffer.acknowledge("b", 2)
    assert list(buffer.after(2).maps) == [1, 2]
    buffer.acknowledge("b", 5)
    buffer.add([part(10, 2.0), SegmentEnd()], lambda at_s: at_s)
    (last,) = buffer.after(5).segments
    assert buffer.after(5).maps == {last.map_number: pulled.maps[2]}
