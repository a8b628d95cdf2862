"""A provider's team in a real Chromium: a viewer becomes an editor, works, and is removed."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.web_world import web_world
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000


async def studio(page: Page, url: str, who: str) -> None:
    await page.emulate_media(reduced_motion="reduce")
    await page.goto(f"{url}/studio")
    await page.get_by_label("Name", exact=True).fill(who)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=APPEARS_MS)


async def test_an_owner_adds_an_editor_who_then_works(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page = await browser.new_page()
        await studio(page, url, "city")
        team = page.get_by_role("region", name="Team of City")
        leave = team.get_by_role("button", name="Leave the team")
        await leave.click(timeout=APPEARS_MS)
        await page.get_by_role("dialog").get_by_role("button", name="Leave").click()
        await expect(team.get_by_role("alert")).to_contain_text("owner", timeout=APPEARS_MS)
        await team.get_by_label("Account to add").fill("nobody-here")
        await team.get_by_role("button", name="Add to the team").click()
        await expect(team.get_by_role("alert")).to_contain_text("No user", timeout=APPEARS_MS)
        await team.get_by_label("Account to add").fill("viewer")
        await team.get_by_role("button", name="Add to the team").click()
        role = team.get_by_label("Role of viewer")
        await expect(role).to_have_value("editor", timeout=APPEARS_MS)
        assert await violations(page) == []

        assert browser.browser is not None
        other = await (await browser.browser.new_context()).new_page()
        await studio(other, url, "viewer")
        form = other.get_by_role("form", name="New event")
        await form.get_by_label("Title").fill("By an editor", timeout=APPEARS_MS)
        own = other.get_by_role("region", name="Team of City")
        await expect(own.get_by_role("button", name="Leave the team")).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(own.get_by_label("Account to add")).to_have_count(0)
        await form.get_by_role("button", name="Create event").click()
        title = other.get_by_role("heading", name="By an editor")
        await expect(title).to_be_visible(timeout=APPEARS_MS)

        await team.get_by_role("button", name="Remove viewer").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(role).to_have_count(0, timeout=APPEARS_MS)
        await other.goto(f"{url}/studio")
        refused = other.get_by_role("heading", name="can watch, but not publish")
        await expect(refused).to_be_visible(timeout=APPEARS_MS)
        members = await here.system.catalogue.teams.members(here.city.id)
        assert [one.username for one in members] == ["city"]
