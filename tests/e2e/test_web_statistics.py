"""The numbers of an event in a real Chromium: while it is live and afterwards, with its tables."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from support.axe import violations
from support.http import PASSWORD
from support.web_world import web_world
from umbel.catalogue.model import EventEvent
from umbel.catalogue.reservations.model import Purpose
from umbel.delivery.attendance import store
from umbel.delivery.attendance.model import Gathered, Share
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
NOON_S = 1_800_000_000


async def test_a_provider_sees_how_many_watched_and_takes_the_tables(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        event = await here.open_event()
        await here.system.catalogue.transition(event.id, EventEvent.END)
        counts = (3, 10, 24, 20, 6)
        gathered = Gathered(
            minutes={
                (event.id, NOON_S + 60 * number): Share(
                    opened=1, watched_s=60.0 * count, peak=count
                )
                for number, count in enumerate(counts)
            },
            places={
                (event.id, "pe1", "pe2"): Share(opened=30, watched_s=2_000.0, peak=15),
                (event.id, "pe3", "pe2"): Share(opened=12, watched_s=1_780.0, peak=9),
            },
            events={event.id: Share(opened=42, watched_s=60.0 * sum(counts), peak=24)},
        )
        await here.system.database.write(store.add, gathered, 1)
        page = await browser.new_page()
        await page.emulate_media(reduced_motion="reduce")
        await page.goto(f"{url}/studio/events/{event.id}")
        await page.get_by_label("Name", exact=True).fill("city")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        card = page.get_by_role("region", name="Viewers")
        await expect(card.get_by_text("Peak viewers")).to_be_visible(timeout=APPEARS_MS)
        facts = await card.locator("dd").all_inner_texts()
        assert facts == ["24", "13", "42", "1:03:00", "1:30", "0"]
        curve = card.get_by_role("img")
        await expect(curve).to_have_accessible_name(
            "Viewers from 08:00 AM to 08:05 AM: peak 24, average 12.6"
        )
        await expect(card.get_by_role("row", name="pe1 pe2")).to_contain_text("53 %")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page) == [], scheme
        async with page.expect_download() as started:
            await card.get_by_role("link", name="Curve as CSV").click()
        table = Path(await (await started.value).path()).read_text()
        assert table.splitlines()[3].endswith("24.0,24,1")
        await page.set_viewport_size({"width": 360, "height": 740})
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360


async def test_a_provider_sees_who_is_expected_and_who_came(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        now_s = here.system.clock.now_s()
        event = await here.event(starts_s=now_s + 3_600, ends_s=now_s + 7_200)
        for who in ("viewer", "club"):
            await here.system.catalogue.reservations.reserve(who, event.id, Purpose.WATCH)
        page = await browser.new_page()
        await page.emulate_media(reduced_motion="reduce")
        await page.goto(f"{url}/studio/events/{event.id}")
        await page.get_by_label("Name", exact=True).fill("city")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        card = page.get_by_role("region", name="Expected viewers")
        text = "Expected peak: 1. Reservations: 2; earlier events: 0"
        await expect(card.get_by_text(text)).to_be_visible(timeout=APPEARS_MS)
        name = re.compile("^Expected and actual viewers from ")
        await expect(card.get_by_role("img")).to_have_accessible_name(name)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page) == [], scheme
