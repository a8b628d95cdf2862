"""Real encoders over real media servers into a recorder: what is pulled plays, at its length."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from support import mp4
from support.media_server import Ground, MediaProcess, ffmpeg, ground, key_hash
from support.waiting import until
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.drivers.recorder_client import RecorderClient
from umbel.media.model import PulledSegment, StreamRole, StreamSpec, StreamState, Target

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
KEY = "ev1.correct-horse"
TOKEN = "r" * 43
PICTURES = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
SOUND = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"]
H264 += ["-pix_fmt", "yuv420p"]
SPEC = StreamSpec(stream="ev1", role=StreamRole.RECORDER, record_token=TOKEN)


@dataclass
class Studio:
    """An acquirer that feeds a recorder, and all that was pulled from it so far."""

    ground: Ground
    plane: JsonRpcMedia
    acquirer: MediaProcess
    recorder: MediaProcess
    client: RecorderClient = field(default_factory=RecorderClient)
    segments: list[PulledSegment] = field(default_factory=list)
    maps: dict[int, bytes] = field(default_factory=dict)
    boot: str = ""

    @property
    def url(self) -> str:
        return f"{self.recorder.http}/record/ev1/segments"

    async def open(self) -> None:
        state = await self.plane.ensure(self.recorder.server, SPEC)
        assert dict(state.urls)["record"] == self.url
        hop = Target(address=self.recorder.server.address, port=state.port)
        hashes = (key_hash(KEY),)
        root = StreamSpec(stream="ev1", role=StreamRole.ACQUIRER, hops=(hop,), key_hashes=hashes)
        await self.plane.ensure(self.acquirer.server, root)

    async def push(self, seconds: float, *, video: bool = True, audio: bool = True) -> None:
        """An encoder from its start to its end."""
        port = self.acquirer.ports["rtmp"]
        url = f"rtmp://{self.acquirer.server.address}:{port}/live/{KEY}"
        command = [ffmpeg(), "-hide_banner", "-loglevel", "warning"]
        command += PICTURES if video else []
        command += SOUND if audio else []
        command += H264 if video else []
        command += ["-c:a", "aac", "-t", str(seconds), "-f", "flv", url]
        encoder = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.ground.encoders.append(encoder)
        await until(lambda: asyncio.sleep(0, encoder.poll()), lambda code: code == 0, within_s=60)
        await until(self.state, lambda state: not state.flowing, within_s=30)

    async def state(self) -> StreamState:
        return (await self.plane.observe(self.recorder.server))["ev1"]

    async def pull(self) -> bool:
        """The next segments; answers whether there were the last."""
        after = self.segments[-1].number if self.segments else -1
        pulled = await self.client.pull(self.url, TOKEN, after, self.boot)
        assert self.boot in {"", pulled.boot}
        assert pulled.dropped == 0
        self.boot = pulled.boot
        self.segments += pulled.segments
        self.maps |= pulled.maps
        return pulled.ended

    async def finish(self) -> None:
        """The stream is over: the rest of it."""
        await self.plane.ensure(
            self.recorder.server,
            replace(SPEC, is_over=True),
        )
        while not await self.pull():
            pass

    @property
    def length_s(self) -> float:
        return sum(one.duration_s for one in self.segments)

    def files(self) -> list[bytes]:
        """A file for every stretch without a discontinuity."""
        out: list[bytes] = []
        for one in self.segments:
            if one.discontinuity or not out:
                out.append(self.maps[one.map_number])
            out[-1] += one.body
        return out


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as opened:
        yield opened


@pytest.fixture
async def studio(made: Ground) -> AsyncIterator[Studio]:
    plane = JsonRpcMedia()
    acquirer = made.start("acq-pe1-1", "acquirer", "127.0.9.21")
    recorder = made.start("rec-pe1-1", "recorder", "127.0.9.22")
    studio = Studio(ground=made, plane=plane, acquirer=acquirer, recorder=recorder)
    await studio.open()
    yield studio
    await studio.client.close()
    await plane.close()


async def played_s(file: Path) -> float:
    """How long ffmpeg plays it; what it cannot decode fails."""
    command = [ffmpeg(), "-hide_banner", "-xerror", "-i", str(file), "-f", "null", "-"]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    hours, minutes, seconds = re.findall(rb"time=(\d+):(\d+):([\d.]+)", said)[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


async def test_six_seconds_are_recorded(studio: Studio, tmp_path: Path) -> None:
    await studio.push(6)
    await studio.finish()
    assert studio.length_s == pytest.approx(6.0, abs=0.15)
    (recorded,) = studio.files()
    (file := tmp_path / "recorded.mp4").write_bytes(recorded)
    assert await played_s(file) == pytest.approx(6.0, abs=0.15)
    decoded = mp4.decode(recorded)
    assert decoded.sizes == {(320, 240)}
    assert len(decoded.shown_s) == pytest.approx(150, abs=3)
    # The acquirer's first reports may move the sound once, while its clock settles.
    assert decoded.samples / 48_000 == pytest.approx(6.0, abs=0.7)
    assert sum(one.keyframes for one in studio.segments) == 6


async def test_another_encoder_goes_on_after_a_discontinuity(studio: Studio) -> None:
    await studio.push(4)
    await studio.push(3)
    await studio.finish()
    assert [one.discontinuity for one in studio.segments].count(True) == 1
    assert studio.length_s == pytest.approx(7.0, abs=0.3)
    lengths_s = [len(mp4.decode(file).shown_s) / 25 for file in studio.files()]
    assert lengths_s == pytest.approx([4.0, 3.0], abs=0.15)
    numbers = [one.number for one in studio.segments]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("video", [True, False])
async def test_one_medium_is_recorded(studio: Studio, tmp_path: Path, *, video: bool) -> None:
    await studio.push(6, video=video, audio=not video)
    await studio.finish()
    assert studio.length_s == pytest.approx(6.0, abs=0.15)
    (recorded,) = studio.files()
    (file := tmp_path / "recorded.mp4").write_bytes(recorded)
    assert await played_s(file) == pytest.approx(studio.length_s, abs=0.15)
    decoded = mp4.decode(recorded)
    assert bool(decoded.shown_s) == video
    assert bool(decoded.samples) == (not video)


async def test_what_is_pulled_while_it_is_live_is_the_same(studio: Studio) -> None:
    pushed = asyncio.create_task(studio.push(6))
    while not pushed.done():
        await studio.pull()
    await pushed
    await studio.finish()
    assert studio.length_s == pytest.approx(6.0, abs=0.15)
    assert len(studio.files()) == 1


async def test_bad_requests_are_refused(studio: Studio) -> None:
    good = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(trust_env=False, timeout=15) as http:
        for query in ("after=x", "after=-2", "after=1.5", f"after={'9' * 40}", "boot=" + "b" * 99):
            refused = await http.get(f"{studio.url}?{query}", headers=good)
            assert (refused.status_code, refused.json()["code"]) == (
                400,
                "umbel.record_pull_invalid",
            )
        for headers in ({}, {"Authorization": "Basic x"}, {"Authorization": f"Bearer {'s' * 43}"}):
            refused = await http.get(studio.url, headers=headers)
            assert refused.status_code == 401, headers
        odd = await http.get(studio.url, headers=[(b"Authorization", b"Bearer \xe9\xff")])
        assert odd.status_code == 401
        by_query = await http.get(f"{studio.url}?token={TOKEN}")
        assert by_query.status_code == 401
        elsewhere = await http.get(studio.url.replace("ev1", "ev9"), headers=good)
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "umbel.stream_unknown")
        assert (await http.post(studio.url, headers=good)).status_code == 405
    assert TOKEN not in studio.recorder.log.read_text()
