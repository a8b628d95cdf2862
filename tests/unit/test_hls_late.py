"""Live HLS with subtitles: pictures that are late enough for their captions; in virtual time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from support import camera, hls_player, mp4
from support.camera import Camera
from support.hls_live import Live, recording
from support.hls_player import PlaylistView, SegmentView
from umbel.kit.clock import LoopClock
from umbel.media.hls.window import DELAY_S
from umbel.media.model import CaptionTrack, NumberedCue

pytestmark = pytest.mark.looptime
CLOCK = LoopClock()


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    made = Live()
    yield made
    await made.stop()


def track(*times: tuple[float, float]) -> CaptionTrack:
    """Captions with these times by the calendar."""
    cues = [
        NumberedCue(number=number, text=f"Line {number}", start_s=start_s, end_s=end_s)
        for number, (start_s, end_s) in enumerate(times)
    ]
    return CaptionTrack(language="en-US", cues=tuple(cues))


async def view(live: Live, path: str = "late.m3u8") -> PlaylistView:
    answer = await live.get(path)
    assert answer.status == 200, answer
    return hls_player.parse_late(answer.body.decode(), captions="captions" in path)


def ended_ago_s(one: SegmentView) -> float:
    return CLOCK.now_s() - one.began.timestamp() - one.duration_s


async def refusal(live: Live, path: str) -> str:
    answer = await live.get(path)
    assert answer.status >= 400
    return str(json.loads(answer.body)["code"])


async def test_pictures_wait_for_their_captions_and_nobody_else_does(live: Live) -> None:
    live.play(recording(60.0))
    await asyncio.sleep(5)
    await view(live)
    for _ in range(20):
        await asyncio.sleep(2)
        late, said = await view(live), await view(live, "captions.m3u8")
        assert DELAY_S <= ended_ago_s(late.whole[-1]) < DELAY_S + 2.5
        assert ended_ago_s((await live.view()).whole[-1]) < 2.5
        assert said.first_number == late.first_number
        assert said.discontinuities_gone == late.discontinuities_gone == 0
        for one, other in zip(late.whole, said.whole, strict=True):
            assert (one.began, one.duration_s) == (other.began, other.duration_s)
            assert (await live.get(one.uri)).status == 200
            assert other.uri == one.uri.replace("segment-", "captions-").replace("m4s", "vtt")
    assert 12 <= sum(one.duration_s for one in late.whole) < 14.5


async def test_who_comes_later_has_something_to_play_at_once(live: Live) -> None:
    live.play(recording(60.0))
    await asyncio.sleep(31)
    before_s = CLOCK.now_s()
    first = await view(live)
    assert CLOCK.now_s() == before_s
    assert sum(one.duration_s for one in first.whole) >= 3 * first.target_s
    await asyncio.sleep(5)
    then = await view(live)
    assert then.first_number == first.first_number
    assert then.last_number > first.last_number


async def test_at_the_beginning_of_a_stream_three_segments_are_waited_for(live: Live) -> None:
    live.play(recording(40.0))
    before_s = CLOCK.now_s()
    late = await view(live)
    assert DELAY_S + 6 <= CLOCK.now_s() - before_s < DELAY_S + 6.5
    assert len(late.whole) == 3


async def test_of_a_stream_that_pauses_at_its_beginning_nothing_comes(live: Live) -> None:
    await live.play(recording(5.0))
    assert await refusal(live, "late.m3u8") == "umbel.hls_late"


async def test_a_stream_without_captions_has_no_such_playlist(live: Live) -> None:
    live.play(recording(60.0))
    await asyncio.sleep(20)
    before_s = CLOCK.now_s()
    assert await refusal(live, "subtitled.m3u8") == "umbel.hls_no_captions"
    assert CLOCK.now_s() - before_s == pytest.approx(6)
    waiting = asyncio.create_task(live.stream.get("subtitled.m3u8", {}, folder="a%2Fb/"))
    await asyncio.sleep(1)
    assert not waiting.done()
    live.stream.put_captions(track())
    answer = await waiting
    assert answer.status == 200
    assert [uri for uri, _ in hls_player.variants(answer.body.decode())] == ["a%2Fb/late.m3u8"]
    (told,) = hls_player.subtitles(answer.body.decode()).values()
    assert (told["URI"], told["LANGUAGE"]) == ("a%2Fb/captions.m3u8", "en-US")
    await asyncio.sleep(31)
    assert await refusal(live, "subtitled.m3u8") == "umbel.hls_no_captions"


async def test_a_caption_has_the_time_of_its_picture(live: Live) -> None:
    live.play(recording(60.0))
    await asyncio.sleep(31)
    late = await view(live)
    one, other = late.whole[0], late.whole[1]
    began_s = one.began.timestamp()
    live.stream.put_captions(
        track((began_s + 0.5, began_s + 1), (began_s + 1.5, began_s + 2.5), (0, began_s))
    )
    names = [segment.uri for segment in (await view(live, "captions.m3u8")).whole]
    texts = [(await live.get(name)).body.decode() for name in names]
    assert ["Line 0" in text for text in texts] == [True, *([False] * (len(texts) - 1))]
    assert ["Line 1" in text for text in texts][:3] == [True, True, False]
    assert not any("Line 2" in text for text in texts)
    section = (await live.get(one.map_uri)).body
    for segment, text, line, after_s in ((one, texts[0], 0, 0.5), (other, texts[1], 1, -0.5)):
        shown_s = mp4.decode(section + (await live.get(segment.uri)).body).shown_s[0]
        mapped = re.search(r"MPEGTS:(\d+),LOCAL:00:00:(\d+\.\d+)", text)
        start = re.search(rf"00:00:(\d+\.\d+) --> \S+\nLine {line}", text)
        assert mapped and start
        at_s = int(mapped[1]) / 90_000 - float(mapped[2]) + float(start[1])
        assert at_s == pytest.approx(shown_s + after_s, abs=0.002)


async def test_an_encoder_that_comes_back_breaks_both_playlists_in_the_same_place(
    live: Live,
) -> None:
    playing = live.play(recording(21.0))
    await asyncio.sleep(10)
    known = runs(await live.view())
    first = min(known)
    await playing
    await asyncio.sleep(4)
    again = Camera(ssrc=900).video(camera.pictures(60.0)).audio(camera.sounds(60.0))
    live.play(again.timed())
    for _ in range(25):
        await asyncio.sleep(2)
        known |= runs(await live.view())
        late, said = runs(await view(live)), runs(await view(live, "captions.m3u8"))
        assert late == said == {number: known[number] for number in late}
    assert {known[first], known[min(late)]} == {0, max(known.values())}
    assert max(known.values()) > 0


def runs(of: PlaylistView) -> dict[int, int]:
    """The discontinuity sequence number of each whole segment, by its number."""
    found, run = {}, of.discontinuities_gone
    for number, one in enumerate(of.whole, start=of.first_number):
        run += one.discontinuity
        found[number] = run
    return found


async def test_more_is_kept_only_while_somebody_reads_late(live: Live) -> None:
    live.play(recording(150.0))
    await asyncio.sleep(40)
    before = live.stream.stored_bytes
    for _ in range(20):
        await asyncio.sleep(2)
        await view(live)
        live.stream.tick()
    # Twelve seconds of delay and six for late readers beside the twelve that are listed.
    assert 1.4 * before < live.stream.stored_bytes < 2.3 * before
    held = await view(live)
    assert (await live.get(held.whole[0].uri)).status == 200
    for _ in range(20):
        await asyncio.sleep(2)
        live.stream.tick()
    assert live.stream.stored_bytes < 1.1 * before


async def test_what_is_over_is_listed_to_its_end(live: Live) -> None:
    await live.play(recording(21.0))
    live.stream.close()
    late = await view(live)
    assert late.is_ended
    assert ended_ago_s(late.whole[-1]) < 1
    assert await refusal(live, "captions-1.vtt") == "umbel.hls_unknown"
