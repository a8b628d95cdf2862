"""Frame to frame: the age of what a viewer sees, by the time code that the encoder burns in.

In: nothing. Out: medians over several viewers, WHEP and LL-HLS, in a real Chromium, through
acquirer, two forwarders and edge, all on this machine's one clock.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from support.figures import Figure, emit  # noqa: E402

from support.platform import platform  # noqa: E402
from umbel.demo.browser import chromium, until_decoded  # noqa: E402

RUNS = 5
FRAMES = 240
CASES = (("whep", "whep", 150.0), ("llhls", "hls", 2000.0))
"""Name, the page's protocol, and the milliseconds to reach."""


async def main() -> None:
    """Every case, one viewer at a time."""
    with tempfile.TemporaryDirectory() as folder:
        async with platform(Path(folder)) as made, chromium() as browser:
            event, _ = await made.live()
            for case, protocol, goal_ms in CASES:
                medians = []
                for _ in range(RUNS):
                    page = await browser.new_page()
                    await page.goto(f"{made.url}/watch/{event.id}?node=pe4&protocol={protocol}")
                    seen = await until_decoded(page, FRAMES, timeout_s=90)
                    medians.append(float(seen["latencyMs"]))
                    await page.close()
                emit(
                    Figure(
                        bench="latency",
                        case=case,
                        value=statistics.median(medians),
                        unit="ms",
                        peer="to reach",
                        peer_value=goal_ms,
                        n=RUNS,
                    )
                )


if __name__ == "__main__":
    asyncio.run(main())
