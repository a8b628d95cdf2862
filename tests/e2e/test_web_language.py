"""The app in German, in a real Chromium of that language, and the switch to English and back."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD, World
from support.waiting import until
from support.web_world import web_world
from umbel.catalogue.model import Event, EventEvent
from umbel.demo.browser import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

APPEARS_MS = 30_000
HOUR_S = 3_600.0
WIDTHS = (1280, 320)
MOST_BYTES = 180_000
LOADED = """() => performance.getEntriesByType('resource')
  .filter((one) => one.name.includes('/assets/'))
  .reduce((sum, one) => sum + one.encodedBodySize, 0)"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
CUT = """() => {
  const scrolls = (one) => one !== null &&
    (/auto|scroll/.test(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  const hasText = (one) => [...one.childNodes].some(
    (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== '');
  return [...document.querySelectorAll('#root *')].filter((one) => {
    const style = getComputedStyle(one);
    const box = one.getBoundingClientRect();
    if (!hasText(one) || box.width <= 1 || style.visibility === 'hidden') return false;
    if (scrolls(one.parentElement) || one.closest('svg, .visually-hidden, .skip')) return false;
    const leaves = box.right > innerWidth + 1 || box.left < -1;
    const isBlock = style.display !== 'inline' && style.textOverflow !== 'ellipsis';
    return leaves || (isBlock && one.tagName !== 'SELECT' && one.scrollWidth > one.clientWidth + 1);
  }).map((one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 80)}`);
}"""
"""Elements whose text leaves the screen or its own box; what can be scrolled is not among them."""


async def event(here: World, title: str, *happened: EventEvent, after_h: float = 24.0) -> Event:
    starts_s = here.system.clock.now_s() + after_h * HOUR_S
    made = await here.event(title=title, starts_s=starts_s, ends_s=starts_s + HOUR_S)
    for what in happened:
        await here.system.catalogue.transition(made.id, what)
    return made


async def heading(page: Page, name: str) -> None:
    found = page.get_by_role("heading", name=name, exact=True)
    await expect(found.first).to_be_visible(timeout=APPEARS_MS)


async def sign_in(page: Page, url: str, name: str) -> None:
    await page.goto(f"{url}/account")
    await heading(page, "Anmelden")
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Passwort", exact=True).fill("wrong password")
    await page.locator("form").get_by_role("button", name="Anmelden").click()
    await expect(page.get_by_role("alert")).to_contain_text(
        "Der Name oder das Passwort ist falsch. Prüfen Sie Name und Passwort.", timeout=APPEARS_MS
    )
    await page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    await page.locator("form").get_by_role("button", name="Anmelden").click()
    await heading(page, "Konto")


async def everybody_can_read(page: Page, name: str) -> None:
    """At both widths, without a violation and without a text that is cut or leaves the screen."""
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        await page.emulate_media(reduced_motion="reduce")
        await page.evaluate(DRAWN)
        assert await violations(page) == [], (name, width)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert await page.evaluate(CUT) == [], (name, width)


async def test_somebody_reads_german(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium("de-DE") as browser:
        page = await browser.new_page()
        live = await event(here, "Ratssitzung", EventEvent.OPEN, EventEvent.START)
        await event(here, "Chorprobe", after_h=72.0)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(url)
        await heading(page, "Entdecken")
        assert await page.evaluate("document.documentElement.lang") == "de"
        assert [one for one in requests if "/assets/de-" in one] != []
        assert 0 < await page.evaluate(LOADED) <= MOST_BYTES
        await expect(page.get_by_text("in 3 Tagen")).to_be_visible(timeout=APPEARS_MS)
        await heading(page, "Jetzt live")
        await everybody_can_read(page, "discover")

        await page.goto(f"{url}/watch/{live.id}")
        await heading(page, "Ratssitzung")
        await expect(page.get_by_role("link", name="Anmelden").first).to_be_visible()
        await everybody_can_read(page, "event")

        await sign_in(page, url, "city")
        await expect(page).to_have_title("Konto · Umbel")
        await heading(page, "Wann Sie erinnert werden")
        await everybody_can_read(page, "account")

        await page.goto(f"{url}/studio")
        await heading(page, "Neue Veranstaltung")
        await page.get_by_role("button", name="Veranstaltung anlegen").click()
        await expect(page.get_by_role("alert")).to_have_text("Geben Sie einen Titel ein.")
        await everybody_can_read(page, "studio")

        await page.goto(f"{url}/studio/events/{live.id}")
        await heading(page, "Wohin Sie Ihren Stream senden")
        await everybody_can_read(page, "studio event")

        await page.goto(f"{url}/calendar")
        await heading(page, "Kalender")
        await expect(page.get_by_role("button", name="Voriger Monat")).to_be_visible()
        await everybody_can_read(page, "calendar")

        await page.goto(f"{url}/recordings")
        await heading(page, "Noch keine Aufnahmen")
        await everybody_can_read(page, "recordings")


async def test_an_operator_reads_german(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium("de-DE") as browser:
        page = await browser.new_page()
        await sign_in(page, url, "operator")
        await page.goto(f"{url}/network")
        await heading(page, "Netz")
        await expect(page.get_by_role("table", name="Knoten")).to_be_visible(timeout=APPEARS_MS)
        await everybody_can_read(page, "network")


async def test_somebody_changes_the_language(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium("de-DE") as browser:
        page = await browser.new_page()
        await page.goto(f"{url}/calendar")
        await heading(page, "Kalender")
        await page.get_by_label("Sprache").select_option("English")
        await heading(page, "Calendar")
        await expect(page).to_have_title("Calendar · Umbel")
        assert await page.evaluate("document.documentElement.lang") == "en"

        # It is kept on this device, also for pages of the other tabs.
        other = await browser.new_page()
        await other.goto(url)
        await heading(other, "Discover")
        await page.reload()
        await heading(page, "Calendar")
        await page.get_by_label("Language").select_option("Deutsch")
        await heading(page, "Kalender")
        assert await page.evaluate("document.documentElement.lang") == "de"

        # Without a network, too: the service worker knows the language.
        await page.wait_for_function("navigator.serviceWorker.ready.then(() => true)")
        kept = "caches.match('/language').then((kept) => kept !== undefined)"
        await until(lambda: page.evaluate(kept))
        await browser.set_offline(offline=True)
        await page.goto(f"{url}/studio")
        await heading(page, "Sie sind offline")
        assert await violations(page) == []


async def test_a_language_that_cannot_be_loaded_leaves_english(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium("de-DE") as browser:
        page = await browser.new_page()
        await page.route("**/assets/de-*.js", lambda route: route.abort())
        await page.goto(url)
        await heading(page, "Discover")
        assert await page.evaluate("document.documentElement.lang") == "en"
        await page.get_by_label("Language").select_option("Deutsch")
        await expect(page.get_by_text("The language could not be loaded")).to_be_visible()
        await heading(page, "Discover")


async def test_other_languages_see_english(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (_, url), chromium("fr-FR") as browser:
        page = await browser.new_page()
        await page.goto(url)
        await heading(page, "Discover")
        assert await page.evaluate("document.documentElement.lang") == "en"
