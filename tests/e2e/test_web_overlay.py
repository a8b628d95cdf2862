"""The network's page over switches in memory, in a real Chromium: draw, send, ask, read, lose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from support.axe import violations
from support.http import PASSWORD, serving
from support.keys import press, walk_to
from support.overlaid import Overlaid, overlaid
from umbel.catalogue.model import UserRole
from umbel.demo.browser import chromium
from umbel.notify.model import Kind, SubscriberState
from umbel.portal.app import create_app

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
HOOK = "http://observer.example/hook"


@asynccontextmanager
async def page_of(made: Overlaid) -> AsyncIterator[Page]:
    """The network's page, signed in; it fails with whatever went wrong inside."""
    await made.fabric.start()
    system = made.platform.system
    await system.catalogue.add_user("operator", PASSWORD, UserRole.OPERATOR)
    async with serving(create_app(system)) as (_, url), chromium() as browser:
        page = await browser.new_page()
        page.set_default_timeout(APPEARS_MS)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(f"{url}/network")
        await page.get_by_label("Name").fill("operator")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.locator("form").get_by_role("button", name="Sign in").click()
        yield page
        assert faults == []


async def shows(what: Locator, *, count: int = 1) -> None:
    await expect(what).to_have_count(count, timeout=APPEARS_MS)


async def draws(page: Page) -> None:
    """A drawing with a mistake, which is shown where it is, and then a good one."""
    await press(page, page.locator("summary", has_text="Draw the network"))
    form = page.get_by_role("form", name="Drawing")
    for node in ("pe1", "pe2"):
        await walk_to(page, form.get_by_label(node, exact=True))
        await page.keyboard.type("Ro")
    apply = form.get_by_role("button", name="Apply")
    await press(page, apply)
    wrong = form.locator(".field-wrong")
    await shows(wrong)
    await expect(wrong).to_contain_text("pe2")
    await expect(wrong).to_contain_text("a second root; pe1 is already the root")
    await expect(apply).to_be_focused()
    await walk_to(page, form.get_by_label("pe2", exact=True), "Shift+Tab")
    await page.keyboard.type("Le")
    await press(page, apply)
    await shows(form.get_by_text("Applied: 6 links in the tree, 1 spare."))
    await shows(page.locator("line.look-tree"), count=6)
    await shows(page.locator("line.look-spare"))


async def asks(page: Page) -> None:
    """A path to a receiver at pe4, seen in the picture."""
    await page.get_by_text("Add a path").click()
    form = page.get_by_role("form", name="Path")
    await form.get_by_label("Stream", exact=True).fill("feed")
    await form.get_by_label("Ends at").select_option("pe4")
    await form.get_by_label("Receiver address").fill("192.0.2.4")
    await form.get_by_role("button", name="Add path").click()
    await shows(form.get_by_text("receiver 192.0.2.4 has no Ethernet address"))
    await form.get_by_label("Receiver MAC").fill("02:00:00:00:00:AA")
    await form.get_by_label("Receiver UDP port").fill("6000")
    await form.get_by_role("button", name="Add path").click()
    row = page.get_by_role("region", name="Paths").locator("tbody tr")
    await expect(row).to_contain_text("pe1 → c1 → c2 → pe4", timeout=APPEARS_MS)
    await expect(row).to_contain_text("carried")
    await page.get_by_label("Tree of").select_option(label="feed")
    await shows(page.locator("path.flow"), count=3)


async def rings(made: Overlaid, page: Page) -> None:
    """A callback that was given up, a ping that brings it back, and its end."""
    notifier, courier = made.platform.system.notifier, made.platform.courier
    told, _ = await notifier.register(HOOK, [Kind.LINK_DOWN])
    dead = replace(told.progress, state=SubscriberState.DEAD, failures=1, last_error="answered 410")
    await notifier.store.save(told.id, dead)
    webhooks = page.get_by_role("region", name="Webhooks")
    await shows(webhooks.get_by_text("Consecutive failures: 1 (answered 410)"))
    await webhooks.get_by_role("button", name="Ping").click()
    await shows(page.get_by_text(f"{HOOK} answered the ping in"))
    await shows(webhooks.get_by_text("active", exact=True))
    assert [posted.url for posted in courier.taken] == [HOOK]
    await webhooks.get_by_role("button", name=f"Remove {HOOK}").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await shows(webhooks.get_by_text("No webhooks registered."))


async def opens(page: Page) -> Locator:
    """A switch of the drawing: opened by keys and by a pointer, closed, and opened again."""
    rules = page.get_by_role("region", name="Rules of pe4")
    node = page.get_by_role("button", name="pe4, leaf: show its rules")
    await press(page, node)
    await expect(rules).to_be_focused()
    await expect(node).to_have_attribute("aria-pressed", "true")
    assert await violations(page) == []
    await press(page, rules.get_by_role("button", name="Close"), "Space")
    await expect(rules).to_have_count(0)
    await expect(node).to_be_focused()
    await node.click()
    await shows(rules)
    await expect(node).to_be_focused()
    await node.click()
    await expect(rules).to_have_count(0)
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="pe4", exact=True))
    explain = row.get_by_role("button", name="Explain")
    await explain.press("Enter")
    await expect(rules).to_be_focused()
    await press(page, rules.get_by_role("button", name="Close"))
    await expect(explain).to_be_focused()
    await node.press("Space")
    await expect(rules).to_be_focused()
    return rules


async def test_an_operator_draws_asks_for_a_path_and_reads_why_packets_go(tmp_path: Path) -> None:
    async with overlaid(tmp_path) as made, page_of(made) as page:
        await draws(page)
        await asks(page)

        rules = await opens(page)
        rule = rules.locator("summary", has_text="leaf").filter(has_text="feed")
        await press(page, rule)
        await expect(rules.get_by_text("to the network outside, for 192.0.2.4:6000")).to_be_visible(
            timeout=APPEARS_MS
        )

        made.wires.lose("c2", "pe4")
        made.wires.leave("pe5")
        await shows(page.locator("line.look-down"))
        await shows(page.locator(".node-away", has_text="pe5"))
        paths = page.get_by_role("region", name="Paths")
        await shows(paths.get_by_text("link c2-pe4 is down"))

        await paths.get_by_role("button", name="Remove").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await shows(paths.get_by_text("No paths yet"))
        await rings(made, page)
