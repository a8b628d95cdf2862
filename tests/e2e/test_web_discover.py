"""Discover, a provider's page, an event's page and its player in other sites' frames, in a real
Chromium: search, pages, keys, and what can go wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from support.axe import violations
from support.http import World
from support.other_site import other_site
from support.waiting import until
from support.web_world import web_world
from umbel.catalogue.model import Event, EventEvent, Provider, Visibility
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
HOUR_S = 3_600.0
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
HOSTILE = '<img src=x onerror="window.attacked = 1"> & <b>bold</b>'
SHIFTS = """() => {
  window.layoutShift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (!entry.hadRecentInput) window.layoutShift += entry.value;
    }
  }).observe({ type: 'layout-shift', buffered: true });
}"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[tuple[World, str, BrowserContext, Page]]:
    """The world, its address, a browser and a page of it."""
    async with web_world(folder) as (here, url), chromium() as browser:
        yield here, url, browser, await browser.new_page()


async def event(
    here: World,
    title: str,
    *happened: EventEvent,
    of: Provider | None = None,
    after_h: float = 24.0,
    description: str = "",
    visibility: Visibility = Visibility.PUBLIC,
) -> Event:
    starts_s = here.system.clock.now_s() + after_h * HOUR_S
    made = await here.event(
        of,
        title=title,
        description=description,
        starts_s=starts_s,
        ends_s=starts_s + HOUR_S,
        visibility=visibility,
    )
    for what in happened:
        if what is EventEvent.OPEN:
            await here.system.delivery.open_ingest(made.id)
        else:
            await here.system.catalogue.transition(made.id, what)
    return made


