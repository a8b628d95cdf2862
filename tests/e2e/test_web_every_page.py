"""Every page of the web app in its main states, on a phone and a desk, in light and dark: no
violation of WCAG's rules, nothing that moves by itself, nothing wider than the window, no fault,
and a notice where the browser is offline.

Left out: /docs, which Swagger UI draws (test_web_pages.py).
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import ConsoleMessage, Page, Request, Route, expect

from e2e.test_web_recordings import on_air, recorded
from support.axe import violations
from support.http import PASSWORD, World
from support.waiting import until
from support.web_world import web_world
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROUTES = Path(__file__).parents[2] / "web/src/kit/routes.ts"
WIDTHS = (1280, 390)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
MOST_SHIFT = 0.1
"""More of it (CLS) is not good for people: web.dev/articles/cls."""
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
TRIED = """() => addEventListener('click', () => { window.isTried = true; }, true)"""
IS_WIDE = "document.documentElement.scrollWidth > innerWidth"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A page in one state: its name in routes.ts, an address, and the heading that it then has."""

    page: str
    path: str
    heading: str


SIGNED_OUT = (
    Row(page="discover", path="/", heading="Discover"),
    Row(page="discover", path="/?q=nothing-has-this-name", heading="Discover"),
    Row(page="watch", path="/watch/{live}", heading="On air"),
    Row(page="watch", path="/watch/{ended}", heading="Ended"),
    Row(page="watch", path="/watch/{soon}", heading="Later"),
    Row(page="watch", path="/watch/ev_unknown", heading="Event not found"),
    Row(page="embed", path="/embed/{live}", heading="On air"),
    Row(page="embed", path="/embed/ev_unknown", heading="This event is not there"),
    Row(page="provider", path="/providers/{provider}", heading="City"),
    Row(page="provider", path="/providers/pr_unknown", heading="Provider not found"),
    Row(page="studio", path="/studio", heading="Sign in to the studio"),
    Row(page="studio-event", path="/studio/events/{soon}", heading="Sign in to the studio"),
    Row(page="network", path="/network", heading="Sign in to see the network"),
    Row(page="calendar", path="/calendar", heading="Calendar"),
    Row(page="recordings", path="/recordings", heading="MyShare"),
    Row(page="shared", path="/shared/{secret}", heading="Ended"),
    Row(page="shared", path="/shared/unknown", heading="This link no longer works"),
    Row(page="account", path="/account", heading="Sign in"),
    Row(page="sign-up", path="/sign-up", heading="Create an account"),
    Row(page="verify-email", path="/verify-email", heading="Confirm your e-mail address"),
    Row(page="verify-email", path="/verify-email#it", heading="Confirm your e-mail address"),
    Row(page="forgot-password", path="/forgot-password", heading="Forgot your password?"),
    Row(page="reset-password", path="/reset-password", heading="This link is not complete"),
    Row(page="reset-password", path="/reset-password#it", heading="Choose a new password"),
    Row(page="missing", path="/nowhere/at/all", heading="Page not found"),
)
VIEWER = (
    Row(page="discover", path="/", heading="Discover"),
    Row(page="watch", path="/watch/{soon}", heading="Later"),
    Row(page="calendar", path="/calendar", heading="Calendar"),
    Row(page="calendar", path="/calendar?view=agenda", heading="Calendar"),
    Row(page="calendar", path="/calendar?month=2090-01&view=agenda", heading="Calendar"),
    Row(page="recordings", path="/recordings", heading="MyShare"),
    Row(page="account", path="/account", heading="Account"),
    Row(page="sign-up", path="/sign-up", heading="You are signed in"),
    Row(page="studio", path="/studio", heading="This account can watch, but not publish"),
    Row(page="network", path="/network", heading="Only operators can see the network"),
)
PROVIDER = (
    Row(page="studio", path="/studio", heading="Studio"),
    Row(page="studio-event", path="/studio/events/{soon}", heading="Later"),
    Row(page="studio-event", path="/studio/events/{live}", heading="On air"),
    Row(page="studio-event", path="/studio/events/{ended}", heading="Ended"),
    Row(page="studio-event", path="/studio/events/ev_unknown", heading="This event cannot be"),
    Row(page="network", path="/network", heading="Only operators can see the network"),
)
OPERATOR = (
    Row(page="network", path="/network", heading="Network"),
    Row(page="network", path="/network?event={live}", heading="Network"),
    Row(page="studio", path="/studio", heading="Studio"),
)
BY_PERSON = {"": SIGNED_OUT, "viewer": VIEWER, "city": PROVIDER, "operator": OPERATOR}
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
        # The browser logs what the API refuses and that no edge is there: states of the page.
        path = urlsplit(message.location["url"]).path
        refused = message.text.startswith("Failed to load resource") and (
            path.startswith("/api/") or "ERR_CONNECTION_REFUSED" in message.text
        )
        if message.type == "error" and not refused:
            self.faults.append(message.text)

    async def is_quiet(self) -> bool:
        quiet_s = asyncio.get_running_loop().time() - self.changed_s
        return not self.open and quiet_s > QUIET_S

    async def visit(self, address: str, row: Row) -> None:
        # From a page of a fragment to another one of the same is no visit; and what the last page
        # still says comes before this is there.
        await self.page.goto("about:blank")
        self.open.clear()
        self.faults.clear()
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


