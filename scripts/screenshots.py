#!/usr/bin/env python3
"""Take a picture of every page of the web app: the demo's network and event, real viewers.

make screenshots. Out: build/screenshots/NAME.png, the whole page in light colours, NAME-dark.png,
and NAME-phone.png, 390 pixels wide. The pictures that documents show (IN_DOCUMENTS) are taken for
docs/images too.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import BrowserContext, Page, expect
from playwright.async_api import Error as PlaywrightError

from umbel.catalogue.model import UserRole
from umbel.demo import encoder, stage
from umbel.demo.browser import chromium, until_decoded
from umbel.demo.model import Account
from umbel.demo.preparation import make_accounts
from umbel.demo.stage import Child, LiveEvent
from umbel.kit.clock import SystemClock, to_rfc3339

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PICTURES = ROOT / "build" / "screenshots"
IN_DOCUMENTS = frozenset({"calendar", "discover", "myshare", "network", "studio", "watch"})
WITHIN_MS = 60_000.0
LONG_S = 6.0
"""How long a recording is before it is shared."""
DESKTOP = (1280, 800)
PHONE = (390, 844)
MOVED_MS = 2500.0
"""How long a page's pictures and charts take to arrive."""
RESTYLED_MS = 700.0
"""How long a page takes to be drawn in other colours, or in another size."""
VIEWERS = (("pe2", "source"), ("pe4", "source"), ("pe5", "360p"))
COMING = (
    ("Choir rehearsal", 1),
    ("Town hall: budget", 1),
    ("Winter concert", 3),
    ("Lecture: networks", 4),
    ("Chess club final", 8),
)
"""Events of the next days, and in how many days each is."""
DAY_S = 86_400.0
RESERVED = frozenset({"Choir rehearsal", "Winter concert"})

Prepare = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A page: its address, a text that it shows, and what is done on it first."""

    name: str
    path: str
    shows: str
    prepare: Prepare | None = None


async def open_details(page: Page) -> None:
    """What the player measures."""
    await until_decoded(page, 60, timeout_s=WITHIN_MS / 1000)
    await page.get_by_text("Details").click()


async def see_live_picture(page: Page) -> None:
    """The live event's card has its picture."""
    await expect(page.locator("img[data-there=true]").first).to_be_visible(timeout=WITHIN_MS)


async def choose_day(page: Page) -> None:
    """The events of a day that has a reserved one."""
    await page.get_by_role("button", name="1 reserved").first.click()


async def play(page: Page) -> None:
    """The recording is open, and has a picture."""
    await page.get_by_role("button", name="Play").first.click()
    await replayed(page)


async def replayed(page: Page) -> None:
    """The recording has a picture."""
    await page.wait_for_function(
        "() => document.querySelector('[data-testid=replay]')?.readyState >= 2"
    )


async def rewind(page: Page) -> None:
    """The recording instead of the live picture."""
    await page.get_by_role("button", name="Pause and rewind").click(timeout=WITHIN_MS)
    await replayed(page)


