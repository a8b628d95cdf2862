"""Time to first frame at a warm edge: from the viewer's request to the first decoded picture, and
from navigation, with a cold cache, to the first picture shown.

In: nothing (JOINS in the environment, 50 unless told). Out: for WHEP and HLS p50 and p95, and p50
from navigation, in a real Chromium that opens the watch page again for every join.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from playwright.async_api import BrowserContext  # noqa: E402
from support.figures import Figure, emit  # noqa: E402

from support.platform import platform  # noqa: E402
from umbel.demo.browser import chromium, until_decoded  # noqa: E402

JOINS = int(os.environ.get("JOINS", "50"))
GOAL_MS = 500.0
NAVIGATION_GOAL_MS = 600.0
SHOWN = """document.addEventListener(
  'loadeddata', () => { window.firstPictureMs ??= performance.now(); }, true)"""
"""The media element has its first picture; the page's clock starts with its navigation."""


@dataclass(frozen=True)
class Join:
    """How long a join took, in milliseconds."""

    from_request: float
    from_navigation: float


async def joins(browser: BrowserContext, url: str) -> list[Join]:
    """Each join; the first warms the edge and does not count."""
    return [await join(browser, url) for _ in range(JOINS + 1)][1:]


async def join(browser: BrowserContext, url: str) -> Join:
    """A viewer whose browser has none of the site's files."""
    page = await browser.new_page()
    await page.add_init_script(SHOWN)
    devtools = await browser.new_cdp_session(page)
    await devtools.send("Network.clearBrowserCache")
    await page.goto(url)
    report = await until_decoded(page, 1, timeout_s=60)
    await page.wait_for_function("() => window.firstPictureMs > 0", timeout=60_000)
    shown = float(await page.evaluate("window.firstPictureMs"))
    await page.close()
    return Join(from_request=float(report["ttffMs"]), from_navigation=shown)


def p95(values: list[float]) -> float:
    """The value that 95 of 100 stay under."""
    return statistics.quantiles(values, n=20)[-1]


def tell(case: str, value: float, goal_ms: float | None = None) -> None:
    """One figure."""
    peer = "to reach" if goal_ms else None
    emit(
        Figure(
            bench="ttff",
            case=case,
            value=value,
            unit="ms",
            peer=peer,
            peer_value=goal_ms,
            n=JOINS,
        )
    )


async def main() -> None:
    """WHEP, then HLS."""
    with tempfile.TemporaryDirectory() as folder:
        async with platform(Path(folder)) as made, chromium() as browser:
            event, _ = await made.live()
            watch = f"{made.url}/watch/{event.id}?node=pe2&protocol="
            for protocol, goal_ms in (("whep", GOAL_MS), ("hls", None)):
                found = await joins(browser, watch + protocol)
                requests = [one.from_request for one in found]
                shown = statistics.median(one.from_navigation for one in found)
                tell(f"{protocol}-p50", statistics.median(requests))
                tell(f"{protocol}-p95", p95(requests), goal_ms)
                tell(f"{protocol}-navigation-p50", shown, NAVIGATION_GOAL_MS)


if __name__ == "__main__":
    asyncio.run(main())
