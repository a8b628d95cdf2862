"""Signing in and out in a real Chromium, by a cookie that the page's scripts never see."""

from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from support.platform import platform
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
EVERYTHING_SCRIPTS_SEE = """() => JSON.stringify([
  document.cookie, {...localStorage}, {...sessionStorage}])"""


async def sign_in(page: Page, username: str, password: str) -> None:
    await page.get_by_label("Name").fill(username)
    await page.get_by_label("Password").fill(password)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=APPEARS_MS)


async def hold_looks(route: Route) -> None:
    """Let nothing through but what changes something."""
    await (route.abort() if route.request.method == "GET" else route.continue_())


async def test_a_sign_in_outlives_a_reload_and_ends_in_every_tab(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        cookie = next(c for c in await browser.cookies() if c["name"] == "umbel-session")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert cookie["value"] not in await page.evaluate(EVERYTHING_SCRIPTS_SEE)

        await page.reload()
        await expect(page.get_by_role("heading", name="New event")).to_be_visible(
            timeout=APPEARS_MS
        )
        other = await browser.new_page()
        await other.goto(f"{made.url}/studio")
        await expect(other.get_by_role("heading", name="New event")).to_be_visible(
            timeout=APPEARS_MS
        )

        await page.get_by_role("button", name="Sign out").click()
        for tab in (page, other):
            await expect(tab.get_by_role("heading", name="Sign in to the studio")).to_be_visible(
                timeout=APPEARS_MS
            )
        assert await browser.cookies() == []


async def test_a_page_that_was_signed_out_elsewhere_asks_to_sign_in_again(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        await page.get_by_label("Title").fill("Council session")
        # The page's own looks would find out, too: here the button is the one that does.
        await page.route("**/api/v1/**", hold_looks)
        form = {"grant_type": "password", "username": "provider", "password": provider.password}
        token = (await made.api.post("/oauth/token", data=form)).json()["access_token"]
        elsewhere = {"Authorization": f"Bearer {token}"}
        ended = await made.api.delete("/api/v1/me/tokens", headers=elsewhere)
        assert ended.status_code == 204, ended.text
        await page.get_by_role("button", name="Create event").click()
        await expect(page.get_by_role("heading", name="Sign in to the studio")).to_be_visible(
            timeout=APPEARS_MS
        )
        await page.unroute("**/api/v1/**")
        await sign_in(page, "provider", provider.password)
        await expect(page.get_by_role("heading", name="New event")).to_be_visible(
            timeout=APPEARS_MS
        )


async def test_the_apis_page_acts_for_who_is_signed_in(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        viewer = next(a for a in made.accounts if a.username == "viewer")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "viewer", viewer.password)
        await page.goto(f"{made.url}/docs#/users/end_web_session")
        operation = page.locator("#operations-users-end_web_session")
        await operation.get_by_role("button", name="Try it out").click(timeout=APPEARS_MS)
        await operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table td.response-col_status:not(.col_header)")
        await expect(answer).to_have_text("204", timeout=APPEARS_MS)
        assert await browser.cookies() == []
