"""The watch page in browsers other than Chromium."""

from pathlib import Path
from typing import Any

import pytest

from support import firefox, webkit
from support.platform import platform
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

REPORT = """(({state, protocol, framesDecoded, sessionsOpened, trouble}) =>
    ({state, protocol, framesDecoded, sessionsOpened, trouble}))(window.umbelPlayer ?? {})"""


PLAYED_S = """(played =>
    Array.from({length: played.length}, (_, i) => played.end(i) - played.start(i))
        .reduce((sum, seconds) => sum + seconds, 0)
)(document.querySelector('video')?.played ?? [])"""
"""Seconds of the present source that were played, without what was skipped."""


@pytest.mark.skipif(firefox.ABSENT != "", reason=firefox.ABSENT)
@pytest.mark.parametrize("listed", [True, False], ids=["codecs listed", "codecs not listed"])
async def test_firefox_without_h264_in_webrtc_plays_hls(tmp_path: Path, listed: bool) -> None:
    async with platform(tmp_path) as made, firefox.firefox(tmp_path) as page:
        event, _ = await made.live()
        assert "video/H264" not in await page.evaluate(
            "RTCRtpReceiver.getCapabilities('video').codecs.map(codec => codec.mimeType)"
        )
        if not listed:
            await page.before_scripts("() => { delete RTCRtpReceiver.getCapabilities; }")
        await page.open(f"{made.url}/watch/{event.id}?node=pe2")

        async def report() -> dict[str, Any]:
            return await page.evaluate(REPORT)

        seen = await until(report, lambda now: now.get("framesDecoded", 0) >= 60, within_s=90)
        assert (seen["state"], seen["protocol"], seen["sessionsOpened"]) == ("playing", "hls", 1)


@pytest.mark.skipif(webkit.ABSENT != "", reason=webkit.ABSENT)
async def test_webkit_goes_on_playing_hls(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, webkit.webkit() as page:
        event, _ = await made.live()
        await page.open(f"{made.url}/watch/{event.id}?node=pe2")

        async def played_s() -> float:
            return float(await page.evaluate(PLAYED_S))

        # It starts behind the live edge, where a player hurries to catch up.
        await until(played_s, lambda played: played >= 10, within_s=150)
        seen = await page.evaluate(REPORT)
        assert (seen["state"], seen["protocol"]) == ("playing", "hls")
