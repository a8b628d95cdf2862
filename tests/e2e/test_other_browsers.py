"""The watch page in browsers other than Chromium."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import firefox, webkit
from support.platform import platform
from support.waiting import until
from support.webkit import WebKitPage
from support.webrtc_lab import own_address
from umbel.network.topology import files

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

OWN_ADDRESS = own_address()
REPORT = """(({state, protocol, framesDecoded, sessionsOpened, trouble}) =>
    ({state, protocol, framesDecoded, sessionsOpened, trouble}))(window.umbelPlayer ?? {})"""


HEIGHT = "document.querySelector('video').videoHeight"
CHOOSE = """(label => {{ label?.click(); return label !== undefined; }})(
    [...document.querySelectorAll('.segments label')].find(one => one.textContent === '{label}')
)"""


def plays(now: dict[str, Any]) -> bool:
    """Whether a player that reports this shows pictures."""
    return bool(now.get("state") == "playing" and now["framesDecoded"] >= 30)


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

        seen = await until(report, plays, within_s=90)
        assert (seen["protocol"], seen["sessionsOpened"]) == ("hls", 1)


def reachable_network(folder: Path) -> Path:
    """The built-in network with pe2 at an address of the machine: Firefox's ICE takes no loopback
    one. What is sent to it does not leave the machine."""
    document: Any = files.builtin()
    next(node for node in document["nodes"] if node["name"] == "pe2")["address"] = OWN_ADDRESS
    path = folder / "network.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.skipif(firefox.ABSENT != "", reason=firefox.ABSENT)
@pytest.mark.skipif(OWN_ADDRESS == "", reason="the machine has no route, and so no address")
async def test_firefox_without_h264_in_webrtc_plays_vp8_where_the_event_has_it(
    tmp_path: Path,
) -> None:
    options = ("--network", str(reachable_network(tmp_path)))
    async with platform(tmp_path, options) as made, firefox.firefox(tmp_path) as page:
        event, _ = await made.live()
        await made.change(event, vp8=True)

        async def qualities() -> list[str]:
            return (await made.get(f"events/{event.id}"))["stream"]["qualities"]

        await until(qualities, lambda offered: "vp8" in offered, within_s=60)
        await page.open(f"{made.url}/watch/{event.id}?node=pe2")

        async def report() -> dict[str, Any]:
            return await page.evaluate(REPORT)

        seen = await until(report, plays, within_s=90)
        assert (seen["protocol"], seen["sessionsOpened"]) == ("whep", 1)
        assert await page.evaluate("window.umbelPlayer.quality") == "vp8"
        assert await page.evaluate("window.umbelPlayer.details.codec") == "VP8"
        await until(lambda: page.evaluate(HEIGHT), lambda px: px == 720, within_s=90)
        # A smaller picture is H.264, and so HLS; the source's is VP8 again.
        for label, protocol, height in (("360p", "hls", 360), ("Source (720p)", "whep", 720)):
            assert await page.evaluate(CHOOSE.format(label=label)) is True

            async def is_there(protocol: str = protocol, height: int = height) -> bool:
                now = await report()
                is_shown = await page.evaluate(HEIGHT) == height
                return is_shown and plays(now) and now["protocol"] == protocol

            await until(is_there, within_s=90)


@pytest.mark.timeout(480)
@pytest.mark.skipif(webkit.ABSENT != "", reason=webkit.ABSENT)
async def test_webkit_goes_on_playing_hls(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        url = f"{made.url}/watch/{event.id}?node=pe2"
        seen, tracks = await webkit.in_webkit(partial(played_on, url=url))
        assert seen["protocol"] == "hls"
        assert tracks == 1


async def played_on(page: WebKitPage, *, url: str) -> tuple[dict[str, Any], int]:
    """What the player reports once it played ten seconds, and how many sounds there are."""
    await page.open(url)

    async def played_s() -> float:
        return float(await page.evaluate(PLAYED_S))

    # It starts behind the live edge, where a player hurries to catch up.
    await until(played_s, lambda played: played >= 10, within_s=150)
    tracks = await page.evaluate("document.querySelector('video').audioTracks.length")
    return await until(lambda: page.evaluate(REPORT), plays, within_s=60), tracks
