"""What axe-core (Deque) finds wrong with a page, for people who use a keyboard or a screen reader.

In: a page of Playwright as it is shown now. Out: a line for each violation.
"""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page


async def violations(page: Page) -> list[str]:
    """Each rule that is broken, with the elements that break it; none is none."""
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html']}" for one in found for node in one["nodes"]
    ]
