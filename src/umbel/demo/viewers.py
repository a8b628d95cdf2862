"""The demo's self-check as a program: three viewers, two edges, two protocols, one JSON line.

python -m umbel.demo.viewers WATCH_URL
"""

import asyncio
import json
import sys
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from umbel.demo.browser import chromium, report, until_decoded

_FRAMES = 60
_DECODED_S = 60.0


async def check(watch: str) -> dict[str, Any]:
    """What `make demo ONCE=1` prints but for the tree. Reasons name the viewer that failed."""
    async with chromium() as browser:
        pages: dict[str, Page] = {}
        for name, query in (
            ("whep", "node=pe2&protocol=whep"),
            ("hls", "node=pe4&protocol=hls"),
            ("joiner", "node=pe2&protocol=whep"),
        ):
            pages[name] = await browser.new_page()
            await pages[name].goto(f"{watch}?{query}")
            try:
                await until_decoded(pages[name], _FRAMES, timeout_s=_DECODED_S)
            except PlaywrightError:
                failed = await report(pages[name])
                return {"ok": False, "reason": f"the {name} viewer saw no picture: {failed}"}
        seen = {name: await report(page) for name, page in pages.items()}
    return _verdict(seen)


def _verdict(seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    whep, hls, joiner = seen["whep"], seen["hls"], seen["joiner"]
    if whep["edge"] == hls["edge"]:
        return {"ok": False, "reason": f"both viewers were served at {whep['edge']}"}
    if joiner["edge"] != whep["edge"]:
        return {"ok": False, "reason": f"the joiner went to {joiner['edge']}"}
    return {
        "ok": True,
        "whep": {
            "frames_decoded": whep["framesDecoded"],
            "ttff_ms": whep["ttffMs"],
            "latency_ms": whep["latencyMs"],
        },
        "hls": {
            "frames_decoded": hls["framesDecoded"],
            "ttff_ms": hls["ttffMs"],
            "latency_ms": hls["latencyMs"] or round(1000 * (hls["details"]["latencyS"] or 0)),
        },
        "joined": {"frames_decoded": joiner["framesDecoded"], "ttff_ms": joiner["ttffMs"]},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(check(sys.argv[1]))) + "\n")
