"""A series of events in a real Chromium: made, changed and cancelled with those that follow."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from support.axe import violations
from support.http import PASSWORD
from support.web_world import web_world
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000


async def test_a_provider_repeats_an_event_and_changes_the_rest(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page = await browser.new_page()
        await page.emulate_media(reduced_motion="reduce")
        await page.goto(f"{url}/studio")
        await page.get_by_label("Name", exact=True).fill("city")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        form = page.get_by_role("form", name="New event")
        await form.get_by_label("Title").fill("Mass", timeout=APPEARS_MS)
        await form.get_by_label("How often").select_option("Every week")
        await form.get_by_label("Number of events").fill("1")
        await form.get_by_role("button", name="Create event").click()
        await expect(form.get_by_role("alert")).to_contain_text("2 to 100")
        await form.get_by_label("Number of events").fill("3")
        assert await violations(page) == []
        await form.get_by_role("button", name="Create event").click()
        await expect(page.get_by_text("In a series")).to_be_visible(timeout=APPEARS_MS)
        events = await here.system.catalogue.events()
        assert [round((one.starts_s - events[0].starts_s) / 86_400) for one in events] == [0, 7, 14]

        await page.goto(f"{url}/studio/events/{events[1].id}")
        await page.get_by_role("button", name="Edit").click(timeout=APPEARS_MS)
        edit = page.get_by_role("form", name="Edit event")
        await edit.get_by_label("Title").fill("Vespers")
        await edit.get_by_label("Also change the events").check()
        assert await violations(page) == []
        await edit.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Vespers")).to_be_visible(timeout=APPEARS_MS)
        titles = [one.title for one in await here.system.catalogue.events()]
        assert titles == ["Mass", "Vespers", "Vespers"]

        await page.get_by_role("button", name="Cancel event").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Also cancel the events").check()
        assert await violations(page) == []
        await dialog.get_by_role("button", name="Cancel event").click()
        cancelled = page.get_by_role("heading", name="This event was cancelled")
        await expect(cancelled).to_be_visible(timeout=APPEARS_MS)
        states = [one.state.value for one in await here.system.catalogue.events()]
        assert states == ["scheduled", "cancelled", "cancelled"]
