"""The self-check of a demo with guests, as a program: a real browser sees the event out of an edge
guest, first past the relay's node and then through the relay guest. One JSON line.

python -m umbel.demo.guest_viewer WATCH_URL EVENT_ID, with an operator's token in UMBEL_DEMO_TOKEN
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.async_api import Error as PlaywrightError

from umbel.demo import guest_functions as functions
from umbel.demo import power
from umbel.demo.browser import chromium, report, until_decoded
from umbel.demo.stage import DemoFailed

_FRAMES = 60
_DECODED_S = 180.0


async def check(api: httpx.AsyncClient, watch: str) -> dict[str, Any]:
    """What happened; `ok` says whether all was as it should be, `reason` what was not."""
    async with chromium() as browser:
        page = await browser.new_page()
        try:
            await page.goto(f"{watch}?node={functions.EDGE_AT}&protocol=whep")
            await functions.until(
                lambda: functions.serving_at(api, functions.EDGE_AT),
                "the viewer's edge",
            )
            await functions.no_more(api, functions.EDGE_AT)
            await until_decoded(page, _FRAMES, timeout_s=_DECODED_S)
            first = await report(page)
            relay = await functions.until(lambda: functions.relay_on_path(api), "the relay guest")
            since = (await report(page))["framesDecoded"]
            await until_decoded(page, since + _FRAMES, timeout_s=_DECODED_S)
            seen = await report(page)
        except (DemoFailed, PlaywrightError) as error:
            return {"ok": False, "reason": error.message, "viewer": await report(page)}
    if seen["edge"] != functions.EDGE_AT:
        return {"ok": False, "reason": f"the viewer was served at {seen['edge']}"}
    edge = await functions.function_at(api, functions.EDGE_AT, "edge")
    return {
        "ok": edge is not None,
        "whep": {
            "frames_decoded": seen["framesDecoded"],
            "through_relay": seen["framesDecoded"] - since,
            "ttff_ms": first["ttffMs"],
            "latency_ms": seen["latencyMs"],
        },
        "edge_guest": edge and {"node": edge["node"], "function": edge["id"]},
        "relay_guest": {"node": relay["node"], "address": relay["address"]},
    }


async def main(watch: str) -> dict[str, Any]:
    """Check over the platform whose page that is."""
    parts = urlsplit(watch)
    headers = {"Authorization": f"Bearer {os.environ[power.TOKEN]}"}
    base = f"{parts.scheme}://{parts.netloc}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as api:
        return await check(api, watch)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))) + "\n")
