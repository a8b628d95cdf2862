"""Reminders in a real Chromium: shown on any page, in every tab, and dismissed once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.web_world import web_world
from umbel.catalogue.choices.model import Channel
from umbel.catalogue.reservations.model import Purpose
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


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
        # Reserved some seconds before the last lead time comes.
        for title, seconds in (("Council", 310), ("Choir", 180_000)):
            starts_s = now_s + seconds
            made = await here.event(title=title, starts_s=starts_s, ends_s=starts_s + 60)
            await here.system.catalogue.reservations.reserve("viewer", made.id, Purpose.WATCH)
        page = await browser.new_page()
        await sign_in(page, url)
        other = await browser.new_page()
        await other.goto(url)
        for tab in (page, other):
            reminders = tab.get_by_role("region", name="Reminders")
            await expect(reminders).to_contain_text("Council begins at", timeout=60_000)
            await expect(reminders).not_to_contain_text("Choir")
        await page.set_viewport_size({"width": 320, "height": 700})
        assert await violations(page) == []
        await page.get_by_role("button", name="Dismiss").click()
        for tab in (page, other):
            await expect(tab.get_by_role("button", name="Dismiss")).to_have_count(0)
        async with page.expect_response("**/api/v1/me/reservations"):
            await page.reload()
        await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
            timeout=APPEARS_MS
        )
        await page.evaluate(DRAWN)
        await expect(page.get_by_role("button", name="Dismiss")).to_have_count(0)


async def test_a_viewer_chooses_when_and_how(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        catalogue = here.system.catalogue
        # A whole second long: however late it is, the calendar has it on one day.
        starts_s = float(int(here.system.clock.now_s()) + 3 * 3_600 + 30)
        made = await here.event(title="Council", starts_s=starts_s, ends_s=starts_s + 1)
        await catalogue.reservations.reserve("viewer", made.id, Purpose.WATCH)
        page = await browser.new_page()
        await sign_in(page, url)
        panel = page.get_by_role("region", name="When you are reminded")
        await expect(panel.get_by_role("button", name="1 hour")).to_be_visible(timeout=APPEARS_MS)
        for lead in ("1 day", "1 hour", "5 minutes"):
            await panel.get_by_role("button", name=lead).click()
        await panel.get_by_label("How many").fill("3")
        await panel.get_by_label("Unit").select_option("hours")
        await panel.get_by_role("button", name="Add").click()
        await panel.get_by_label("By e-mail").uncheck()
        assert await violations(page) == []
        await panel.get_by_role("button", name="Save reminders").click()
        await expect(panel.get_by_text("Saved")).to_be_visible()
        chosen = (await catalogue.reminders.choice("viewer")).choice
        assert chosen.leads_s == (10_800,)
        assert Channel.MAIL not in chosen.channels
        assert Channel.PAGE in chosen.channels
        shown = page.get_by_role("region", name="Reminders")
        await expect(shown).to_contain_text("Council begins at", timeout=70_000)

        month = f"{datetime.fromtimestamp(starts_s, UTC):%Y-%m}"
        await page.goto(f"{url}/calendar?month={month}&view=agenda")
        await page.get_by_text("Reminders 3 hours before").click(timeout=APPEARS_MS)
        await page.get_by_role("button", name="3 hours").click()
        await page.get_by_role("button", name="1 day").click()
        for width, scheme in ((320, "light"), (1280, "dark")):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(page) == [], (width, scheme)
        await page.get_by_role("button", name="Save for this event").click()
        await expect(page.get_by_text("Reminders 1 day before")).to_be_visible()
        (own,) = await catalogue.reservations.every("viewer")
        assert (own.reminders.leads_s, own.has_own_reminders) == ((86_400,), True)
        await page.get_by_role("button", name="As in my account").click()
        await expect(page.get_by_text("Reminders 3 hours before")).to_be_visible()
