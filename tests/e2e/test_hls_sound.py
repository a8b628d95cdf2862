"""Which sound players take by HLS: Opus where they know it, AAC where they know nothing else."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Request

from support import webkit
from support.platform import platform
from support.waiting import until
from support.webkit import WebKitPage
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

DECODED_S = 90.0
WITHOUT_OPUS = """(() => {
  const known = MediaSource.isTypeSupported.bind(MediaSource);
  MediaSource.isTypeSupported = (type) => !/opus/i.test(type) && known(type);
})()"""
HEARD = "document.querySelector('video')?.webkitAudioDecodedByteCount ?? 0"


@pytest.mark.parametrize("knows_opus", [True, False], ids=["opus", "aac only"])
async def test_chromium_takes_opus_and_aac_where_it_has_no_opus(
    tmp_path: Path, knows_opus: bool
) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        asked: set[str] = set()

        def note(request: Request) -> None:
            asked.add(request.url.rsplit("/", 1)[1].partition("?")[0])

        browser.on("request", note)
        if not knows_opus:
            await browser.add_init_script(WITHOUT_OPUS)
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol=hls")
        seen = await until_decoded(page, 90, timeout_s=DECODED_S)
        assert seen["protocol"] == "hls"
        assert await page.evaluate("umbelPlayer.sessionsOpened") == 1
        await page.wait_for_function(f"() => ({HEARD}) > 20_000", timeout=DECODED_S * 1000)
        assert {"media.m3u8", "aac.m3u8"} & asked == {"media.m3u8" if knows_opus else "aac.m3u8"}
        assert any(name.startswith("aac-") for name in asked) == (not knows_opus)


@pytest.mark.timeout(480)
@pytest.mark.skipif(webkit.ABSENT != "", reason=webkit.ABSENT)
async def test_webkit_without_opus_plays_aac(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        seen = await webkit.in_webkit(partial(played, url=made.url, event_id=event.id))
        assert seen["tracks"] == 1
        assert any("/aac-part-" in name for name in seen["names"])
        assert not any("/part-" in name for name in seen["names"])


async def played(page: WebKitPage, *, url: str, event_id: str) -> dict[str, Any]:
    """What was loaded once it plays, for a browser that says it knows no Opus."""
    await page.open(url)
    await page.evaluate(WITHOUT_OPUS)
    link = f"""document.querySelector('a[href="/watch/{event_id}"]')"""

    async def listed() -> bool:
        return bool(await page.evaluate(f"{link} !== null"))

    await until(listed, within_s=DECODED_S)
    await page.evaluate(f"{link}.click()")

    async def report() -> dict[str, Any]:
        found: dict[str, Any] = await page.evaluate(
            "{frames: window.umbelPlayer?.framesDecoded ?? 0,"
            " tracks: document.querySelector('video')?.audioTracks?.length ?? 0,"
            " names: performance.getEntriesByType('resource').map(one => one.name)}"
        )
        return found

    return await until(report, lambda now: now["frames"] >= 60 and now["tracks"] > 0, within_s=150)
