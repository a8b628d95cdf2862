"""Captions in a real Chromium: over the live picture, in recordings, found by a search."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD, World
from support.recorded import Reel, film
from support.web_world import web_world
from umbel.catalogue.captions.model import Heard
from umbel.catalogue.model import Event, EventEvent
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
AT = """at => {
  const video = document.querySelector('[data-testid=replay]');
  return video && video.readyState >= 2 && Math.abs(video.currentTime - at) < 1.5;
}"""
LINES = """text => {
  const lines = document.querySelector('[data-testid=captions]');
  return lines?.innerText.includes(text) && [lines.lang, lines.innerText];
}"""
"""Captions are shown for some seconds alone: all is read of them in one look."""
TRACK = """() => {
  const track = document.querySelector('[data-testid=replay]').textTracks[0];
  track.mode = 'hidden';
  return [...(track.cues ?? [])].map(cue => [Math.round(cue.startTime), cue.text]);
}"""


async def on_air(here: World) -> tuple[Event, Reel]:
    event = await here.event(title="Council")
    await here.system.recordings.set_replay(event.id, enabled=True)
    for happened in (EventEvent.OPEN, EventEvent.START):
        await here.system.catalogue.transition(event.id, happened)
    reel = here.system.studio.reels.running[event.id] = Reel("one", film())
    return await here.system.catalogue.event(event.id), reel


async def say(here: World, event: Event, number: int, text: str, at_s: float) -> None:
    heard = Heard(boot="one", number=number, text=text, start_s=at_s, end_s=at_s + 4)
    await here.system.catalogue.captions.add(event.id, [heard])


async def sign_in(page: Page, url: str, name: str) -> None:
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )


async def test_captions_are_shown_over_the_live_picture(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        event, _ = await on_air(here)
        captions = here.system.catalogue.captions
        await captions.set_policy(event.id, "en-US")
        await say(here, event, 1, "Said before.", here.system.clock.now_s() - 60)
        page = await browser.new_page()
        await page.goto(f"{url}/watch/{event.id}")
        lines = page.get_by_test_id("captions")
        show = page.get_by_role("button", name="Show captions (c)")
        await expect(show).to_be_visible(timeout=APPEARS_MS)
        async with page.expect_response(lambda answer: "/captions" in answer.url):
            await show.click()
        number = 1
        for text in ("Good evening <b>all</b>.", "Welcome."):
            number += 1
            await say(here, event, number, text, here.system.clock.now_s())
            seen = await page.wait_for_function(LINES, arg=text, timeout=APPEARS_MS)
            language, shown = await seen.json_value()
            assert language == "en-US"
            assert "Said before." not in shown
        assert await violations(page) == []
        await page.keyboard.press("c")
        await expect(lines).to_have_count(0)
        await page.keyboard.press("c")
        await page.reload()
        await expect(page.get_by_role("button", name="Hide captions (c)")).to_be_visible(
            timeout=APPEARS_MS
        )


async def test_what_was_said_is_found_and_leads_to_its_moment(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        event, reel = await on_air(here)
        await here.system.studio.look()
        reel.ready = 6
        await here.system.studio.look()
        _, extent = await here.system.recordings.replay(event.id)
        first = (await here.system.recordings.index(extent)).segments[0]
        began_s = first.wall_s or first.began_s
        await say(here, event, 1, "The budget is approved.", began_s + 8)
        page = await browser.new_page()
        await page.goto(f"{url}/?q=budget")
        await page.get_by_test_id("said").get_by_role("link").click(timeout=APPEARS_MS)
        await page.wait_for_function(AT, arg=6.5, timeout=APPEARS_MS)
        await page.wait_for_function(f"() => ({TRACK})().length > 0", timeout=APPEARS_MS)
        assert await page.evaluate(TRACK) == [[8, "The budget is approved."]]
        await page.get_by_text("Search what was said").click()
        await page.get_by_label("Words that were said").fill("approved")
        found = page.get_by_test_id("said").get_by_role("link")
        await expect(found).to_contain_text("at 0:08", timeout=APPEARS_MS)
        assert await violations(page) == []


async def test_a_provider_switches_captions_on(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        object.__setattr__(here.system.settings, "captions_engine", "fake")
        event = await here.event(title="Council")
        page = await browser.new_page()
        await sign_in(page, url, "city")
        await page.goto(f"{url}/studio/events/{event.id}")
        await page.get_by_label("Language spoken").fill("de", timeout=APPEARS_MS)
        await page.get_by_label("Caption what is said").click()
        await expect(page.get_by_label("Caption what is said")).to_be_checked(timeout=APPEARS_MS)
        policy = await here.system.catalogue.captions.policy(event.id)
        assert policy is not None
        assert policy.language == "de"
        await here.system.catalogue.captions.note_problem(event.id, "The engine ended.")
        await page.reload()
        await expect(page.get_by_text("The engine ended.")).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
