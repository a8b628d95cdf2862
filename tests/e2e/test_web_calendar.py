"""The calendar in a real Chromium: reserve, move by keys, subscribe; and what can go wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest
import vobject
from playwright.async_api import BrowserContext, Page, Route, expect

from support.axe import violations
from support.http import PASSWORD, World
from support.web_world import web_world
from umbel.catalogue.model import Event, EventEvent, EventPatch
from umbel.catalogue.reservations.model import Purpose
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
# Far enough to be in the future for long; its last night is in April for Rome.
MONTH, NEXT = "2099-03", "2099-04"
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
LATE = datetime(2099, 3, 31, 22, 30, tzinfo=UTC)


@asynccontextmanager
async def calendar(
    folder: Path, zone: str = "UTC"
) -> AsyncIterator[tuple[World, str, BrowserContext, Page]]:
    """The world, the calendar's address, a browser, and a page of it in that zone."""
    async with web_world(folder) as (here, url), chromium() as browser:
        page = await browser.new_page()
        session = await browser.new_cdp_session(page)
        await session.send("Emulation.setTimezoneOverride", {"timezoneId": zone})
        yield here, f"{url}/calendar", browser, page


async def sign_in(page: Page, address: str) -> None:
    await page.goto(address.replace("/calendar", "/account"))
    await page.get_by_label("Name", exact=True).fill("viewer")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )


async def event(here: World, title: str, starts: datetime = LATE) -> Event:
    starts_s = starts.timestamp()
    return await here.event(title=title, starts_s=starts_s, ends_s=starts_s + 3_600)


async def focused(page: Page) -> str:
    name: str = await page.evaluate("document.activeElement.getAttribute('aria-label')")
    return name


