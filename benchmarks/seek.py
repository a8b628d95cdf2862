"""From a seek in MyShare to the picture at that place, in a real Chromium.

In: nothing (SEEKS in the environment, 20 unless told). Out: p50 and p95 over seeks in a recording
of two minutes. Each is in a page that was just opened, to a place beyond what it has read.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from playwright.async_api import Page  # noqa: E402
from support.figures import Figure, emit  # noqa: E402

from support.http import PASSWORD, World  # noqa: E402
from support.recorded import Reel, film  # noqa: E402
from support.web_world import web_world  # noqa: E402
from umbel.catalogue.model import EventEvent  # noqa: E402
from umbel.demo.browser import chromium  # noqa: E402

SEEKS = int(os.environ.get("SEEKS", "20"))
LENGTH_S = 120.0
GOAL_MS = 300.0
READ_AHEAD_S = 50.0
"""A player reads 30 s ahead."""
SEEK = """at => new Promise((shown) => {
  const video = document.querySelector('[data-testid=replay]');
  const began = performance.now();
  video.requestVideoFrameCallback(function look(_now, frame) {
    if (Math.abs(frame.mediaTime - at) < 0.5) shown(performance.now() - began);
    else video.requestVideoFrameCallback(look);
  });
  video.currentTime = at;
})"""
"""A paused video shows the frame that it was sent to."""


async def recorded(here: World) -> None:
    """The viewer has a recording of an event that is over."""
    event = await here.event()
    for happened in (EventEvent.OPEN, EventEvent.START):
        await here.system.catalogue.transition(event.id, happened)
    reel = here.system.studio.reels.running[event.id] = Reel("one", film(LENGTH_S))
    await here.system.recordings.start("viewer", event.id, from_start=True)
    await here.system.studio.look()
    reel.ready = len(reel.segments)
    await here.system.studio.look()
    await here.system.catalogue.transition(event.id, EventEvent.END)
    reel.is_over = True
    await here.system.studio.look()


async def sign_in(page: Page, url: str) -> None:
    """As the viewer."""
    await page.goto(f"{url}/account")
    await page.get_by_label("Name", exact=True).fill("viewer")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Account", exact=True).wait_for()


async def opened(page: Page, url: str) -> None:
    """The recording's player, paused at its beginning."""
    await page.goto(f"{url}/recordings")
    await page.get_by_role("button", name="Play: Council").click()
    playing = "() => document.querySelector('[data-testid=replay]')?.currentTime > 0.5"
    await page.wait_for_function(playing)
    await page.evaluate("document.querySelector('[data-testid=replay]').pause()")


async def seeks(url: str, here: World) -> list[float]:
    """How long each took, in milliseconds."""
    await recorded(here)
    random, found = Random(1), []
    async with chromium() as browser:
        page = await browser.new_page()
        await sign_in(page, url)
        for _ in range(SEEKS):
            await opened(page, url)
            place = random.uniform(READ_AHEAD_S, LENGTH_S - 4)
            found.append(float(await page.evaluate(SEEK, place)))
    return found


async def main() -> None:
    """Seek, and tell how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        async with web_world(Path(folder)) as (here, url):
            found = await seeks(url, here)
    for case, value, goal_ms in (
        ("p50", statistics.median(found), GOAL_MS),
        ("p95", statistics.quantiles(found, n=20)[-1], None),
    ):
        emit(
            Figure(
                bench="seek",
                case=case,
                value=value,
                unit="ms",
                peer="to reach" if goal_ms else None,
                peer_value=goal_ms,
                n=len(found),
            )
        )


if __name__ == "__main__":
    asyncio.run(main())
