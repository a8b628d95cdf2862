"""The fields of an event in a real Chromium: picture, time zone, and two people editing it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect

from support.axe import violations
from support.http import PASSWORD, World
from support.keys import press
from support.picture_files import saved
from support.web_world import web_world
from umbel.catalogue.model import Event, EventPatch
from umbel.demo.browser import chromium
from umbel.kit.image_files import JPEG, PNG

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
NOON_S = datetime(2090, 3, 13, 11, tzinfo=UTC).timestamp()
LOADED = "picture => picture.complete && picture.naturalWidth"


async def studio(page: Page, url: str, path: str) -> None:
    await page.emulate_media(reduced_motion="reduce")
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill("city")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )
    await page.goto(f"{url}{path}")


async def noon(here: World) -> Event:
    return await here.event(starts_s=NOON_S, ends_s=NOON_S + 3_600, time_zone="Europe/Rome")


async def test_a_picture_is_chosen_shown_and_removed(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page, event = await browser.new_page(), await noon(here)
        await studio(page, url, f"/studio/events/{event.id}")
        card = page.get_by_role("region", name="Picture")
        await expect(card).to_be_visible(timeout=APPEARS_MS)
        chooser = card.get_by_label("Picture file")
        text = FilePayload(name="a.txt", mimeType="text/plain", buffer=b"no picture")
        await chooser.set_input_files(text)
        await expect(card.get_by_role("alert")).to_contain_text("JPEG, PNG or WebP")
        broken = FilePayload(name="a.png", mimeType=PNG, buffer=b"no picture")
        await chooser.set_input_files(broken)
        await expect(card.get_by_role("alert")).to_contain_text("cannot read this picture")
        right = FilePayload(name="a.jpg", mimeType=JPEG, buffer=saved(JPEG))
        async with page.expect_file_chooser() as asked:
            await press(page, card.get_by_role("button", name="Choose"))
        await (await asked.value).set_files(right)
        shown = card.locator("img.poster")
        await expect(shown).to_be_visible(timeout=APPEARS_MS)
        await page.wait_for_function(
            f"() => ({LOADED})(document.querySelector('img.poster'))", timeout=APPEARS_MS
        )
        assert await violations(page) == []
        viewer = await browser.new_page()
        await viewer.goto(f"{url}/watch/{event.id}")
        await expect(viewer.locator("img.poster")).to_be_visible(timeout=APPEARS_MS)
        await press(page, card.get_by_role("button", name="Remove"))
        await expect(shown).to_have_count(0, timeout=APPEARS_MS)
        await expect(card).to_be_focused()


async def test_times_are_those_of_the_zone(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page, event = await browser.new_page(), await noon(here)
        session = await browser.new_cdp_session(page)
        await session.send("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})
        await studio(page, url, f"/studio/events/{event.id}")
        await expect(page.get_by_text("12:00 in Europe/Rome")).to_be_visible(timeout=APPEARS_MS)
        await page.get_by_role("button", name="Edit").click()
        form = page.get_by_role("form", name="Edit event")
        await expect(form.get_by_label("Start")).to_have_value("2090-03-13T12:00")
        await form.get_by_label("Time zone").select_option("Asia/Tokyo")
        assert await violations(page) == []
        await form.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("12:00 in Asia/Tokyo")).to_be_visible(timeout=APPEARS_MS)
        moved = await here.system.catalogue.event(event.id)
        assert moved.starts_s == NOON_S - 8 * 3_600


async def test_two_people_who_edit_one_event_see_both_versions(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page, event = await browser.new_page(), await noon(here)
        await studio(page, url, f"/studio/events/{event.id}")
        edit = page.get_by_role("button", name="Edit")
        await press(page, edit)
        form = page.get_by_role("form", name="Edit event")
        title = form.get_by_label("Title")
        await expect(title).to_be_focused()
        patch = EventPatch(description="<b>With the mayor</b>")
        await here.system.catalogue.change_event(event.id, event.version, patch)
        await page.keyboard.press("Control+A")
        await page.keyboard.type("Mine")
        await press(page, form.get_by_role("button", name="Save"))
        row = form.get_by_role("row", name="Description")
        await expect(row).to_contain_text("<b>With the mayor</b>", timeout=APPEARS_MS)
        await expect(form.get_by_role("row", name="Title")).to_contain_text("Council")
        assert await violations(page) == []
        await press(page, form.get_by_role("button", name="Keep my form"))
        await expect(title).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Mine")).to_be_visible(timeout=APPEARS_MS)
        await expect(edit).to_be_focused()
        kept = await here.system.catalogue.event(event.id)
        assert (kept.title, kept.description) == ("Mine", "A meeting")


async def test_the_form_warns_of_another_event_at_the_same_time(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        page = await browser.new_page()
        await here.event(title="Rehearsal")
        await studio(page, url, "/studio")
        note = page.get_by_text("At the same time: “Rehearsal”")
        await expect(note).to_be_visible(timeout=APPEARS_MS)
        await page.get_by_label("Start").fill("2090-01-01T10:00")
        await expect(note).to_have_count(0, timeout=APPEARS_MS)
