"""Pages of the web app on a phone and a desk, in light and dark: no violation of WCAG's rules,
nothing that moves by itself, nothing wider than the window, no fault, a notice without a network;
and a watch page whose event cannot be read any more.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import ConsoleMessage, Page, Request, Route, expect

from e2e.test_web_recordings import on_air
from support.axe import violations
from support.http import PASSWORD
from support.waiting import until
from support.web_world import web_world
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

WIDTHS = (1280, 390)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
MOST_SHIFT = 0.05
APPEARS_MS = 30_000
QUIET_S = 0.3
"""Between an answer and the request that it leads to is less."""
FEED = "/api/v1/state"
"""The answer to this request has no end."""

LAYOUT = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { hadRecentInput, value, sources } of list.getEntries()) {
      const moved = sources.map(({ node }) => node?.className || node?.nodeName);
      if (!hadRecentInput) window.shifts.push({ value, moved });
    }
  }).observe({ type: 'layout-shift', buffered: true });
}"""
IS_WIDE = "document.documentElement.scrollWidth > innerWidth"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A page in one state: its name in routes.ts, an address, and the heading that it then has."""

    page: str
    path: str
    heading: str


CLOSED = Row(page="sign-up", path="/sign-up", heading="Accounts come from the operator")


class Watched:
    """A page of a browser's: what it waits for, and what went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.open: set[Request] = set()
        self.changed_s = 0.0
        self.faults: list[str] = []
        page.on("request", self._began)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _began(self, request: Request) -> None:
        if not request.url.endswith(FEED):
            self.open.add(request)
            self.changed_s = asyncio.get_running_loop().time()

    def _ended(self, request: Request) -> None:
        self.open.discard(request)
        self.changed_s = asyncio.get_running_loop().time()

    def _logged(self, message: ConsoleMessage) -> None:
        # A refusal of the API's is a state of the page, and the browser logs it.
        refused = message.text.startswith("Failed to load resource") and (
            "/api/" in message.location["url"]
        )
        if message.type == "error" and not refused:
            self.faults.append(message.text)

    async def is_quiet(self) -> bool:
        quiet_s = asyncio.get_running_loop().time() - self.changed_s
        return not self.open and quiet_s > QUIET_S

    async def visit(self, address: str, row: Row) -> None:
        self.open.clear()
        self.faults.clear()
        # From a page of a fragment to another one of the same is no visit.
        await self.page.goto("about:blank")
        await self.page.goto(address)
        heading = self.page.get_by_role("heading", level=1, name=row.heading)
        await expect(heading).to_be_visible(timeout=APPEARS_MS)
        await expect(self.page.locator(".loading")).to_have_count(0, timeout=APPEARS_MS)
        await until(self.is_quiet, within_s=APPEARS_MS / 1000)


async def wrong_with(watched: Watched, address: str, row: Row) -> list[str]:
    """What is wrong with a page; nothing is none."""
    page = watched.page
    found = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        await watched.visit(address, row)
        shifts = await page.evaluate("shifts")
        print(
            "CLS",
            row.path,
            width,
            round(sum(one["value"] for one in shifts), 4),
            asyncio.get_running_loop().time(),
            flush=True,
        )
        if sum(one["value"] for one in shifts) >= MOST_SHIFT:
            found.append(f"{width}: moves: {shifts}")
        if await page.evaluate(IS_WIDE):
            found.append(f"{width}: is wider than the window")
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{width} {scheme}: {one}" for one in await violations(page)]
        found += [f"{width}: {fault}" for fault in watched.faults]
    if row.page != "embed":
        await page.context.set_offline(True)
        await expect(page.get_by_text("You are offline")).to_have_count(1, timeout=APPEARS_MS)
        await page.context.set_offline(False)
    return [f"{row.path} {one}" for one in found]


@asynccontextmanager
async def browsing(url: str, username: str) -> AsyncIterator[Watched]:
    """A page in a browser of its own, signed in as somebody."""
    async with chromium(locale="en-GB") as browser:
        await browser.add_init_script(f"({LAYOUT})()")
        page = await browser.new_page()
        if username:
            await page.goto(f"{url}/account")
            await page.get_by_label("Name", exact=True).fill(username)
            await page.get_by_label("Password", exact=True).fill(PASSWORD)
            await page.locator("form").get_by_role("button", name="Sign in").click()
            account = page.get_by_role("heading", name="Account", exact=True)
            await expect(account).to_be_visible(timeout=APPEARS_MS)
        yield Watched(page)


async def test_the_sign_up_that_is_closed_says_so(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), browsing(url, "") as watched:
        assert await wrong_with(watched, url + CLOSED.path, CLOSED) == []


async def test_a_watch_page_says_that_its_event_cannot_be_read_any_more(tmp_path: Path) -> None:
    async def broken(route: Route) -> None:
        await route.fulfill(status=500, json={"code": "umbel.error", "message": "Broken."})

    async with web_world(tmp_path) as (here, url), browsing(url, "") as watched:
        event, _ = await on_air(here, "On air")
        row = Row(page="watch", path=f"/watch/{event.id}", heading="On air")
        await watched.visit(url + row.path, row)
        alert = watched.page.get_by_role("alert").filter(has_text="Broken.")
        await expect(alert).to_have_count(0)
        await watched.page.route(f"**/api/v1/events/{event.id}", broken)
        await expect(alert).to_be_visible(timeout=APPEARS_MS)
        await expect(watched.page.get_by_label("Live video: On air")).to_be_visible()
        await watched.page.unroute(f"**/api/v1/events/{event.id}")
        await alert.get_by_role("button", name="Try again").click()
        await expect(alert).to_have_count(0, timeout=APPEARS_MS)
