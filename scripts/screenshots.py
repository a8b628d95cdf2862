#!/usr/bin/env python3
"""Take the pictures of docs/images again: the demo's network and event, real viewers in Chromium.

make screenshots. Out: discover.png, watch.png, calendar.png, myshare.png, studio.png, network.png;
what viewers see also in dark colours and on a phone (discover-dark.png, discover-phone.png ...).
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from playwright.async_api import BrowserContext, Page, expect

from umbel.catalogue.model import UserRole
from umbel.demo import encoder, stage
from umbel.demo.browser import chromium, until_decoded
from umbel.demo.model import Account
from umbel.demo.preparation import make_accounts
from umbel.demo.stage import Child, LiveEvent
from umbel.kit.clock import SystemClock, to_rfc3339

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WITHIN_S = 90.0
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


async def main() -> None:
    """Start everything, look, end everything."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        accounts = await make_accounts(Path(folder))
        serve, url = await stage.start_platform(Path(folder))
        children: list[Child] = [serve]
        try:
            async with httpx.AsyncClient(base_url=url, timeout=30) as api, chromium() as browser:
                event = await live(api, accounts, Path(folder), children)
                month = await schedule(api, accounts)
                await look(browser, url, accounts, event)
                await look_as_viewer(browser, url, accounts, month, event)
        finally:
            for child in reversed(children):
                await child.stop()


async def live(
    api: httpx.AsyncClient, accounts: Sequence[Account], folder: Path, children: list[Child]
) -> LiveEvent:
    """An event that an encoder pushes to."""
    await stage.sign_in(api, next(a for a in accounts if a.role is UserRole.PROVIDER))
    event = await stage.open_event(api)
    command = encoder.push_command(event.ingest, event.stream_key, protocol="rtmp")
    pusher = await stage.start("encoder", command, folder / "encoder.log")
    children.append(pusher)
    await stage.until_live(api, event.id, pusher)
    return event


async def schedule(api: httpx.AsyncClient, accounts: Sequence[Account]) -> str:
    """Events of the next days, some of which the viewer reserved; the month of the first one."""
    await stage.sign_in(api, next(a for a in accounts if a.role is UserRole.PROVIDER))
    provider = (await api.get("/api/v1/me")).raise_for_status().json()["provider_id"]
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
        answer = await api.post("/api/v1/events", json=body)
        made[title] = answer.raise_for_status().json()["id"]
    await stage.sign_in(api, next(a for a in accounts if a.role is UserRole.VIEWER))
    for title in RESERVED:
        path = f"/api/v1/me/reservations/{made[title]}"
        (await api.put(path, json={"purpose": "watch"})).raise_for_status()
    return to_rfc3339(today_s + COMING[0][1] * DAY_S)[:7]


async def look(
    browser: BrowserContext, url: str, accounts: Sequence[Account], event: LiveEvent
) -> None:
    """Watch as several viewers, and take the pictures."""
    pages = []
    for node, quality in VIEWERS:
        page = await browser.new_page()
        await page.goto(f"{url}/watch/{event.id}?node={node}&protocol=whep&quality={quality}")
        await until_decoded(page, 60, timeout_s=WITHIN_S)
        pages.append(page)
    await pages[0].bring_to_front()
    await pages[0].get_by_text("Details").click()
    await take(pages[0], "watch")
    page = await browser.new_page()
    await page.goto(url)
    await expect(page.get_by_role("link").filter(has_text="Live").first).to_be_visible()
    picture = page.locator("img[data-there=true]")
    await expect(picture).to_be_visible(timeout=WITHIN_S * 1000)
    await take_all(page, "discover")
    for role, path, name, shows in (
        (UserRole.PROVIDER, f"studio/events/{event.id}", "studio", "On air"),
        (UserRole.OPERATOR, "network", "network", "transcoder"),
    ):
        await sign_in(page, f"{url}/{path.partition('/')[0]}", accounts, role)
        await page.goto(f"{url}/{path}")
        await expect(page.get_by_text(shows).first).to_be_visible(timeout=WITHIN_S * 1000)
        await take(page, name)
        await page.get_by_role("button", name="Sign out").click()


async def look_as_viewer(
    browser: BrowserContext,
    url: str,
    accounts: Sequence[Account],
    month: str,
    event: LiveEvent,
) -> None:
    """A recording that plays, and the calendar with a day chosen."""
    page = await browser.new_page()
    await sign_in(page, f"{url}/studio", accounts, UserRole.VIEWER)
    await page.goto(f"{url}/watch/{event.id}")
    await page.get_by_role("button", name="Record from now").click()
    await page.goto(f"{url}/recordings")
    await expect(page.get_by_text("0:3")).to_be_visible(timeout=WITHIN_S * 1000)
    await page.get_by_role("button", name="Play").click()
    await page.wait_for_function(
        "() => document.querySelector('[data-testid=replay]')?.readyState >= 2"
    )
    await take_all(page, "myshare")
    await page.goto(f"{url}/calendar?month={month}")
    await page.get_by_role("button", name="1 reserved").first.click()
    await take_all(page, "calendar")


async def sign_in(page: Page, url: str, accounts: Sequence[Account], role: UserRole) -> None:
    """By the form of that page."""
    account = next(a for a in accounts if a.role is role)
    await page.goto(url)
    await page.get_by_label("Name").fill(account.username)
    await page.get_by_label("Password").fill(account.password)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def take_all(page: Page, name: str) -> None:
    """In light and dark colours, and on a phone."""
    await take(page, name)
    await page.emulate_media(color_scheme="dark")
    await take(page, f"{name}-dark")
    await page.emulate_media(color_scheme="light")
    size = page.viewport_size
    await page.set_viewport_size({"width": 390, "height": 844})
    await take(page, f"{name}-phone")
    if size is not None:
        await page.set_viewport_size(size)


async def take(page: Page, name: str) -> None:
    """The page as it is once nothing moves any more."""
    await page.evaluate("scrollTo(0, 0)")
    await page.wait_for_timeout(2500)
    path = IMAGES / f"{name}.png"
    await page.screenshot(path=path)
    sys.stderr.write(f"{path.relative_to(IMAGES.parent.parent)}\n")


if __name__ == "__main__":
    asyncio.run(main())
