"""Captions over HLS in a player that is not ours: recognised speech, next to its picture."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support import hls_lab
from support.hls_lab import Page
from support.speech import go_forward
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.media.model import CaptionTrack, NumberedCue
from umbel.media.server.elements.captions import LiveCaptions
from umbel.media.server.elements.fan import Fan
from umbel.media.speech.model import Engine
from umbel.media.workers.pool import WorkerPool

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
CLOCK = SystemClock()
PLAYER = Path(__file__).parent.parent / "support" / "gst_hls.py"
SILENCE_S = 3.0


async def film(folder: Path) -> Path:
    """The picture is white for a moment; then somebody says something."""
    sound, made = folder / "speech.raw", folder / "speech.mkv"
    sound.write_bytes(go_forward(silence_s=SILENCE_S))
    picture = "color=black:size=320x180:rate=30,drawbox=color=white:t=fill:enable='lt(t,0.2)'"
    command = [hls_lab.FFMPEG, "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", picture]
    command += ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", str(sound), "-shortest"]
    async with hls_lab.process(
        *command, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", str(made)
    ) as making:
        assert await making.wait() == 0
    return made


async def relay(captions: LiveCaptions, page: Page) -> None:
    """What the control plane does."""
    said: tuple[NumberedCue, ...] = ()
    while True:
        batch = captions.read("en-US", "", 0, CLOCK.monotonic_s())
        if batch.cues != said:
            said = batch.cues
            page.stream.put_captions(CaptionTrack(language="en-US", cues=said))
        await asyncio.sleep(0.5)


async def test_a_player_shows_what_is_said_with_its_picture(tmp_path: Path) -> None:
    talk, workers, fan = await film(tmp_path), WorkerPool(CLOCK), Fan()
    captions = LiveCaptions("evt_1", fan, Engine(name="pocketsphinx"), workers)
    try:
        async with hls_lab.page() as page:
            page.receiver.attach(fan)
            port = page.receiver.port
            async with hls_lab.process(*hls_lab.film_publisher(port, 120, talk)):
                relaying = asyncio.create_task(relay(captions, page))
                try:
                    seen = await play(page)
                finally:
                    relaying.cancel()
    finally:
        await captions.close()
        await workers.close()
    assert seen["errors"] == []
    assert "forward" in " ".join(text for _, text in seen["captions"])
    flashes = seen["flashes"]
    after_s = [
        at_s - max(one for one in flashes if one <= at_s)
        for at_s, _ in seen["captions"]
        if at_s >= flashes[0]
    ]
    # As long after the white picture as in the film, see test_captions.py.
    assert after_s
    assert all(0.2 < one < 1.5 for one in after_s), seen


async def play(page: Page) -> dict[str, list[Any]]:
    """What GStreamer shows until it had three captions."""
    url = page.url.replace("index", "subtitled")
    # Both encoders start slowly on a busy machine.
    await until(
        lambda: page.stream.get("subtitled.m3u8", {}), lambda one: one.status == 200, within_s=60
    )
    command = (sys.executable, str(PLAYER), url, "3", "40")
    player = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await player.communicate()
    assert player.returncode == 0
    return dict(json.loads(said))