async def look(page: Page, scheme: Literal["light", "dark"]) -> None:
    """In these colours, drawn and without transitions: they are measured as they stay."""
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.wait_for_function(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
    await page.evaluate(DRAWN)


async def test_a_viewer_reserves_and_the_calendar_follows_the_event(tmp_path: Path) -> None:
    async with calendar(tmp_path) as (here, address, _, page):
        council = await event(here, "Council")
        await page.goto(f"{address}?month={MONTH}")
        day = page.get_by_role("button", name="Tuesday, March 31, 2099, 1 event")
        await expect(day).to_be_visible(timeout=APPEARS_MS)
        await day.click()
        await expect(page.get_by_role("link", name="Council")).to_be_visible(timeout=APPEARS_MS)
        await expect(page.get_by_role("group", name="Reserve Council")).to_have_count(0)

        await sign_in(page, address)
        await page.goto(f"{address}?month={MONTH}")
        await page.get_by_role("button", name="March 31, 2099").click(timeout=APPEARS_MS)
        choices = page.get_by_role("group", name="Reserve Council")
        watch = choices.get_by_role("button", name="Watch")
        for is_reserved in (True, False, True):
            await watch.click()
            pressed = "true" if is_reserved else "false"
            await expect(watch).to_have_attribute("aria-pressed", pressed, timeout=APPEARS_MS)
            made = await here.system.catalogue.reservations.every("viewer")
            assert [one.purpose for one in made] == [Purpose.WATCH] * is_reserved
        await expect(choices.get_by_role("button")).to_have_count(2)
        await expect(page.get_by_role("button", name="1 event, 1 reserved")).to_be_visible()

        # It moves: the open page shows it on its new day.
        moved_s = (LATE - timedelta(days=20)).timestamp()
        patch = EventPatch(starts_s=moved_s, ends_s=moved_s + 60)
        moved = await here.system.catalogue.change_event(council.id, council.version, patch)
        there = page.get_by_role("button", name="March 11, 2099, 1 event, 1 reserved")
        await expect(there).to_be_visible(timeout=APPEARS_MS)
        await there.click()
        await here.system.catalogue.transition(moved.id, EventEvent.CANCEL)
        await expect(page.get_by_text("Cancelled")).to_be_visible(timeout=APPEARS_MS)
        await watch.click()
        await expect(choices).to_have_count(0, timeout=APPEARS_MS)
        assert await here.system.catalogue.reservations.every("viewer") == []


async def test_days_are_those_of_the_viewers_zone(tmp_path: Path) -> None:
    async with calendar(tmp_path, "Europe/Rome") as (here, address, _, page):
        late = await event(here, "Late show")
        await here.system.catalogue.reservations.reserve("viewer", late.id, Purpose.WATCH)
        await sign_in(page, address)
        await page.goto(f"{address}?month={NEXT}&view=agenda")
        # 22:30 UTC is half past midnight in Rome, whose clocks went forward two days before.
        shown = page.get_by_role("region", name="Wednesday, April 1")
        await expect(shown).to_contain_text("12:30 AM", timeout=APPEARS_MS)
        await expect(shown.get_by_role("button", name="Watch")).to_have_attribute(
            "aria-pressed", "true"
        )
        await page.get_by_role("button", name="Previous month").click()
        await expect(page.get_by_role("heading", name="Nothing in March 2099")).to_be_visible(
            timeout=APPEARS_MS
        )


async def test_all_of_it_works_by_keys(tmp_path: Path) -> None:
    async with calendar(tmp_path) as (here, address, _, page):
        await event(here, "Council", LATE - timedelta(days=30))
        await sign_in(page, address)
        await page.goto(f"{address}?month={MONTH}")
        first = page.get_by_role("button", name="Sunday, March 1, 2099")
        await expect(first).to_be_visible(timeout=APPEARS_MS)
        await page.get_by_role("button", name="Agenda").focus()
        await page.keyboard.press("Tab")
        assert (await focused(page)).startswith("Sunday, March 1, 2099, 1 event")
        for key, day in (
            ("ArrowRight", "Monday, March 2"),
            ("ArrowDown", "Monday, March 9"),
            ("ArrowLeft", "Sunday, March 8"),
            ("ArrowUp", "Sunday, March 1"),
            ("End", "Saturday, March 7"),
            ("Home", "Sunday, March 1"),
            ("PageUp", "Sunday, February 1"),
            ("PageDown", "Sunday, March 1"),
            ("ArrowUp", "Sunday, February 22"),
            ("ArrowDown", "Sunday, March 1"),
        ):
            await page.keyboard.press(key)
            await page.wait_for_function(
                "day => document.activeElement?.ariaLabel?.startsWith(day)", arg=day
            )
        council = page.get_by_role("link", name="Council")
        watch = page.get_by_role("button", name="Watch")
        for stop in (council, watch):
            # Months come and go: what the day has may have to be read again.
            await expect(stop).to_be_visible(timeout=APPEARS_MS)
        for stop in (council, watch):
            await page.keyboard.press("Tab")
            await expect(stop).to_be_focused(timeout=APPEARS_MS)
        await page.keyboard.press("Space")
        await expect(watch).to_have_attribute("aria-pressed", "true", timeout=APPEARS_MS)


async def test_a_calendar_program_subscribes(tmp_path: Path) -> None:
    async with calendar(tmp_path) as (here, address, _, page):
        council = await event(here, "Council")
        await here.system.catalogue.reservations.reserve("viewer", council.id, Purpose.WATCH)
        await sign_in(page, address)
        await page.goto(address)
        await page.get_by_role("button", name="Create an address").click(timeout=APPEARS_MS)
        field = page.get_by_label("Calendar address", exact=True)
        await expect(field).to_be_visible(timeout=APPEARS_MS)
        async with httpx.AsyncClient(timeout=60) as program:
            url = await field.input_value()
            read = vobject.readOne((await program.get(url)).text)
            assert read.vevent.summary.value == "Council"
            await page.get_by_role("button", name="Revoke the address").click()
            await expect(page.get_by_role("button", name="Create an address")).to_be_visible(
                timeout=APPEARS_MS
            )
            await expect(field).to_have_count(0)
            assert (await program.get(url)).status_code == 404


async def test_what_can_go_wrong_is_said(tmp_path: Path) -> None:
    async with calendar(tmp_path) as (here, address, browser, page):
        failing = {"now": True}

        async def answer(route: Route) -> None:
            if failing["now"]:
                await route.fulfill(status=500, json={"code": "umbel.error", "message": "Broken."})
            else:
                await route.continue_()

        await page.route("**/api/v1/events", answer)
        await page.goto(f"{address}?month={MONTH}&view=agenda")
        await expect(page.get_by_role("alert")).to_contain_text("Broken.", timeout=APPEARS_MS)
        assert await violations(page) == []
        failing["now"] = False
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_text("Nothing in March 2099")).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await browser.set_offline(True)
        await expect(page.get_by_text("You are offline")).to_be_visible(timeout=APPEARS_MS)
        assert await violations(page) == []
        await event(here, "Council")
        await browser.set_offline(False)
        await expect(page.get_by_text("You are offline")).to_have_count(0, timeout=APPEARS_MS)
        await expect(page.get_by_role("link", name="Council")).to_be_visible(timeout=90_000)


async def test_everybody_can_use_it_on_every_screen(tmp_path: Path) -> None:
    async with calendar(tmp_path) as (here, address, _, page):
        long = "A council session with a title that is longer than any column of a calendar"
        for number, title in enumerate(("Council", long, "Choir", "Football", "Mass")):
            made = await event(here, title, LATE - timedelta(hours=number))
            await event(here, f"{title} on another day", LATE - timedelta(days=number + 1))
            if number < 2:
                await here.system.catalogue.reservations.reserve("viewer", made.id, Purpose.WATCH)
        await sign_in(page, address)
        for view in ("month", "agenda"):
            await page.goto(f"{address}?month={MONTH}&view={view}")
            shown = {"month": "March 31, 2099, 5 events, 2 reserved", "agenda": "Watch"}[view]
            target = page.get_by_role("button", name=shown).first
            await expect(target).to_be_visible(timeout=APPEARS_MS)
            await target.click()
            for width in (1280, 768, 390, 320):
                await page.set_viewport_size({"width": width, "height": 800})
                for scheme in SCHEMES:
                    await look(page, scheme)
                    assert await violations(page) == [], (view, width, scheme)
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
                await page.screenshot(path=tmp_path / f"{view}-{width}.png", full_page=True)