async def furnished(here: World) -> dict[str, str]:
    """Events in their states, a recording and its link: what the addresses name."""
    ended = await recorded(here, "Ended")
    live, _ = await on_air(here, "On air")
    soon = await here.event(title="Later")
    (kept,), _ = await here.system.recordings.of("viewer")
    _, secret = await here.system.recordings.share("viewer", kept.recording.id, 3600)
    names = {"live": live.id, "ended": ended.id, "soon": soon.id}
    return names | {"provider": here.city.id, "secret": secret}


def test_every_route_has_a_row() -> None:
    text = ROUTES.read_text()
    types, _, rest = text.partition("function decode")
    single = re.search(r"const SINGLE = \[(.*?)\]", rest, re.DOTALL)
    assert single is not None
    routes = {*re.findall(r"page: '([a-z-]+)'", types), *re.findall(r"'([a-z-]+)'", single[1])}
    assert {"watch", "missing", "account"} <= routes, "routes.ts is written in another way now"
    assert {row.page for rows in BY_PERSON.values() for row in rows} == routes


async def test_every_page_is_for_everybody_and_stands_still(tmp_path: Path) -> None:
    async with web_world(tmp_path, sign_up="open") as (here, url):
        names = await furnished(here)

        async def walk(username: str) -> list[str]:
            async with browsing(url, username) as watched:
                found = []
                for row in BY_PERSON[username]:
                    found += await wrong_with(watched, url + row.path.format(**names), row)
                return [f"{username or 'signed out'}: {one}" for one in found]

        wrong = await asyncio.gather(*map(walk, BY_PERSON))
    faults = [one for found in wrong for one in found]
    assert not faults, "\n".join(faults)


async def test_the_sign_up_that_is_closed_says_so(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), browsing(url, "") as watched:
        assert await wrong_with(watched, url + CLOSED.path, CLOSED) == []


async def test_a_watch_page_says_that_its_event_cannot_be_read_any_more(tmp_path: Path) -> None:
    async def broken(route: Route) -> None:
        # The page asks by itself, too: only what it asks once the button is pressed is answered.
        if await route.request.frame.evaluate("window.isTried === true"):
            await route.fallback()
        else:
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
        await watched.page.evaluate(TRIED)
        await alert.get_by_role("button", name="Try again").click()
        await expect(alert).to_have_count(0, timeout=APPEARS_MS)
        await watched.page.unroute_all(behavior="wait")
