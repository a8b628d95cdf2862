"""Time to first frame: from the viewer's request at a warm edge to the first decoded picture.

In: nothing (JOINS in the environment, 50 unless told). Out: WHEP p50 and p95, HLS p95, in a real
Chromium that opens the watch page again for every join.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from playwright.async_api import BrowserContext  # noqa: E402
from support.figures import Figure, emit  # noqa: E402

from support.platform import platform  # noqa: E402
from umbel.demo.browser import chromium, until_decoded  # noqa: E402

JOINS = int(os.environ.get("JOINS", "50"))
GOAL_MS = 500.0


async def joins(browser: BrowserContext, url: str) -> list[float]:
    """How long each join took, in milliseconds; the first warms the edge and does not count."""
    took = []
    for _ in range(JOINS + 1):
        page = await browser.new_page()
        await page.goto(url)
        took.append(float((await until_decoded(page, 1, timeout_s=60))["ttffMs"]))
        await page.close()
    return took[1:]


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
            whep = await joins(browser, f"{watch}whep")
            tell("whep-p50", statistics.median(whep))
            tell("whep-p95", p95(whep), GOAL_MS)
            tell("hls-p95", p95(await joins(browser, f"{watch}hls")))


if __name__ == "__main__":
    asyncio.run(main())
