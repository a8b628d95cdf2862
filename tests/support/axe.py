"""What axe-core (Deque) finds wrong with a page, for people who use a keyboard or a screen reader.

In: a page of Playwright as it is shown now. Out: a line for each violation.
"""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

_AT_REST = """() => Promise.allSettled(
  document.getAnimations()
    .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime))
    .map((one) => one.finished))"""
"""Colours that are on their way from one scheme to the other have a contrast of their own."""


async def violations(page: Page) -> list[str]:
    """Each rule that is broken, with the elements that break it; none is none."""
    await page.evaluate(_AT_REST)
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html']}" for one in found for node in one["nodes"]
    ]
