"""What a signed-in viewer watched is in the calendar, in a real Chromium over the real platform."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.other_site import other_site
from support.platform import Platform, platform
from umbel.catalogue.model import UserRole
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DECODED_S = 90.0
APPEARS_MS = 30_000


async def sign_in(page: Page, made: Platform) -> None:
    viewer = next(a for a in made.accounts if a.role is UserRole.VIEWER)
    await page.goto(f"{made.url}/account")
    await page.get_by_label("Name", exact=True).fill(viewer.username)
    await page.get_by_label("Password", exact=True).fill(viewer.password)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )


async def test_what_was_watched_is_in_the_calendar_until_it_is_forgotten(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        # Who is not signed in watches, and nothing is kept: the account comes after.
        await page.goto(f"{made.url}/watch/{event.id}")
        await until_decoded(page, 30, timeout_s=DECODED_S)
        await sign_in(page, made)
        month = f"{datetime.now(UTC):%Y-%m}"
        await page.goto(f"{made.url}/calendar?month={month}&view=agenda")
        await expect(page.get_by_role("heading", name="What you watched")).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(page.get_by_text("✓ Watched")).to_have_count(0)

        await page.goto(f"{made.url}/watch/{event.id}")
        await until_decoded(page, 30, timeout_s=DECODED_S)
        # To leave the page by a link says how long it played.
        async with page.expect_request("**/api/v1/me/watched/*") as sent:
            await page.get_by_role("link", name="Calendar").click()
        answer = await (await sent.value).response()
        assert answer is not None
        assert answer.status == 204
        await page.goto(f"{made.url}/calendar?month={month}&view=agenda")
        (kept,) = await page.evaluate("async () => (await fetch('/api/v1/me/watched')).json()")
        assert kept["event"]["id"] == event.id
        # An event that goes on after midnight is on two days, of which this month may have one.
        ends = {str(kept["event"][end])[:10] for end in ("starts_at", "ends_at")}
        days = sum(day.startswith(month) for day in ends)
        mark = page.get_by_text("✓ Watched less than a minute")
        await expect(mark).to_have_count(days, timeout=APPEARS_MS)
        await page.get_by_role("button", name="Month", exact=True).click()
        await expect(page.get_by_role("button", name="1 watched")).to_have_count(days)
        assert await violations(page) == []

        await page.get_by_role("button", name="Forget all").click()
        await page.get_by_role("button", name="Forget it").click()
        await expect(page.get_by_role("button", name="1 watched")).to_have_count(
            0, timeout=APPEARS_MS
        )


async def test_another_sites_frame_plays_and_leaves_no_trace(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser, other_site() as other:
        event, _ = await made.live()
        page = await browser.new_page()
        await sign_in(page, made)
        await page.goto(f"{other}?{made.url}/embed/{event.id}")
        inside = await (await page.wait_for_selector("iframe")).content_frame()
        assert inside is not None
        await inside.wait_for_function(
            "() => window.umbelPlayer?.framesDecoded > 30 && umbelPlayer.state === 'playing'",
            timeout=DECODED_S * 1000,
        )
        await expect(page.frame_locator("iframe").get_by_role("link")).to_have_count(1)
        await page.goto(f"{made.url}/calendar")
        kept = await page.evaluate("async () => (await fetch('/api/v1/me/watched')).json()")
        assert kept == []
