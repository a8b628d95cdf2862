#!/usr/bin/env python3
"""Take the pictures of docs/images again: the demo's network and event, real viewers in Chromium.

make screenshots. Out: discover.png, watch.png, studio.png, network.png.
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

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WITHIN_S = 90.0
VIEWERS = (("pe2", "source"), ("pe4", "source"), ("pe5", "360p"))


async def main() -> None:
    """Start everything, look, end everything."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        accounts = await make_accounts(Path(folder))
        serve, url = await stage.start_platform(Path(folder))
        children: list[Child] = [serve]
        try:
            async with httpx.AsyncClient(base_url=url, timeout=30) as api, chromium() as browser:
                event = await live(api, accounts, Path(folder), children)
                await look(browser, url, accounts, event)
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
    await take(page, "discover")
    for role, path, name, shows in (
        (UserRole.PROVIDER, f"studio/events/{event.id}", "studio", "On air"),
        (UserRole.OPERATOR, "network", "network", "transcoder"),
    ):
        account = next(a for a in accounts if a.role is role)
        await page.goto(f"{url}/{path.partition('/')[0]}")
        await page.get_by_label("Name").fill(account.username)
        await page.get_by_label("Password").fill(account.password)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        await page.goto(f"{url}/{path}")
        await expect(page.get_by_text(shows).first).to_be_visible(timeout=WITHIN_S * 1000)
        await take(page, name)
        await page.get_by_role("button", name="Sign out").click()


async def take(page: Page, name: str) -> None:
    """The page as it is once nothing moves any more."""
    await page.evaluate("scrollTo(0, 0)")
    await page.wait_for_timeout(2500)
    path = IMAGES / f"{name}.png"
    await page.screenshot(path=path)
    sys.stderr.write(f"{path.relative_to(IMAGES.parent.parent)}\n")


if __name__ == "__main__":
    asyncio.run(main())
