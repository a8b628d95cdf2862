"""A real Chromium as viewers, for the demo's self-check, the benches and the e2e tests.

In: watch-page URLs. Out: what the page's own hook and the decoded pictures say. Needs Playwright
and Debian's Chromium, which the test environment has.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright

from umbel.demo.encoder import BIT_PX, BITS, WIDTH

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]

_HERE = Path(__file__).parent
_LAYOUT = f"const BITS = {BITS}, BIT_PX = {BIT_PX}, WIDTH = {WIDTH};\n"
_PROBE = _LAYOUT + (_HERE / "probe.js").read_text()
_REPORT = (_HERE / "report.js").read_text()


@asynccontextmanager
async def chromium(locale: str | None = None) -> AsyncIterator[BrowserContext]:
    """A fresh browser, of this language; every page of it carries the probe."""
    async with async_playwright() as playwright:
        profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        context = await playwright.chromium.launch_persistent_context(
            profile.name,
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            chromium_sandbox=False,
            viewport={"width": 1280, "height": 800},
            locale=locale,
        )
        await context.add_init_script(_PROBE)
        try:
            yield context
        finally:
            await context.close()
            profile.cleanup()


async def report(page: Page) -> dict[str, Any]:
    """What the page shows now: state, protocol, edge, framesDecoded, ttffMs, latencyMs."""
    answer: dict[str, Any] = await page.evaluate(_REPORT)
    return answer


async def until_decoded(page: Page, frames: int, *, timeout_s: float) -> dict[str, Any]:
    """Wait until so many frames were decoded. Raises Playwright's TimeoutError."""
    await page.wait_for_function(
        "frames => window.umbelPlayer && window.umbelPlayer.framesDecoded >= frames",
        arg=frames,
        timeout=timeout_s * 1000,
    )
    return await report(page)
