"""MyShare in a real Chromium: record, play and seek, rename, download, share, delete; and going
back in an event that is on air. What the recorders give is decoded by the browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from support import mp4, pictures
from support.axe import violations
from support.http import PASSWORD, World
from support.keys import press
from support.recorded import Reel, film
from support.web_world import web_world
from umbel.catalogue.model import Event, EventEvent
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
SHOWN = """([number, at]) => {
  const video = document.querySelectorAll('[data-testid=replay]')[number];
  return video && video.readyState >= 2 && !video.seeking && Math.abs(video.currentTime - at) < 1.5
    && video.videoWidth > 0;
}"""
PICTURE = pictures.jpeg(160, 90)
TALL = "document.querySelector('[data-testid=replay]').duration"


@asynccontextmanager
async def signed_in(folder: Path) -> AsyncIterator[tuple[World, str, BrowserContext, Page]]:
    """The world, its address, a browser, and a page of the viewer's."""
    async with web_world(folder) as (here, url), chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{url}/account")
        await page.get_by_label("Name", exact=True).fill("viewer")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
            timeout=APPEARS_MS
        )
        yield here, url, browser, page


async def on_air(here: World, title: str = "Council") -> tuple[Event, Reel]:
    event = await here.event(title=title)
    for happened in (EventEvent.OPEN, EventEvent.START):
        await here.system.catalogue.transition(event.id, happened)
    reel = here.system.studio.reels.running[event.id] = Reel("one", film())
    return await here.system.catalogue.event(event.id), reel


async def fed(here: World, reel: Reel, count: int) -> None:
    """So many segments in all are stored."""
    reel.ready = count
    await here.system.studio.look()


async def recorded(here: World, title: str = "Council") -> Event:
    """A recording of the viewer's of 12 s, of an event that is over."""
    event, reel = await on_air(here, title)
    await here.system.recordings.start("viewer", event.id, from_start=True)
    await here.system.studio.look()
    here.system.studio.reels.pictures[event.id] = PICTURE
    await fed(here, reel, 1)
    await fed(here, reel, 6)
    await here.system.catalogue.transition(event.id, EventEvent.END)
    reel.is_over = True
    await here.system.studio.look()
    del here.system.studio.reels.running[event.id]
    return event


async def test_a_viewer_records_what_is_on_air_and_plays_it(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (here, url, _, page):
        event, reel = await on_air(here)
        await page.goto(f"{url}/watch/{event.id}")
        await page.get_by_role("button", name="Record from now").click(timeout=APPEARS_MS)
        stop = page.get_by_role("button", name="Stop recording")
        await expect(stop).to_be_visible(timeout=APPEARS_MS)
        await here.system.studio.look()
        await fed(here, reel, 1)
        (kept,), _ = await here.system.recordings.of("viewer")
        assert kept.recording.from_s is not None
        await stop.click()
        await expect(stop).to_have_count(0, timeout=APPEARS_MS)
        await page.get_by_role("link", name="In MyShare").click()
        await expect(page.get_by_role("heading", name="Council")).to_be_visible(timeout=APPEARS_MS)


async def renames(page: Page, row: Locator, name: str) -> None:
    """By keys alone: the field has the focus and its text, and the button has it again."""
    await press(page, row.get_by_role("button", name="Rename"))
    await expect(row.get_by_role("textbox", name="Name")).to_be_focused()
    await page.keyboard.type(name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name=f"Rename: {name}")).to_be_focused()


async def shares(page: Page, row: Locator) -> str:
    """By keys alone: a link that is revoked, and one that stays."""
    await press(page, row.get_by_role("button", name="Share"))
    create = row.get_by_role("button", name="Create a link")
    link = row.get_by_role("textbox", name="Link")
    await press(page, create)
    await expect(link).to_be_focused()
    await press(page, row.get_by_role("button", name="Revoke"))
    await expect(row.get_by_role("region", name="Links to")).to_be_focused()
    revoked = await link.input_value()
    await press(page, create)
    await expect(link).not_to_have_value(revoked)
    await expect(link).to_be_focused()
    return await link.input_value()


