"""A page by keys alone: to a control, with a focus that can be seen."""

from playwright.async_api import Locator, Page, expect

MOST = 150
"""Stops on the way; a page has fewer."""

_IS_FOCUSED = "element => element === document.activeElement"
_IS_SEEN = """element => {
  const ring = element.querySelector(':scope > .node-ring');
  const drawn = ring ? getComputedStyle(ring).stroke : getComputedStyle(element).outlineStyle;
  return element.matches(':focus-visible') && drawn !== 'none';
}"""


async def walk_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Press the key until the control has the focus. Fails where it never has, or hides it."""
    await expect(wanted).to_be_enabled()
    for _ in range(MOST):
        await page.keyboard.press(key)
        if await wanted.evaluate(_IS_FOCUSED):
            break
    await expect(wanted).to_be_focused()
    assert await wanted.evaluate(_IS_SEEN), f"the focus of {wanted} cannot be seen"


async def press(page: Page, wanted: Locator, key: str = "Enter") -> None:
    """Walk to the control and press the key there."""
    await walk_to(page, wanted)
    await page.keyboard.press(key)
