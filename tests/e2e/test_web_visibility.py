"""Events that not everybody may watch, in a real Chromium: unlisted, pass phrase, invitations."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.keys import press
from support.web_world import web_world
from umbel.catalogue.model import EventPatch
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
PHRASE = "the old lighthouse"


async def signed_in(browser: BrowserContext, url: str, who: str) -> Page:
    """A page of somebody, in a profile of their own."""
    parent: Browser | None = browser.browser
    assert parent is not None
    page = await (await parent.new_context(reduced_motion="reduce")).new_page()
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill(who)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )
    return page


async def create(page: Page, url: str, title: str, visibility: str) -> str:
    """A new event; the address of its watch page."""
    await page.goto(f"{url}/studio")
    form = page.get_by_role("form", name="New event")
    await form.get_by_label("Title").fill(title)
    await form.get_by_label("Who can watch").select_option(label=visibility)
    if visibility == "Pass phrase":
        await form.get_by_label("Pass phrase", exact=True).fill(PHRASE)
    assert await violations(page) == []
    await form.get_by_role("button", name="Create event").click()
    await expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=APPEARS_MS)
    return await page.get_by_label("Link to the watch page", exact=True).input_value()


async def test_a_pass_phrase_opens_an_event_to_those_who_know_it(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        city = await signed_in(browser, url, "city")
        link = await create(city, url, "Rehearsal", "Pass phrase")
        viewer = await browser.new_page()
        await viewer.emulate_media(reduced_motion="reduce")
        await viewer.goto(url)
        await expect(viewer.get_by_text("Nothing is live")).to_be_visible(timeout=APPEARS_MS)
        assert "Rehearsal" not in await viewer.content()
        await viewer.goto(link)
        await expect(viewer.get_by_role("heading", name="pass phrase")).to_be_visible(
            timeout=APPEARS_MS
        )
        assert await violations(viewer) == []
        field = viewer.get_by_label("Pass phrase", exact=True)
        await field.fill("the new lighthouse")
        await viewer.get_by_role("button", name="Watch").click()
        await expect(viewer.get_by_role("alert")).to_contain_text(
            "not the event's pass phrase", timeout=APPEARS_MS
        )
        await field.fill(PHRASE)
        await field.press("Enter")
        title = viewer.get_by_role("heading", name="Rehearsal")
        await expect(title).to_be_visible(timeout=APPEARS_MS)
        await viewer.reload()
        await expect(title).to_be_visible(timeout=APPEARS_MS)
        assert await violations(viewer) == []
        (event,) = await here.system.catalogue.events(listed=False)
        await here.system.catalogue.change_event(
            event.id, event.version, EventPatch(), "another lighthouse"
        )
        changed = viewer.get_by_role("status").filter(has_text="Enter the new pass phrase")
        await expect(changed).to_be_visible(timeout=APPEARS_MS)
        await field.fill("another lighthouse")
        await field.press("Enter")
        await expect(title).to_be_visible(timeout=APPEARS_MS)


async def test_an_event_by_invitation_is_there_for_those_who_were_invited(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium() as browser:
        city = await signed_in(browser, url, "city")
        link = await create(city, url, "Committee", "By invitation")
        viewer = await signed_in(browser, url, "viewer")
        await viewer.goto(link)
        missing = viewer.get_by_role("heading", name="Event not found")
        await expect(missing).to_be_visible(timeout=APPEARS_MS)
        names = city.get_by_label("Account names to invite")
        await names.fill("viewer, nobody-here")
        await city.get_by_role("button", name="Invite", exact=True).click()
        await expect(city.get_by_role("alert")).to_contain_text("nobody-here", timeout=APPEARS_MS)
        await names.fill("viewer")
        await press(city, city.get_by_role("button", name="Invite", exact=True))
        await expect(names).to_have_value("")
        await expect(names).to_be_focused()
        remove = city.get_by_role("button", name="Remove viewer")
        await expect(remove).to_be_visible(timeout=APPEARS_MS)
        assert await violations(city) == []
        await viewer.goto(link)
        await expect(viewer.get_by_role("heading", name="Committee")).to_be_visible(
            timeout=APPEARS_MS
        )
        await press(city, remove)
        await expect(city.get_by_text("Nobody is invited yet")).to_be_visible(timeout=APPEARS_MS)
        await expect(city.get_by_role("region", name="Invited accounts")).to_be_focused()
        # The page that was open says so by itself.
        closed = viewer.get_by_role("heading", name="This event is not open to you any more")
        await expect(closed).to_be_visible(timeout=APPEARS_MS)
        assert await violations(viewer) == []
        await viewer.goto(link)
        await expect(missing).to_be_visible(timeout=APPEARS_MS)


async def test_an_unlisted_event_has_a_link_and_a_badge(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium() as browser:
        city = await signed_in(browser, url, "city")
        link = await create(city, url, "Sound check", "Unlisted")
        viewer = await browser.new_page()
        await viewer.goto(link)
        await expect(viewer.get_by_role("heading", name="Sound check")).to_be_visible(
            timeout=APPEARS_MS
        )
        await city.goto(f"{url}/studio")
        row = city.get_by_role("link", name="Sound check")
        await expect(row).to_contain_text("Unlisted", timeout=APPEARS_MS)
        await city.get_by_role("link", name="Discover").click()
        await expect(city.get_by_text("Nothing is live")).to_be_visible(timeout=APPEARS_MS)
        assert "Sound check" not in await city.content()
