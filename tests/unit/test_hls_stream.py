"""HlsStream answers requests: at once, when it is there, or with a reason; in virtual time."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction

import pytest

from support import camera, hls_player, mp4
from support.camera import Camera
from support.hls_live import Live, recording
from umbel.kit.clock import LoopClock
from umbel.media.io.hls_stream import HlsResponse, HlsStream

pytestmark = pytest.mark.looptime


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    made = Live()
    yield made
    await made.stop()


def now_s() -> float:
    return asyncio.get_running_loop().time()


def code(answer: HlsResponse) -> tuple[int, str]:
    assert answer.content_type == "application/json"
    assert answer.cache_control == "no-store"
    told = json.loads(answer.body)
    assert set(told) == {"code", "message", "details"}
    return answer.status, told["code"]


async def test_the_first_request_is_answered_when_a_segment_is_whole(live: Live) -> None:
    live.play(recording())
    before_s = now_s()
    answer = await live.stream.get("index.m3u8", {}, folder="a%2Fb/", accepts_gzip=True)
    assert (answer.status, answer.varies, answer.is_gzip) == (200, False, False)
    assert answer.body.decode().splitlines()[-1] == "a%2Fb/media.m3u8"
    assert 1.9 < now_s() - before_s < 2.2


async def test_a_later_request_is_answered_at_once(live: Live) -> None:
    live.play(recording())
    await asyncio.sleep(5)
    before_s = now_s()
    view = await live.view()
    assert now_s() == before_s
    assert len(view.whole) == 2


async def test_a_reload_waits_for_the_part_it_names(live: Live) -> None:
    live.play(recording())
    view = await live.view()
    for _ in range(9):
        number, part = view.last_number + 1, view.open_parts
        before_s = now_s()
        after = await live.view(_HLS_msn=number, _HLS_part=part)
        assert now_s() - before_s < 0.4
        assert (after.last_number + 1, after.open_parts) > (number, part)
        hls_player.check_next(view, after)
        view = after


async def test_a_reload_waits_for_the_segment_it_names(live: Live) -> None:
    live.play(recording())
    view = await live.view()
    after = await live.view(_HLS_msn=view.last_number + 1)
    assert after.last_number == view.last_number + 1
    assert await live.view(_HLS_msn=1) == after


@pytest.mark.parametrize(
    "query",
    [
        {"_HLS_msn": 10**9 * 9},
        {"_HLS_part": 1},
        {"_HLS_msn": "x"},
        {"_HLS_msn": "-1"},
        {"_HLS_msn": "1" * 40},
        {"_HLS_msn": 5, "_HLS_part": ""},
    ],
)
async def test_what_makes_no_sense_is_refused(live: Live, query: dict[str, object]) -> None:
    live.play(recording())
    await live.view()
    before_s = now_s()
    assert code(await live.get("media.m3u8", **query)) == (400, "umbel.hls_too_far")
    assert now_s() == before_s


async def test_two_segments_ahead_are_too_far(live: Live) -> None:
    live.play(recording())
    view = await live.view()
    answer = await live.get("media.m3u8", _HLS_msn=view.last_number + 3)
    assert code(answer) == (400, "umbel.hls_too_far")


async def test_a_hinted_part_is_waited_for(live: Live) -> None:
    live.play(recording())
    view = await live.view()
    hinted = await live.get(view.hint)
    assert hinted.status == 200
    assert hinted.content_type == "video/mp4"
    assert mp4.runs(hinted.body)
    after = await live.view()
    assert view.hint in {part.uri for segment in after.segments for part in segment.parts}
    assert (await live.get(view.hint)).body == hinted.body


@pytest.mark.parametrize("path", ["part-99999999999.m4s", "segment-1.m4s", "init-1.mp4", "../etc"])
async def test_what_it_does_not_have(live: Live, path: str) -> None:
    live.play(recording())
    await live.view()
    assert code(await live.get(path)) == (404, "umbel.hls_unknown")


async def test_without_a_publisher_a_request_ends_after_three_targets(live: Live) -> None:
    before_s = now_s()
    assert code(await live.get("index.m3u8")) == (503, "umbel.hls_late")
    assert now_s() - before_s == pytest.approx(6)


async def test_when_the_publisher_stops_a_wait_ends_after_three_targets(live: Live) -> None:
    await live.play(recording(5.0))
    view = await live.view()
    before_s = now_s()
    assert code(await live.get(view.hint)) == (503, "umbel.hls_late")
    assert now_s() - before_s == pytest.approx(3 * view.target_s)


async def test_closing_ends_the_playlist_and_every_wait(live: Live) -> None:
    await live.play(recording(5.0))
    view = await live.view()
    waiting = asyncio.create_task(live.view(_HLS_msn=view.last_number + 2))
    await asyncio.sleep(0.1)
    live.stream.close()
    ended = await waiting
    assert ended.is_ended
    assert sum(segment.duration_s for segment in ended.whole) == pytest.approx(5.0, abs=0.01)
    # A player may still fetch what the playlist names, and packets do not revive it.
    live.stream.packets([data for _, data in recording(1.0)], now_s())
    assert await live.view() == ended
    for segment in ended.whole:
        assert (await live.get(segment.uri)).status == 200
    live.stream.close()


async def test_closing_ends_the_wait_for_a_part_that_never_comes(live: Live) -> None:
    await live.play(recording(5.0))
    # A new sender whose keyframe cannot be used: the old one's last part is out, none follows.
    unusable = camera.Picture((b"\x67\x42", b"\x68\x01", b"\x65\x01"), Fraction(0), True)
    live.stream.packets([data for _, data in Camera(ssrc=77).video([unusable]).timed()], now_s())
    view = await live.view()
    waiting = asyncio.create_task(live.get(view.hint))
    await asyncio.sleep(0.1)
    before_s = now_s()
    live.stream.close()
    assert code(await waiting) == (404, "umbel.hls_unknown")
    assert now_s() == before_s


async def test_what_a_player_was_told_stays_true(live: Live) -> None:
    """Keyframes that come rarer than before do not change TARGETDURATION."""
    sparse = Camera().video(camera.pictures(6.0, gop=60))
    shown = camera.pictures(10.0, gop=240)
    live.play(sparse.video(shown, 6.0).timed())
    first = await live.view()
    assert first.target_s == 2
    await asyncio.sleep(13)
    hls_player.check_next(first, await live.view())


async def test_closing_what_never_began(live: Live) -> None:
    live.stream.close()
    assert code(await live.get("index.m3u8")) == (404, "umbel.hls_unknown")


async def test_many_viewers_are_woken_together_with_one_text(live: Live) -> None:
    live.play(recording())
    view = await live.view()
    wanted = {"_HLS_msn": str(view.last_number + 1)}
    answers = await asyncio.gather(
        *(live.stream.get("media.m3u8", wanted, accepts_gzip=bool(n % 2)) for n in range(50))
    )
    assert [answer.is_gzip for answer in answers] == [False, True] * 25
    assert all(answer.varies for answer in answers)
    plain, *others = {answer.body for answer in answers if not answer.is_gzip}
    coded, *more = {answer.body for answer in answers if answer.is_gzip}
    assert not others + more
    assert gzip.decompress(coded) == plain
    assert len(coded) < 0.4 * len(plain)


async def test_each_version_is_compressed_again(live: Live) -> None:
    live.play(recording())
    view = await live.view()
    for part in range(3):
        query = {"_HLS_msn": str(view.last_number + 1), "_HLS_part": str(part)}
        coded = await live.stream.get("media.m3u8", query, accepts_gzip=True)
        assert hls_player.parse(gzip.decompress(coded.body).decode()).open_parts == part + 1


def _stored(timed: list[tuple[float, bytes]]) -> Iterator[int]:
    stream = HlsStream(LoopClock())
    for at_s, data in timed:
        stream.packets([data], 1000 + at_s)
        yield stream.stored_bytes


async def test_memory_is_bounded() -> None:
    timed, size = recording(60.0), 0
    seconds = {}
    for (at_s, data), stored in zip(timed, _stored(timed), strict=True):
        size += len(data)
        seconds[int(at_s)] = stored
    # Six segments listed, three for late readers, one open, and the containers' own bytes.
    assert max(seconds.values()) < size * 24 / 60
    assert seconds[55] < 1.2 * seconds[30]


async def test_aac_is_neither_listed_nor_there_where_nothing_can_encode_it(live: Live) -> None:
    live.play(recording())
    index = await live.get("index.m3u8")
    assert b"aac" not in index.body
    assert code(await live.get("aac.m3u8")) == (404, "umbel.hls_unknown")
    assert code(await live.get("aac-part-1.m4s")) == (404, "umbel.hls_unknown")