async def test_playing_with_seeking_names_files_and_links(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (here, url, browser, page):
        await recorded(here, "<i>Council</i>")
        await page.goto(f"{url}/recordings")
        row = page.get_by_role("listitem", name="<i>Council</i>")
        await expect(row).to_contain_text("0:12", timeout=APPEARS_MS)
        await press(page, row.get_by_role("button", name="Play"))
        await page.wait_for_function(SHOWN, arg=[0, 1.0], timeout=APPEARS_MS)
        await expect(row.get_by_role("button", name="Close")).to_be_focused()
        assert await page.evaluate(TALL) == pytest.approx(12.0, abs=0.2)
        await page.evaluate("document.querySelector('[data-testid=replay]').pause()")
        scenes = row.get_by_role("list", name="Scenes")
        await expect(scenes.get_by_role("button")).to_have_count(2)
        await scenes.get_by_role("button", name="Go to 0:12").click()
        await page.evaluate("document.querySelector('[data-testid=replay]').currentTime = 9")
        await page.wait_for_function(SHOWN, arg=[0, 9.0], timeout=APPEARS_MS)
        async with page.expect_download() as waiting:
            await row.get_by_role("link", name="Download").click()
        download = await waiting.value
        assert download.suggested_filename.endswith(".mp4")
        data = Path(await download.path()).read_bytes()
        assert len(mp4.decode(data).shown_s) == 360

        await page.reload()
        await renames(page, row, "The council, 1 March")
        row = page.get_by_role("listitem", name="The council, 1 March")
        link = await shares(page, row)
        await page.context.clear_cookies()
        stranger = await browser.new_page()
        await stranger.goto(link)
        await expect(stranger.get_by_role("heading", name="The council, 1 March")).to_be_visible(
            timeout=APPEARS_MS
        )
        await stranger.wait_for_function(SHOWN, arg=[0, 1.0], timeout=APPEARS_MS)
        (kept,), _ = await here.system.recordings.of("viewer")
        (share,) = await here.system.recordings.shares("viewer", kept.recording.id)
        await here.system.recordings.revoke("viewer", kept.recording.id, share.id)
        await stranger.reload()
        await expect(
            stranger.get_by_role("heading", name="This link no longer works")
        ).to_be_visible(timeout=APPEARS_MS)


async def test_everybody_goes_back_and_returns_to_live(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (here, url, _, page):
        event, reel = await on_air(here)
        await here.system.recordings.set_replay(event.id, enabled=True)
        await here.system.studio.look()
        await fed(here, reel, 4)
        await page.goto(f"{url}/watch/{event.id}")
        await page.get_by_role("button", name="Pause and rewind").click(timeout=APPEARS_MS)
        await page.wait_for_function(SHOWN, arg=[0, 1.0], timeout=APPEARS_MS)
        await fed(here, reel, 6)  # it grows while it is shown
        await page.wait_for_function(f"() => {TALL} > 11", timeout=APPEARS_MS)
        await page.get_by_role("button", name="Back to live").click()
        await expect(page.get_by_test_id("replay")).to_have_count(0, timeout=APPEARS_MS)
        await expect(page.get_by_label("Live video: Council")).to_be_visible()
        await here.system.catalogue.transition(event.id, EventEvent.END)
        reel.is_over = True
        await here.system.studio.look()
        await page.get_by_role("button", name="Watch the recording").click(timeout=APPEARS_MS)
        await page.wait_for_function(SHOWN, arg=[0, 1.0], timeout=APPEARS_MS)
        await page.get_by_role("button", name="Keep a copy in MyShare").click()
        await expect(page.get_by_role("link", name="In MyShare")).to_be_visible(timeout=APPEARS_MS)


async def test_deleting_by_keys_asks_first(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (here, url, _, page):
        for title in ("Council", "Choir"):
            await recorded(here, title)
        await page.goto(f"{url}/recordings")
        delete = page.get_by_role("button", name="Delete: Council")
        dialog = page.get_by_role("dialog")
        for leave in ("Enter", "Escape"):  # Enter: on "Go back", which has the focus
            await press(page, delete)
            await expect(dialog.get_by_role("button", name="Go back")).to_be_focused()
            await page.keyboard.press(leave)
            await expect(dialog).to_have_count(0)
            await expect(delete).to_be_focused()
        assert len((await here.system.recordings.of("viewer"))[0]) == 2
        await page.keyboard.press("Space")
        await press(page, dialog.get_by_role("button", name="Delete"))
        # Who deletes one goes on at the next.
        await expect(page.get_by_role("listitem", name="Choir")).to_be_focused()
        await press(page, page.get_by_role("button", name="Delete: Choir"))
        await press(page, dialog.get_by_role("button", name="Delete"))
        await expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(page.get_by_role("main")).to_be_focused()
        assert (await here.system.recordings.of("viewer"))[0] == []


async def test_nobody_is_left_out(tmp_path: Path) -> None:
    """No violation of WCAG's rules, in both colours and on a phone, with every panel open."""
    async with signed_in(tmp_path) as (here, url, _, page):
        await page.goto(f"{url}/recordings")
        await expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible(
            timeout=APPEARS_MS
        )
        assert await violations(page) == []
        await recorded(here)
        await recorded(here, "A very long title of an evening with many speakers " * 3)
        for scheme in SCHEMES:
            for width in (360, 1280):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                for panel in ("Play", "Share", "Rename"):
                    await page.goto(f"{url}/recordings")
                    await page.get_by_role("button", name=f"{panel}: Council").click(
                        timeout=APPEARS_MS
                    )
                    button = page.get_by_role("button", name=": Council", expanded=True)
                    await expect(button).to_have_count(1, timeout=APPEARS_MS)
                    assert await violations(page) == []
                wide = "document.documentElement.scrollWidth <= innerWidth"
                assert await page.evaluate(wide), width
