"""Following in a real Chromium: on a provider's page, and a notice when an event goes live."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.web_world import web_world
from umbel.catalogue.model import EventEvent
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000


async def sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill("viewer")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )


async def test_who_follows_sees_that_an_event_is_live(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{url}/providers/{here.city.id}")
        await expect(page.get_by_role("link", name="Sign in to follow")).to_be_visible(
            timeout=APPEARS_MS
        )
        await sign_in(page, url)
        await page.goto(f"{url}/providers/{here.city.id}")
        follow = page.get_by_role("button", name="Follow City")
        await follow.click(timeout=APPEARS_MS)
        await expect(follow).to_have_attribute("aria-pressed", "true")
        assert len(await here.system.catalogue.follows.every("viewer")) == 1
        for width, scheme in ((320, "dark"), (1280, "light")):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(page) == [], (width, scheme)

        event = await here.open_event()
        await here.system.catalogue.transition(event.id, EventEvent.START)
        notice = page.get_by_role("region", name="Reminders")
        await expect(notice).to_contain_text("Council by City is live now", timeout=70_000)
        assert await violations(page) == []
        await notice.get_by_role("button", name="Dismiss").click()
        await expect(notice.get_by_role("button", name="Dismiss")).to_have_count(0)

        await page.goto(f"{url}/account")
        panel = page.get_by_role("region", name="Providers you follow")
        await expect(panel.get_by_role("link", name="City")).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await panel.get_by_role("button", name="Stop following City").click()
        await expect(panel.get_by_text("None yet")).to_be_visible()
        assert await here.system.catalogue.follows.every("viewer") == []
