"""The first picture waits for nothing that could have been asked for earlier."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Route

from support.platform import platform
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]


class Together:
    """Requests whose addresses have these parts: none is answered before each was sent. So a page
    that waits for one of them before it sends another gets nothing."""

    def __init__(self, *parts: str) -> None:
        self.sent: list[str] = []
        self._parts = parts
        self._all = asyncio.Event()

    async def hold(self, route: Route) -> None:
        self.sent += [part for part in self._parts if part in route.request.url]
        if set(self.sent) == set(self._parts):
            self._all.set()
        await self._all.wait()
        await route.continue_()


@pytest.mark.parametrize("protocol", ["whep", "hls"])
async def test_the_session_is_opened_while_the_app_is_loaded(tmp_path: Path, protocol: str) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        session = f"/events/{event.id}/sessions"
        parts = [session, "/assets/mount", "/assets/watch"]
        parts += ["/assets/hls"] if protocol == "hls" else []
        together = Together(*parts)
        page = await browser.new_page()
        for part in parts:
            await page.route(f"**{part}*", together.hold)
        await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol={protocol}")
        await until_decoded(page, 1, timeout_s=90)
        assert together.sent.count(session) == 1
        assert await page.evaluate("window.umbelPlayer.sessionsOpened") == 1


async def test_an_event_that_is_not_open_costs_no_session_later(tmp_path: Path) -> None:
    """The page asks too early and is refused; when the encoder comes it asks again."""
    async with platform(tmp_path) as made, chromium() as browser:
        event = await made.event()
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol=whep")
        await page.wait_for_function("() => window.umbelPlayer !== undefined", timeout=60_000)
        await made.push(event)
        await until_decoded(page, 30, timeout_s=90)
        await page.wait_for_function("() => umbelPlayer.state === 'playing'", timeout=60_000)
