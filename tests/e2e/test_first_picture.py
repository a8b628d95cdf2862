"""The first picture waits for nothing that could have been asked for earlier."""

from pathlib import Path
from typing import Any

import pytest

from support.platform import platform
from umbel.demo.browser import chromium, report, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# Each request of the page: kind, when it was sent and when its answer was there, in ms.
REQUESTS = """() => performance.getEntriesByType('resource').map((entry) => ({
  name: new URL(entry.name).pathname.replace(/-[^-]*$/, ''),
  sent: entry.startTime,
  done: entry.responseEnd,
}))"""


def of(requests: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    return [request for request in requests if part in request["name"]]


@pytest.mark.parametrize("protocol", ["whep", "hls"])
async def test_the_session_is_opened_while_the_app_is_loaded(tmp_path: Path, protocol: str) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol={protocol}")
        await until_decoded(page, 1, timeout_s=90)
        requests = await page.evaluate(REQUESTS)
        (session,) = of(requests, "/sessions")
        (asked, *_) = [one for one in requests if one["name"].endswith(f"/events/{event.id}")]
        (watch,) = of(requests, "/assets/watch")
        (app,) = of(requests, "/assets/mount")
        media = min(one["sent"] for one in of(requests, f"/{protocol}/"))
        assert asked["sent"] <= session["sent"] <= watch["sent"] < session["done"]
        assert app["sent"] < session["done"] <= media
        if protocol == "hls":
            (player,) = of(requests, "/assets/hls")
            assert player["sent"] < session["done"]
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
        assert (await report(page))["state"] == "playing"
