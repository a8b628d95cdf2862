"""The whole way of captions: somebody speaks into an encoder, PocketSphinx recognises it at the
acquirer, the control plane keeps it, and a real Chromium shows it."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from playwright.async_api import expect

from support.platform import platform
from support.speech import go_forward
from support.waiting import until
from umbel.demo import encoder, stage
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DECODED_S = 90.0
APPEARS_MS = 60_000


async def talk(folder: Path) -> Path:
    """A film of somebody who says the same words every few seconds."""
    sound, film = folder / "speech.raw", folder / "speech.mp4"
    sound.write_bytes(go_forward(silence_s=2.0))
    picture = "testsrc2=size=640x360:rate=25"
    command = [encoder.ffmpeg(), "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", picture]
    command += ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", str(sound), "-shortest"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", str(film)]
    making = await asyncio.create_subprocess_exec(*command)
    assert await making.wait() == 0
    return film


async def until_subtitled(player: httpx.AsyncClient, url: str) -> None:
    """As a player that is not ours: subtitles that the playlist names say it."""
    index = await player.get(url)
    assert index.status_code == 200, index.text
    (told,) = set(re.findall(r'TYPE=SUBTITLES.*URI="([^"]*/captions.m3u8)"', index.text))
    playlist = urljoin(url, told)

    async def said() -> str:
        names = re.findall(r"captions-\d+\.vtt", (await player.get(playlist)).text)
        pieces = [await player.get(urljoin(playlist, name)) for name in names]
        return " ".join(piece.text for piece in pieces)

    await until(said, lambda text: "forward" in text, within_s=30)


async def test_what_is_said_into_an_encoder_is_shown_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_CAPTIONS_ENGINE", "pocketsphinx")
    film = await talk(tmp_path)
    async with platform(tmp_path) as made, chromium() as browser:
        event = await made.event()
        policy = f"/api/v1/events/{event.id}/caption-policy"
        put = await made.api.put(policy, json={"language": "en-US"})
        assert put.status_code == 200, put.text
        command = encoder.push_command(event.ingest, event.stream_key, source=film)
        pusher = await made.run("encoder", command)
        await stage.until_live(made.api, event.id, pusher)

        async def texts() -> str:
            said = (await made.get(f"events/{event.id}/captions"))["captions"]
            return " ".join(one["text"] for one in said)

        await until(texts, lambda text: {"forward", "ten"} <= set(text.split()), within_s=90)
        for protocol in ("whep", "hls"):
            page = await browser.new_page()
            await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol={protocol}")
            await until_decoded(page, 30, timeout_s=DECODED_S)
            if protocol == "whep":
                # The choice is kept for the next page.
                await page.get_by_role("button", name="Show captions (c)").click()
            lines = page.get_by_test_id("captions")
            await expect(lines).to_contain_text("forward", timeout=APPEARS_MS)
            await page.close()
        assert (await made.api.get(policy)).json()["problem"] == ""
        session = await made.api.post(
            f"/api/v1/events/{event.id}/sessions", json={"access_node": "pe2"}
        )
        async with httpx.AsyncClient(follow_redirects=True, timeout=60) as player:
            await until_subtitled(player, session.json()["hls_subtitled"])
