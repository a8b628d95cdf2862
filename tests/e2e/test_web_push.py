"""Notifications in a real Chromium: a reminder goes out encrypted, and the service worker shows it.

Headless Chromium has no push service of its own. So the push goes to one on loopback, which opens
it as a browser does, and its text is handed to the service worker by the DevTools protocol.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from support.axe import violations
from support.http import PASSWORD, World
from support.waiting import until
from support.web_world import web_world
from umbel.catalogue.choices.model import Channel
from umbel.catalogue.reservations.model import Purpose
from umbel.demo.browser import chromium
from umbel.kit import derived_keys
from umbel.kit.vapid import Vapid
from umbel.notify.drivers.push_service import PushService, Subscription
from umbel.notify.drivers.webpush import WebPusher
from umbel.schedule.push import PushCarrier
from umbel.schedule.reminding import Reminding
from umbel.schedule.sending import Sending

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
DAY_S = 86_400.0


async def sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill("viewer")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Account", exact=True)).to_be_visible(
        timeout=APPEARS_MS
    )


async def reminder(here: World, browser: Subscription) -> str:
    """The text of a real reminder, as the push service opened it."""
    catalogue, clock = here.system.catalogue, here.system.clock
    starts_s = clock.now_s() + DAY_S + 3_600
    made = await here.event(title="Grüße <b>& Chor</b>", starts_s=starts_s, ends_s=starts_s + 60)
    await catalogue.reservations.reserve("viewer", made.id, Purpose.WATCH)
    keys = browser.keys
    await catalogue.devices.add("viewer", browser.endpoint, keys["p256dh"], keys["auth"], "A phone")
    later = _Later(clock.now_s() + 3_601)
    catalogue.reminders._clock = later
    vapid = Vapid(key=derived_keys.p256(b"of a test", b"push"))
    pusher = WebPusher(vapid, clock, allow_private=True)
    carrier = PushCarrier(pusher=pusher, devices=catalogue.devices, clock=clock)
    sending = Sending(
        outbox=catalogue.outbox, clock=clock, me="test", carriers={Channel.PUSH: (carrier, 4)}
    )
    catalogue.outbox._clock = later
    await Reminding(catalogue=catalogue, sending=sending, verified=False).look()
    await sending.send("push")
    await pusher.close()
    (received,) = browser.received
    return received.payload.decode()


class _Later:
    """The clock an hour on."""

    def __init__(self, at_s: float) -> None:
        self._at_s = at_s

    def now_s(self) -> float:
        return self._at_s

    def monotonic_s(self) -> float:
        return self._at_s


async def deliver(context: BrowserContext, page: Page, url: str, text: str) -> None:
    """As the browser's own push service would."""
    session: Any = await context.new_cdp_session(page)
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_update(event: dict[str, Any]) -> None:
        for one in event["registrations"]:
            if not found.done():
                found.set_result(one["registrationId"])

    session.on("ServiceWorker.workerRegistrationUpdated", on_update)
    await session.send("ServiceWorker.enable")
    await page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
    await session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": url, "registrationId": await found, "data": text},
    )


SHOWN = """async () => {
  const registration = await navigator.serviceWorker.ready;
  const all = await registration.getNotifications();
  return all.map(({ title, body, tag, data }) => ({ title, body, tag, data }));
}"""


async def shown(page: Page, count: int) -> list[dict[str, Any]]:
    """The notifications, in one look: one that replaces another is away for a moment."""

    async def look() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await page.evaluate(SHOWN)
        return found

    return await until(look, lambda found: len(found) == count, within_s=APPEARS_MS / 1000)


async def test_a_reminder_becomes_a_notification(tmp_path: Path) -> None:
    async with (
        web_world(tmp_path) as (here, url),
        PushService(here.system.clock).running() as service,
        chromium() as context,
    ):
        await context.grant_permissions(["notifications"], origin=url)
        page = await context.new_page()
        await page.goto(url)
        text = await reminder(here, service.subscribe())
        for _ in range(2):
            await deliver(context, page, url, text)
        (one,) = await shown(page, 1)
        said = json.loads(text)
        assert one["title"] == "Grüße <b>& Chor</b>"
        assert one["body"].startswith("Begins ")
        assert one["body"].endswith(" · City")
        assert (one["tag"], one["data"]["path"]) == (said["id"], said["path"])
        for nonsense in ("", "{", "[1]", '"text"', '{"title":5,"path":7,"starts_at":"never"}'):
            await deliver(context, page, url, nonsense)
        titles = {one["title"] for one in await shown(page, 2)}
        assert titles == {"Grüße <b>& Chor</b>", "Umbel"}


async def test_devices_in_the_account(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as context:
        service = PushService(here.system.clock)
        other = service.subscribe()
        await here.system.catalogue.devices.add(
            "viewer", other.endpoint, other.keys["p256dh"], other.keys["auth"], "Firefox on Android"
        )
        await context.grant_permissions(["notifications"], origin=url)
        page = await context.new_page()
        await sign_in(page, url)
        panel = page.get_by_role("region", name="Notifications")
        await expect(panel.get_by_text("Firefox on Android")).to_be_visible(timeout=APPEARS_MS)
        # This Chromium has no push service: the page says that it did not work.
        await panel.get_by_role("button", name="Turn on for this device").click()
        await expect(panel.get_by_role("alert")).to_contain_text(
            "did not subscribe", timeout=APPEARS_MS
        )
        for width, scheme in ((320, "dark"), (1280, "light")):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(page) == [], (width, scheme)
        await panel.get_by_role("button", name="Remove Firefox on Android").click()
        await expect(panel.get_by_text("Firefox on Android")).to_have_count(0)
        assert await here.system.catalogue.devices.every("viewer") == []


async def test_the_app_is_installable_and_has_a_page_for_no_network(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium() as context:
        page = await context.new_page()
        await page.goto(url)
        await page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
        session: Any = await context.new_cdp_session(page)
        manifest = await session.send("Page.getAppManifest")
        assert manifest["errors"] == []
        assert json.loads(manifest["data"])["name"] == "Umbel"
        for icon in json.loads(manifest["data"])["icons"][1:]:
            size = await page.evaluate(
                "async (src) => { const i = new Image(); i.src = src; await i.decode();"
                " return `${i.naturalWidth}x${i.naturalHeight}`; }",
                icon["src"],
            )
            assert size == icon["sizes"]
        errors = await session.send("Page.getInstallabilityErrors")
        found = {one["errorId"] for one in errors["installabilityErrors"]}
        assert found <= {"in-incognito"}, found  # every context of Playwright is one
        kept = await page.evaluate(
            "caches.keys().then((names) => Promise.all(names.map((name) => caches.open(name)"
            ".then((cache) => cache.keys()))))"
        )
        assert [len(requests) for requests in kept] == [1], "the offline page alone is kept"
        await context.set_offline(offline=True)
        await page.goto(f"{url}/calendar")
        await expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
        assert await violations(page) == []
        await context.set_offline(offline=False)
        await page.get_by_role("link", name="Try again").click()
        await expect(page.get_by_role("heading", name="Calendar", exact=True)).to_be_visible(
            timeout=APPEARS_MS
        )
