"""A provider shares a screen from the studio in a real Chromium. Its fake devices include a screen:
a monitor in the words of the Screen Capture specification, with a picture of Chromium's own."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from support.platform import Platform, platform
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DECODED_S = 90.0
APPEARS_MS = 30_000
SHOWN = """() => {
    const stream = document.querySelector('.go-live video').srcObject;
    const settings = stream?.getVideoTracks()[0]?.getSettings();
    return {surface: settings?.displaySurface ?? '', sounds: stream?.getAudioTracks().length ?? 0};
}"""
STOPPED_BY_THE_BROWSER = """() => {
    const [track] = document.querySelector('.go-live video').srcObject.getVideoTracks();
    track.stop();
    track.dispatchEvent(new Event('ended'));
}"""
"""What the browser's own "Stop sharing" does: the track ends, and says so."""


async def on_air(made: Platform, page: Page) -> str:
    """The provider shares a screen to a new event; the event's id."""
    provider = next(a for a in made.accounts if a.role is UserRole.PROVIDER)
    await page.goto(f"{made.url}/studio")
    await page.get_by_label("Name").fill(provider.username)
    await page.get_by_label("Password").fill(provider.password)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await page.get_by_label("Title").fill("Slides")
    await page.get_by_role("button", name="Create event").click()
    await expect(page.get_by_role("heading", name="Slides")).to_be_visible(timeout=APPEARS_MS)
    await page.get_by_role("button", name="Share screen").click()
    shown: dict[str, Any] = await until(
        partial(page.evaluate, SHOWN), lambda one: bool(one["surface"])
    )
    assert shown == {"surface": "monitor", "sounds": 1}
    await page.get_by_role("button", name="Go live").click()
    await expect(page.get_by_test_id("on-air")).to_contain_text("On air", timeout=APPEARS_MS)
    return page.url.rsplit("/", 1)[1]


async def test_a_shared_screen_reaches_a_viewer_until_sharing_stops(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        page = await browser.new_page()
        event = await on_air(made, page)
        viewer = await browser.new_page()
        await viewer.goto(f"{made.url}/watch/{event}?node=pe2&protocol=whep")
        await until_decoded(viewer, 30, timeout_s=DECODED_S)
        await page.evaluate(STOPPED_BY_THE_BROWSER)
        await expect(page.get_by_test_id("on-air")).to_have_text("Not on air", timeout=APPEARS_MS)
        await expect(page.get_by_role("button", name="Share screen")).to_be_visible()
        assert await page.evaluate(SHOWN) == {"surface": "", "sounds": 0}