async def looked_at(page: Page, folder: Path, name: str) -> None:
    """Nobody is kept out of it, at any width, in light and dark."""
    for width in (1280, 768, 390, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.wait_for_function(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
            await page.evaluate(DRAWN)
            assert await violations(page) == [], (name, width, scheme)
            await page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_somebody_searches_and_finds(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, _, page):
        await event(here, "Città aperta", description="The budget of the year")
        await event(here, "Match", of=here.club)
        await event(here, "Old match", EventEvent.CANCEL, of=here.club, after_h=48)
        await event(here, "Now on", EventEvent.OPEN, EventEvent.START)
        await page.goto(url)
        for name in ("Live now", "Coming up", "Ended", "Providers"):
            await expect(page.get_by_role("region", name=name)).to_be_visible(timeout=APPEARS_MS)
        providers = page.get_by_role("region", name="Providers")
        await expect(providers.get_by_role("link", name="City")).to_contain_text(
            "1 live, 1 coming up"
        )

        box = page.get_by_role("searchbox", name="Search events and providers")
        await box.fill("CITTA budg")
        await expect(page.get_by_text("Found 1 event and 0 providers.")).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(page.get_by_role("link", name="Città aperta")).to_be_visible()
        await expect(page.get_by_role("region", name="Live now")).to_have_count(0)
        await page.wait_for_url(f"{url}/?q=CITTA+budg")
        await page.reload()
        await expect(box).to_have_value("CITTA budg", timeout=APPEARS_MS)
        await expect(page.get_by_role("link", name="Città aperta")).to_be_visible(
            timeout=APPEARS_MS
        )

        # By keys alone: Enter searches at once, and the next stop is the first result.
        await box.fill("club")
        await box.press("Enter")
        await expect(page.get_by_text("Found 2 events and 1 provider.")).to_be_visible(
            timeout=APPEARS_MS
        )
        await page.keyboard.press("Tab")
        focused = await page.evaluate("document.activeElement.textContent")
        assert "Match" in focused

        # What a provider schedules now is found without a reload.
        await event(here, "Another match", of=here.club)
        await expect(page.get_by_role("link", name="Another match")).to_be_visible(
            timeout=APPEARS_MS
        )
        await box.fill("zebra")
        nothing = page.get_by_role("heading", name="Nothing found for “zebra”")
        await expect(nothing).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await page.get_by_role("link", name="Umbel home").click()
        await expect(box).to_have_value("", timeout=APPEARS_MS)
        await expect(page.get_by_role("region", name="Live now")).to_be_visible(timeout=APPEARS_MS)


async def test_lists_grow_and_keep_the_focus(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, _, page):
        for number in range(30):
            await event(here, f"Mass {number:02}", after_h=24 + number / 60)
        await page.goto(url)
        region = page.get_by_role("region", name="Coming up")
        await expect(region.get_by_role("link")).to_have_count(24, timeout=APPEARS_MS)
        await region.get_by_role("button", name="Show more of Coming up").press("Enter")
        await expect(region.get_by_role("link")).to_have_count(30, timeout=APPEARS_MS)
        await expect(region.get_by_role("link").nth(24)).to_be_focused()
        await expect(region.get_by_role("link").nth(29)).to_contain_text("Mass 29")
        await expect(region.get_by_role("button")).to_have_count(0)


async def test_nothing_moves_while_it_loads_and_changes(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, _, page):
        for number in range(12):
            await event(here, f"Live {number}", EventEvent.OPEN, EventEvent.START)
            await event(here, f"Next {number}", after_h=24 + number)
        await page.add_init_script(f"({SHIFTS})()")
        await page.goto(url)
        await expect(page.get_by_role("region", name="Providers")).to_be_visible(timeout=APPEARS_MS)
        for name in ("Coming up", "Live now"):
            await expect(page.get_by_role("region", name=name)).to_be_visible()
        await event(here, "One more", after_h=48)
        await expect(page.get_by_role("link", name="One more")).to_be_visible(timeout=APPEARS_MS)
        assert await page.evaluate("layoutShift") < 0.02


async def test_what_can_go_wrong_is_said(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, browser, page):
        failing = {"now": True}

        async def answer(route: Route) -> None:
            if failing["now"]:
                await route.fulfill(status=500, json={"code": "umbel.error", "message": "Broken."})
            else:
                await route.continue_()

        await page.route("**/api/v1/discover/**", answer)
        await page.goto(url)
        await expect(page.get_by_role("alert")).to_contain_text("Broken.", timeout=APPEARS_MS)
        assert await violations(page) == []
        failing["now"] = False
        await page.get_by_role("button", name="Try again").click()
        empty = page.get_by_text("Events appear here automatically")
        await expect(empty).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await browser.set_offline(True)
        await expect(page.get_by_text("You are offline")).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await event(here, "Council")
        await browser.set_offline(False)
        await expect(page.get_by_text("You are offline")).to_have_count(0, timeout=APPEARS_MS)
        await expect(page.get_by_role("link", name="Council").first).to_be_visible(timeout=90_000)

        await page.goto(f"{url}/providers/pr_0")
        await expect(page.get_by_role("heading", name="Provider not found")).to_be_visible(
            timeout=APPEARS_MS
        )
        assert await violations(page) == []


async def test_everybody_can_use_discover(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, _, page):
        long = "A council session with a title that is longer than any column of a calendar"
        await event(here, long, EventEvent.OPEN, EventEvent.START)
        await event(here, "Waiting", EventEvent.OPEN)
        for number, title in enumerate((long, "Choir", "Football", HOSTILE)):
            await event(here, title, after_h=24 * (number + 1))
        await event(here, "Over", EventEvent.CANCEL)
        await page.goto(url)
        await expect(page.get_by_role("region", name="Providers")).to_be_visible(timeout=APPEARS_MS)
        await expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
        await looked_at(page, tmp_path, "discover")
        assert await page.evaluate("window.attacked") is None


async def test_a_provider_has_a_page(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, _, page):
        await event(here, "Council", EventEvent.OPEN, EventEvent.START)
        await event(here, "Budget")
        await event(here, "Behind closed doors", visibility=Visibility.UNLISTED)
        await event(here, "Old", EventEvent.CANCEL)
        await event(here, "Match", of=here.club)
        await page.goto(url)
        providers = page.get_by_role("region", name="Providers")
        await providers.get_by_role("link", name="City").click(timeout=APPEARS_MS)
        await expect(page.get_by_role("heading", name="City", level=1)).to_be_visible(
            timeout=APPEARS_MS
        )
        assert page.url == f"{url}/providers/{here.city.id}"
        for section, title in (("Live now", "Council"), ("Coming up", "Budget"), ("Ended", "Old")):
            links = page.get_by_role("region", name=section).get_by_role("link")
            await expect(links).to_have_count(1, timeout=APPEARS_MS)
            await expect(links).to_contain_text(title)
        async with page.expect_response("**/feed.xml") as answered:
            feed = await page.get_by_role("link", name="RSS feed").get_attribute("href")
            await page.evaluate("path => fetch(path)", feed)
        assert (await answered.value).status == 200
        await looked_at(page, tmp_path, "provider")
        await here.system.catalogue.change_provider(here.city.id, name="Town")
        await expect(page.get_by_role("heading", name="Town", level=1)).to_be_visible(
            timeout=APPEARS_MS
        )


async def test_an_event_has_a_page_to_share(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, browser, page):
        made = await event(here, HOSTILE, description=f"{HOSTILE}\nSecond line")
        await event(here, "Next session", after_h=48)
        await browser.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{url}/watch/{made.id}")
        await expect(page.get_by_role("heading", name=HOSTILE, level=1)).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(page.get_by_text(f"{HOSTILE} Second line")).to_be_visible()
        assert await page.title() == f"{HOSTILE} · Umbel"
        more = page.get_by_role("region", name="More from City").get_by_role("link")
        await expect(more).to_have_count(1, timeout=APPEARS_MS)
        await expect(more).to_contain_text("Next session")

        await page.get_by_text("Share", exact=True).click()
        await expect(page.get_by_label("Link", exact=True)).to_have_value(f"{url}/watch/{made.id}")
        await page.get_by_role("button", name="Copy Code for your own page").click()
        served = await page.evaluate(
            "async (path) => (await (await fetch(path)).json()).html",
            f"/oembed?url={url}/watch/{made.id}",
        )
        copied = partial(page.evaluate, "navigator.clipboard.readText()")
        await until(copied, served.__eq__, within_s=APPEARS_MS / 1000)
        assert await page.evaluate("window.attacked") is None
        await looked_at(page, tmp_path, "event")
        await page.get_by_role("link", name="City", exact=True).click()
        await expect(page.get_by_role("heading", name="City", level=1)).to_be_visible(
            timeout=APPEARS_MS
        )


async def test_other_sites_show_the_player_and_no_other_page(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, url, _, page), other_site() as other:
        made = await event(here, HOSTILE)
        refusals: list[str] = []
        page.on("console", lambda message: refusals.append(message.text))
        await page.goto(f"{other}?{url}/embed/{made.id}")
        frame = page.frame_locator("iframe")
        link = frame.get_by_role("link", name=HOSTILE)
        await expect(link).to_be_visible(timeout=APPEARS_MS)
        await expect(link).to_have_attribute("href", f"/watch/{made.id}")
        await expect(link).to_have_attribute("target", "_blank")
        await expect(frame.get_by_text("Starts in")).to_be_visible(timeout=APPEARS_MS)
        assert not any("frame-ancestors" in one for one in refusals)

        for path in (f"watch/{made.id}", "", "account", f"providers/{here.city.id}"):
            async with page.expect_event(
                "console", lambda message: "frame-ancestors" in message.text, timeout=APPEARS_MS
            ):
                await page.goto(f"{other}?{url}/{path}")

        await page.goto(f"{url}/embed/{made.id}")
        await expect(page.get_by_role("link", name=HOSTILE)).to_be_visible(timeout=APPEARS_MS)
        await looked_at(page, tmp_path, "embed")
        assert await page.evaluate("window.attacked") is None
        await page.goto(f"{url}/embed/ev_0")
        await expect(page.get_by_role("alert")).to_contain_text("not there", timeout=APPEARS_MS)
        assert await violations(page) == []