GUEST = (
    Shot(name="discover", path="/", shows="Coming up", prepare=see_live_picture),
    Shot(name="discover-found", path="/?q=town", shows="Providers"),
    Shot(name="discover-nothing", path="/?q=zebra", shows="Nothing found"),
    Shot(name="provider", path="/providers/{provider}", shows="RSS feed"),
    Shot(name="watch", path="/watch/{event}", shows="Share", prepare=open_details),
    Shot(name="watch-soon", path="/watch/{coming}", shows="Share"),
    Shot(name="embed", path="/embed/{event}", shows="Test pattern"),
    Shot(name="calendar-guest", path="/calendar?month={month}", shows="Agenda"),
    Shot(name="calendar-nothing", path="/calendar?month=2020-02&view=agenda", shows="Nothing in"),
    Shot(name="myshare-guest", path="/recordings", shows="Your recordings are here"),
    Shot(name="account-sign-in", path="/account", shows="Sign in"),
    Shot(name="sign-up", path="/sign-up", shows="Create an account"),
    Shot(name="verify-email", path="/verify-email#secret", shows="Confirm"),
    Shot(name="forgot-password", path="/forgot-password", shows="Forgot your password?"),
    Shot(name="reset-password", path="/reset-password#secret", shows="Choose a new password"),
    Shot(name="shared", path="/shared/{secret}", shows="Test pattern", prepare=replayed),
    Shot(name="shared-gone", path="/shared/none", shows="This link no longer works"),
    Shot(name="studio-sign-in", path="/studio", shows="Sign in to the studio"),
    Shot(name="network-sign-in", path="/network", shows="Sign in to see the network"),
    Shot(name="not-found", path="/no/such/page/here", shows="Page not found"),
)
VIEWER = (
    Shot(name="watch-viewer", path="/watch/{event}", shows="Stop recording"),
    Shot(name="watch-back", path="/watch/{event}", shows="Share", prepare=rewind),
    Shot(name="watch-reserve", path="/watch/{coming}", shows="Reserved to"),
    Shot(name="myshare", path="/recordings", shows="Town Hall", prepare=play),
    Shot(name="calendar", path="/calendar?month={month}", shows="Agenda", prepare=choose_day),
    Shot(name="calendar-agenda", path="/calendar?month={month}&view=agenda", shows="Reserved to"),
    Shot(name="account", path="/account", shows="Your data"),
    Shot(name="studio-viewer", path="/studio", shows="This account can watch"),
)
PROVIDER = (
    Shot(name="myshare-nothing", path="/recordings", shows="No recordings yet"),
    Shot(name="studio", path="/studio/events/{event}", shows="On air"),
    Shot(name="studio-soon", path="/studio/events/{coming}", shows="Show the addresses"),
    Shot(name="studio-list", path="/studio", shows="New event"),
)
OPERATOR = (Shot(name="network", path="/network", shows="transcoder"),)


async def main() -> int:
    """Start everything, take the pictures, end everything. Answers the exit code."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        accounts = await make_accounts(Path(folder))
        settings = {"UMBEL_SIGN_UP": "open"}
        serve, url = await stage.start_platform(Path(folder), settings=settings)
        children: list[Child] = [serve]
        try:
            async with httpx.AsyncClient(base_url=url, timeout=30) as api, chromium() as browser:
                event = await live(api, accounts, Path(folder), children)
                await watch(browser, url, event)
                places = {"event": event.id, **await schedule(api, accounts, event)}
                missing = await look(browser, url, accounts, places)
        finally:
            for child in reversed(children):
                await child.stop()
    return 1 if missing else 0


async def live(
    api: httpx.AsyncClient, accounts: Sequence[Account], folder: Path, children: list[Child]
) -> LiveEvent:
    """An event that an encoder pushes to, and that is recorded for everybody."""
    await stage.sign_in(api, of(accounts, UserRole.PROVIDER))
    event = await stage.open_event(api)
    policy = f"/api/v1/events/{event.id}/replay-policy"
    await stage.done(api.put(policy, json={"enabled": True}))
    command = encoder.push_command(event.ingest, event.stream_key, protocol="rtmp")
    pusher = await stage.start("encoder", command, folder / "encoder.log")
    children.append(pusher)
    await stage.until_live(api, event.id, pusher)
    return event


async def watch(browser: BrowserContext, url: str, event: LiveEvent) -> None:
    """Viewers at several nodes, who stay."""
    for node, quality in VIEWERS:
        page = await browser.new_page()
        await page.goto(f"{url}/watch/{event.id}?node={node}&protocol=whep&quality={quality}")
        await until_decoded(page, 60, timeout_s=WITHIN_MS / 1000)


async def schedule(
    api: httpx.AsyncClient, accounts: Sequence[Account], event: LiveEvent
) -> Mapping[str, str]:
    """Events of the next days, some of which the viewer reserved, and a recording of the viewer's
    with a link to it. What stands in the pages' addresses."""
    provider = (await stage.done(api.get("/api/v1/me"))).json()["provider_id"]
    today_s = SystemClock().now_s() // DAY_S * DAY_S + 18 * 3600
    made: dict[str, str] = {}
    for title, days in COMING:
        starts_s = today_s + days * DAY_S
        body = {
            "provider_id": provider,
            "title": title,
            "starts_at": to_rfc3339(starts_s),
            "ends_at": to_rfc3339(starts_s + 5400),
        }
        made[title] = (await stage.done(api.post("/api/v1/events", json=body))).json()["id"]
    await stage.sign_in(api, of(accounts, UserRole.VIEWER))
    for title in RESERVED:
        path = f"/api/v1/me/reservations/{made[title]}"
        await stage.done(api.put(path, json={"purpose": "watch"}))
    return {
        "provider": provider,
        "coming": made["Winter concert"],
        "month": to_rfc3339(today_s + COMING[0][1] * DAY_S)[:7],
        "secret": await record(api, event),
    }


