"""A provider's team in a real Chromium: a viewer becomes an editor, works, and is removed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.keys import press, walk_to
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


async def adds(page: Page, team: Locator, who: str) -> None:
    """By keys alone. The field has the focus for the next name."""
    account = team.get_by_label("Account to add")
    await walk_to(page, account, "Shift+Tab")
    await page.keyboard.press("Control+A")
    await page.keyboard.type(who)
    await press(page, team.get_by_role("button", name="Add to the team"))
    await expect(account).to_have_value("")
    await expect(account).to_be_focused()


async def removes(page: Page, team: Locator, who: str) -> None:
    """By keys alone. The member before has the focus next."""
    await press(page, team.get_by_role("button", name=f"Remove {who}"))
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Go back")).to_be_focused()
    await press(page, dialog.get_by_role("button", name="Remove"))
    await expect(team.get_by_role("listitem").first).to_be_focused()


async def schedules(page: Page, form: Locator, title: str) -> None:
    """By keys alone: a title, a start and who can watch."""
    await walk_to(page, form.get_by_label("Title"))
    await page.keyboard.type(title)
    await walk_to(page, form.get_by_label("Start"))
    await page.keyboard.type("06102090")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.type("0630PM")
    await walk_to(page, form.get_by_label("Who can watch"))
    await page.keyboard.type("Un")
    await press(page, form.get_by_role("button", name="Create event"))
    await expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=APPEARS_MS)
    await expect(page.get_by_text("Unlisted")).to_be_visible()
    await expect(page.get_by_role("main")).to_be_focused()


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
        await adds(page, team, "viewer")
        role = team.get_by_label("Role of viewer")
        await expect(role).to_have_value("editor", timeout=APPEARS_MS)
        assert await violations(page) == []

        assert browser.browser is not None
        other = await (await browser.browser.new_context()).new_page()
        await studio(other, url, "viewer")
        form = other.get_by_role("form", name="New event")
        own = other.get_by_role("region", name="Team of City")
        await expect(own.get_by_role("button", name="Leave the team")).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(own.get_by_label("Account to add")).to_have_count(0)
        await schedules(other, form, "By an editor")
        (made,) = await here.system.catalogue.events(listed=False)
        starts = datetime(2090, 6, 10, 18, 30, tzinfo=UTC)
        assert (made.starts_s, made.ends_s) == (starts.timestamp(), starts.timestamp() + 3_600)

        await removes(page, team, "viewer")
        await expect(role).to_have_count(0, timeout=APPEARS_MS)
        await other.goto(f"{url}/studio")
        refused = other.get_by_role("heading", name="can watch, but not publish")
        await expect(refused).to_be_visible(timeout=APPEARS_MS)
        members = await here.system.catalogue.teams.members(here.city.id)
        assert [one.username for one in members] == ["city"]
