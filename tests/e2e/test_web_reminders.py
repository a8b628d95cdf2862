"""Reminders in a real Chromium: shown on any page, in every tab, and dismissed once."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.web_world import web_world
from umbel.catalogue.reservations.model import Purpose
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


async def test_a_viewer_is_reminded_once_in_all_tabs(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        now_s = here.system.clock.now_s()
        for title, minutes in (("Council", 5), ("Choir", 300)):
            starts_s = now_s + 60 * minutes
            made = await here.event(title=title, starts_s=starts_s, ends_s=starts_s + 60)
            await here.system.catalogue.reservations.reserve("viewer", made.id, Purpose.WATCH)
        page = await browser.new_page()
        await sign_in(page, url)
        other = await browser.new_page()
        await other.goto(url)
        for tab in (page, other):
            reminders = tab.get_by_role("region", name="Reminders")
            await expect(reminders).to_contain_text("Council begins at", timeout=APPEARS_MS)
            await expect(reminders).not_to_contain_text("Choir")
        await page.set_viewport_size({"width": 320, "height": 700})
        assert await violations(page) == []
        await page.get_by_role("button", name="Dismiss").click()
        for tab in (page, other):
            await expect(tab.get_by_role("button", name="Dismiss")).to_have_count(0)
        await page.reload()
        await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
            timeout=APPEARS_MS
        )
        assert await page.get_by_role("button", name="Dismiss").count() == 0
