"""A real encoder's packets to real players: nothing missing, in sync, and near to live."""

import asyncio
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import av
import httpx
import pytest

from support import hls_lab, hls_player, mp4
from support.clocks import SetClock
from support.hls_player import PlaylistView
from support.ingest_lab import children, end
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.media.hls.window import DELAY_S
from umbel.media.workers.pool import WorkerPool

pytestmark = pytest.mark.lab


def flashes_and_beeps(data: bytes) -> tuple[list[float], list[float]]:
    """When the picture turns white, and when the tone starts, in seconds."""
    flashes, beeps = [], []
    was_white, silent_since = True, -1.0
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode():
            assert frame.time is not None
            if isinstance(frame, av.VideoFrame):
                plane = bytes(frame.planes[0])
                is_white = plane[len(plane) // 2] > 128
                if is_white and not was_white:
                    flashes.append(frame.time)
                was_white = is_white
                continue
            assert isinstance(frame, av.AudioFrame)
            for at_s in _loud(frame):
                if at_s - silent_since > 0.5:
                    beeps.append(at_s)
                silent_since = at_s
    return flashes, beeps


def _loud(frame: av.AudioFrame) -> Iterator[float]:
    values = memoryview(bytes(frame.planes[0])).cast("f" if "flt" in frame.format.name else "h")
    loud = 0.1 if "flt" in frame.format.name else 3000
    step = 1 if frame.format.is_planar else 2
    for number in range(0, len(values), step * 24):
        if max(abs(value) for value in values[number : number + step * 24]) > loud:
            yield (frame.time or 0.0) + number / step / 48_000


async def follow(client: httpx.AsyncClient, until_parts: int) -> bytes:
    """Play like a low-latency player: the file of all parts."""
    view = await _load(client)
    section = (await client.get(view.segments[0].map_uri)).content
    taken: list[bytes] = []
    seen: set[str] = set()
    while len(taken) < until_parts:
        for segment in view.segments:
            for part in segment.parts:
                if part.uri in seen or not (taken or part.independent):
                    continue
                seen.add(part.uri)
                taken.append((await client.get(part.uri)).raise_for_status().content)
        hinted = client.get(view.hint)
        waited = {"_HLS_msn": view.last_number + 1, "_HLS_part": view.open_parts}
        later = await _load(client, **waited)
        hls_player.check_next(view, later)
        assert (await hinted).status_code == 200
        view = later
    return section + b"".join(taken)


async def _load(client: httpx.AsyncClient, **query: int) -> PlaylistView:
    answer = await client.get("media.m3u8", params=query)
    assert answer.status_code == 200, answer.text
    return hls_player.parse(answer.text)


async def test_a_low_latency_player_gets_every_frame_in_sync() -> None:
    async with hls_lab.page() as page, hls_lab.process(*hls_lab.publisher(page.receiver.port, 60)):
        base = page.url.rsplit("/", 1)[0] + "/"
        async with httpx.AsyncClient(base_url=base, timeout=20) as client:
            index = await page.playlist("index.m3u8")
            data = await follow(client, 30)
    assert re.search(r'CODECS="avc1\.[0-9a-f]{6},opus",RESOLUTION=320x180', index)
    got = mp4.decode(data)
    assert len(got.shown_s) == 300
    assert got.shown_s == sorted(set(got.shown_s))
    assert got.heard_s == sorted(set(got.heard_s))
    flashes, beeps = flashes_and_beeps(data)
    assert len(flashes) in (9, 10)
    apart_s = apart(flashes, beeps)
    assert max(map(abs, apart_s)) < 0.05, apart_s


async def test_ffmpeg_plays_it_as_plain_hls(tmp_path: Path) -> None:
    out = tmp_path / "recorded.mp4"
    async with hls_lab.page() as page, hls_lab.process(*hls_lab.publisher(page.receiver.port, 60)):
        player = (hls_lab.FFMPEG, "-nostdin", "-loglevel", "error", "-i", page.url)
        async with hls_lab.process(*player, "-t", "6", "-c", "copy", str(out)) as ffmpeg:
            _, said = await ffmpeg.communicate()
            assert ffmpeg.returncode == 0, said.decode()
    assert {path.rsplit("-")[0] for path in page.requests} >= {"/index.m3u8", "/media.m3u8"}
    got = mp4.decode(out.read_bytes())
    assert 175 <= len(got.shown_s) <= 185
    flashes, beeps = flashes_and_beeps(out.read_bytes())
    assert len(flashes) >= 5
    for flash in flashes:
        assert min(abs(beep - flash) for beep in beeps) < 0.05


def apart(flashes: list[float], beeps: list[float]) -> list[float]:
    """How much later than each flash its beep comes, in seconds."""
    return [min(beeps, key=lambda beep: abs(beep - flash)) - flash for flash in flashes]


def sounds_of(data: bytes) -> list[str]:
    with av.open(io.BytesIO(data)) as container:
        return [stream.codec_context.name for stream in container.streams.audio]


async def test_a_player_told_to_take_aac_gets_it_in_sync(tmp_path: Path) -> None:
    """ffmpeg reads the multivariant playlist, and takes the program that has AAC."""
    files, workers = [tmp_path / "opus.mp4", tmp_path / "aac.mp4"], WorkerPool(SystemClock())
    async with (
        hls_lab.page(workers) as page,
        hls_lab.process(*hls_lab.publisher(page.receiver.port, 90)),
    ):
        programs = hls_player.variants(await page.playlist("index.m3u8"))
        assert [name for name, _ in programs] == ["media.m3u8", "aac.m3u8"]
        player = (hls_lab.FFMPEG, "-nostdin", "-loglevel", "error", "-i", page.url)
        takes = [
            word
            for number, path in enumerate(files)
            for word in ("-map", f"0:p:{number}", "-t", "8", "-c", "copy", str(path))
        ]
        async with hls_lab.process(*player, *takes) as ffmpeg:
            _, said = await ffmpeg.communicate()
            assert ffmpeg.returncode == 0, said.decode()
        late = hls_player.parse_late(await page.playlist("aac-late.m3u8")).whole[-1]
        ended_s = late.began.timestamp() + late.duration_s
        assert DELAY_S <= SystemClock().now_s() - ended_s < DELAY_S + 4
    with_opus, data = (path.read_bytes() for path in files)
    assert (sounds_of(with_opus), sounds_of(data)) == (["opus"], ["aac"])
    got = mp4.decode(data)
    assert 235 <= len(got.shown_s) <= 245
    assert got.heard_s == sorted(set(got.heard_s))
    assert got.samples >= 7.5 * 48_000
    flashes, beeps = flashes_and_beeps(data)
    assert len(flashes) >= 6
    apart_s = apart(flashes, beeps)
    assert max(map(abs, apart_s)) < 0.05, apart_s
    # An encoder delays by a frame: that must not be heard.
    opus_s = apart(*flashes_and_beeps(with_opus))
    assert median(apart_s) == pytest.approx(median(opus_s), abs=0.01)


async def test_the_encoder_of_aac_ends_with_its_last_listener() -> None:
    clock = SetClock(1_700_000_000.0)
    async with (
        hls_lab.page(WorkerPool(clock)) as page,
        hls_lab.process(*hls_lab.publisher(page.receiver.port, 90)),
    ):
        await page.playlist("aac.m3u8")
        assert children(os.getpid())
        clock.at_s += 29.0
        page.stream.tick()
        assert (await page.stream.get("aac.m3u8", {})).status == 200
        clock.at_s += 29.0
        page.stream.tick()
        assert children(os.getpid())
        clock.at_s += 2.0
        page.stream.tick()
        await page.stream.until_closed()
        assert not children(os.getpid())
        # A late request starts another one.
        await page.playlist("aac.m3u8")


async def test_a_lost_encoder_of_aac_is_replaced_at_the_next_request() -> None:
    async with (
        hls_lab.page(WorkerPool(SystemClock())) as page,
        hls_lab.process(*hls_lab.publisher(page.receiver.port, 90)),
    ):
        before = hls_player.parse(await page.playlist("aac.m3u8"))
        [pid] = children(os.getpid())
        end(pid)
        await until(lambda: asyncio.sleep(0, children(os.getpid())), lambda pids: not pids)

        async def again() -> PlaylistView:
            return hls_player.parse(await page.playlist("aac.m3u8"))

        after = await until(again, lambda view: children(os.getpid()) != [], within_s=60)
        assert after.first_number > before.last_number


async def test_a_restarted_encoder_goes_on_after_a_discontinuity() -> None:
    async with hls_lab.page() as page:
        for _ in range(2):
            async with hls_lab.process(*hls_lab.publisher(page.receiver.port, 4.5)) as ffmpeg:
                await ffmpeg.wait()
        page.stream.close()
        answer = await page.stream.get("media.m3u8", {})
        view = hls_player.parse(answer.body.decode())
        assert [s.discontinuity for s in view.segments].count(True) == 1
        assert sum(s.duration_s for s in view.segments) == pytest.approx(9.0, abs=0.2)
        for segment in view.segments:
            section = await page.stream.get(segment.map_uri, {})
            body = await page.stream.get(segment.uri, {})
            shown = mp4.decode(section.body + body.body).shown_s
            assert len(shown) == round(segment.duration_s * 30)