async def record(api: httpx.AsyncClient, event: LiveEvent) -> str:
    """The secret of a link to a recording that has begun."""
    body: dict[str, Any] = {"event_id": event.id, "begin": "now"}
    recording = (await stage.done(api.post("/api/v1/me/recordings", json=body))).json()
    path = f"/api/v1/me/recordings/{recording['id']}"
    async with asyncio.timeout(WITHIN_MS / 1000):
        while (await stage.done(api.get(path))).json()["duration_s"] < LONG_S:  # noqa: ASYNC110 -- REST has no event
            await asyncio.sleep(1.0)
    share = await stage.done(api.post(f"{path}/shares", json={"expires_in_s": int(DAY_S)}))
    return str(share.json()["url"].rsplit("/", 1)[1])


async def look(
    browser: BrowserContext, url: str, accounts: Sequence[Account], places: Mapping[str, str]
) -> Sequence[str]:
    """Every page, as each kind of user; the names of those that did not show what they should."""
    missing: list[str] = []
    page = await browser.new_page()
    for role, shots in (
        (None, GUEST),
        (UserRole.VIEWER, VIEWER),
        (UserRole.PROVIDER, PROVIDER),
        (UserRole.OPERATOR, OPERATOR),
    ):
        if role is not None:
            await sign_in(page, url, of(accounts, role))
        for shot in shots:
            try:
                await look_at(page, url + shot.path.format_map(places), shot)
            except (AssertionError, PlaywrightError) as error:
                missing.append(shot.name)
                sys.stderr.write(f"{shot.name} was not taken: {error}\n")
        if role is not None:
            await page.get_by_role("button", name="Sign out", exact=True).click()
            await expect(page.get_by_role("button", name="Sign out", exact=True)).to_have_count(0)
    return missing


async def look_at(page: Page, address: str, shot: Shot) -> None:
    """One page, in all its pictures. Raises AssertionError, Playwright's errors."""
    # An address that differs only in its fragment would not be loaded again.
    await page.goto("about:blank")
    await page.goto(address)
    await expect(page.get_by_text(shot.shows).first).to_be_visible(timeout=WITHIN_MS)
    if shot.prepare is not None:
        await shot.prepare(page)
    await take_all(page, shot.name)


def of(accounts: Sequence[Account], role: UserRole) -> Account:
    """The account of this role."""
    return next(one for one in accounts if one.role is role)


async def sign_in(page: Page, url: str, account: Account) -> None:
    """By the form of the account's page."""
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill(account.username)
    await page.get_by_label("Password", exact=True).fill(account.password)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()


async def take_all(page: Page, name: str) -> None:
    """In light and dark colours, and on a phone."""
    await page.evaluate("scrollTo(0, 0)")
    await page.wait_for_timeout(MOVED_MS)
    if name in IN_DOCUMENTS:
        await page.screenshot(path=IMAGES / f"{name}.png")
        report(IMAGES / f"{name}.png")
    await take(page, name)
    await page.emulate_media(color_scheme="dark")
    await take(page, f"{name}-dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await take(page, f"{name}-phone")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    if wide > PHONE[0]:
        sys.stderr.write(f"{name} is {wide} pixels wide on a phone of {PHONE[0]}\n")
    await page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


async def take(page: Page, name: str) -> None:
    """All of the page, down to its end."""
    await page.wait_for_timeout(RESTYLED_MS)
    path = PICTURES / f"{name}.png"
    await page.screenshot(path=path, full_page=True)
    report(path)


def report(path: Path) -> None:
    """A line for each picture."""
    sys.stderr.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
