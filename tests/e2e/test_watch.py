"""A real Chromium on the real watch page, over the real platform: what a viewer sees."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.platform import Platform, platform
from support.waiting import until
from umbel.demo.browser import chromium, report, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

DECODED_S = 90.0


def watch_url(made: Platform, event: str, node: str, protocol: str) -> str:
    return f"{made.url}/watch/{event}?node={node}&protocol={protocol}"


async def goes_on(page: Page, *, frames: int, within_s: float = 60.0) -> None:
    """Wait until so many more frames were decoded than now."""
    now = (await report(page))["framesDecoded"]
    await until_decoded(page, now + frames, timeout_s=within_s)


@pytest.mark.parametrize("protocol", ["rtmp", "srt", "whip"])
async def test_whatever_is_pushed_is_watched_by_webrtc_and_by_hls(
    tmp_path: Path, protocol: str
) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live(protocol)
        for node, way in (("pe2", "whep"), ("pe4", "hls")):
            page = await browser.new_page()
            await page.goto(watch_url(made, event.id, node, way))
            seen = await until_decoded(page, 60, timeout_s=DECODED_S)
            assert (seen["protocol"], seen["edge"]) == (way, node)
            await expect(page.get_by_role("status").first).to_be_visible()
            await page.close()
        stream = (await made.get(f"events/{event.id}"))["stream"]
        assert stream["protocol"] == protocol
        assert stream["video"] == "H.264"


async def test_the_page_comes_back_on_its_own_after_its_edge_was_killed(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        await page.goto(watch_url(made, event.id, "pe2", "whep"))
        await until_decoded(page, 30, timeout_s=DECODED_S)
        before = made.records()["edge-pe2-1"]["pid"]
        made.kill("edge-pe2-1")

        async def replaced() -> bool:
            return made.records().get("edge-pe2-1", {}).get("pid") not in {None, before}

        await until(replaced, within_s=60)
        await goes_on(page, frames=90)
        assert (await report(page))["edge"] == "pe2"


async def test_a_killed_control_plane_costs_a_viewer_nothing(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        await page.goto(watch_url(made, event.id, "pe2", "whep"))
        await until_decoded(page, 30, timeout_s=DECODED_S)
        pids = {name: record["pid"] for name, record in made.records().items()}
        await made.kill_control_plane()
        await goes_on(page, frames=60)
        await made.restart()
        await goes_on(page, frames=60)
        lost = await page.evaluate("window.umbelPlayer.sessionsOpened")
        assert lost == 1
        assert {name: record["pid"] for name, record in made.records().items()} == pids

        async def functions() -> set[str]:
            return {one["id"] for one in await made.get("functions")}

        await until(functions, lambda found: found == set(pids), within_s=30)


async def test_a_viewer_waits_for_the_encoder_and_sees_why(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, pusher = await made.live()
        page = await browser.new_page()
        await page.goto(watch_url(made, event.id, "pe2", "whep"))
        await until_decoded(page, 30, timeout_s=DECODED_S)
        await pusher.stop()
        waiting = page.get_by_text("Waiting for the encoder")
        await expect(waiting.first).to_be_visible(timeout=60_000)
        await made.push(event)
        await goes_on(page, frames=60)
        await expect(waiting.first).to_be_hidden(timeout=30_000)
