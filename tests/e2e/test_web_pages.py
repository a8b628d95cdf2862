"""The web app's pages in a real Chromium over the real platform: discover, player, network."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, expect

from support.axe import violations
from support.keys import press
from support.platform import Platform, platform
from support.waiting import until
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DECODED_S = 90.0
APPEARS_MS = 30_000


async def open_page(browser: BrowserContext, address: str) -> tuple[Page, list[str]]:
    """A page, and what went wrong in it as it goes wrong."""
    page = await browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(address)
    return page, faults


async def sign_in(page: Page, made: Platform, username: str) -> None:
    password = next(a.password for a in made.accounts if a.username == username)
    await page.get_by_label("Name").fill(username)
    await page.get_by_label("Password").fill(password)
    await page.locator("form").get_by_role("button", name="Sign in").click()


async def test_discover_follows_an_event_and_fetches_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        asked: set[str] = set()
        browser.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
        page, faults = await open_page(browser, made.url)
        card = page.get_by_role("region", name="Live now").get_by_role("link")
        await expect(card).to_contain_text("Town Hall", timeout=APPEARS_MS)
        ended = await made.api.post(f"/api/v1/events/{event.id}/end")
        assert ended.status_code < 300, ended.text
        past = page.get_by_role("region", name="Ended").get_by_role("listitem")
        await expect(past).to_contain_text("Ended", timeout=APPEARS_MS)
        await expect(page.get_by_text("Nothing is live right now")).to_be_visible()
        assert asked == {"127.0.0.1"}
        assert faults == []


THUMBNAIL = """() => {
  const image = document.querySelector('main img');
  if (!image?.complete || image.naturalWidth === 0) return null;
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 404) colours.add(data[at] >> 5 << 3 | data[at + 1] >> 5);
  const { alt, src, naturalWidth: width, naturalHeight: height } = image;
  const { opacity } = getComputedStyle(image);
  return { alt, src, width, height, colours: colours.size, opacity };
}"""
SHIFTS = """() => {
  window.layoutShift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.layoutShift += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
}"""


async def another_event(made: Platform, like: str) -> str:
    """An event of the same provider that waits for its encoder; its id."""
    known = await made.get(f"events/{like}")
    names = ("provider_id", "starts_at", "ends_at")
    draft = {"title": "Choir rehearsal", **{name: known[name] for name in names}}
    created = await made.api.post("/api/v1/events", json=draft)
    assert created.status_code == 201, created.text
    opened = await made.api.post(f"/api/v1/events/{created.json()['id']}/ingest")
    assert opened.status_code == 200, opened.text
    return str(created.json()["id"])


async def test_discover_shows_what_is_live_in_a_picture_that_is_renewed(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        waiting = await another_event(made, event.id)
        page, faults = await open_page(browser, made.url)
        cards = page.get_by_role("region", name="Live now").get_by_role("listitem")
        await expect(cards).to_have_count(2, timeout=APPEARS_MS)
        await page.evaluate(SHIFTS)
        box = await cards.first.bounding_box()
        shown = await page.wait_for_function(
            f"() => {{ const found = ({THUMBNAIL})(); return found?.opacity === '1' && found; }}",
            timeout=DECODED_S * 1000,
        )
        first = await shown.json_value()
        assert (first["width"], first["height"]) == (640, 360)
        assert first["colours"] > 8, "the encoder's test picture has more colours"
        assert first["alt"] == "Test pattern, live from the Town Hall at this moment"
        assert await cards.first.bounding_box() == box
        assert await page.evaluate("layoutShift") < 0.01
        # Only what is live has one; the other keeps its drawing.
        await expect(page.locator("main img")).to_have_count(1)
        await expect(cards.last.locator("svg.poster")).to_be_visible()
        answer = await made.api.get(f"/api/v1/events/{waiting}/thumbnail")
        assert answer.status_code == 404

        path = f"/api/v1/events/{event.id}/thumbnail"
        before = await made.api.get(path)
        await page.wait_for_function(
            "(before) => document.querySelector('main img').src !== before",
            arg=first["src"],
            timeout=APPEARS_MS,
        )
        await until(
            lambda: made.api.get(path),
            lambda answer: answer.content != before.content,
            within_s=DECODED_S,
        )
        await page.screenshot(path=tmp_path / "discover.png")
        assert faults == []


async def test_the_apis_page_is_for_everybody_and_fetches_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        asked: set[str] = set()
        browser.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
        page, faults = await open_page(browser, f"{made.url}/docs")
        await expect(page.get_by_text("/api/v1/events", exact=True).first).to_be_visible(
            timeout=APPEARS_MS
        )
        assert await violations(page) == []
        operation = page.locator(".opblock-summary-control").first
        await press(page, operation)
        await expect(operation).to_have_attribute("aria-expanded", "true")
        await page.wait_for_url("**/docs#/**")
        assert await violations(page) == []
        await page.locator(".models").scroll_into_view_if_needed()
        assert await violations(page) == []
        assert asked == {"127.0.0.1"}
        assert faults == []


async def test_the_player_is_driven_by_keys_and_keeps_the_choice_of_protocol(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page, faults = await open_page(browser, f"{made.url}/watch/{event.id}?node=pe2")
        await until_decoded(page, 30, timeout_s=DECODED_S)
        video = page.locator("video")
        await expect(video).to_have_js_property("muted", True)
        await page.get_by_role("button", name="Unmute", exact=True).click()
        await expect(video).to_have_js_property("muted", False)
        await page.keyboard.press("m")
        await expect(video).to_have_js_property("muted", True)
        await page.keyboard.press("k")
        await expect(page.get_by_test_id("status")).to_have_text("Paused")
        await page.keyboard.press("k")
        await expect(page.get_by_test_id("status")).to_have_text("Live")

        opened = await page.evaluate("umbelPlayer.sessionsOpened")
        await page.get_by_text("Details", exact=True).click()
        await page.get_by_text("HLS", exact=True).click()
        await page.wait_for_function(
            "() => umbelPlayer.protocol === 'hls' && umbelPlayer.framesDecoded >= 30",
            timeout=DECODED_S * 1000,
        )
        assert await page.evaluate("umbelPlayer.sessionsOpened") == opened
        await page.reload()
        await page.wait_for_function(
            "() => window.umbelPlayer?.protocol === 'hls'", timeout=APPEARS_MS
        )
        assert faults == []


async def test_a_viewer_who_leaves_closes_the_session(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page, _ = await open_page(browser, f"{made.url}/watch/{event.id}?node=pe2")
        await until_decoded(page, 30, timeout_s=DECODED_S)
        closing = "/api/v1/sessions/"
        async with page.expect_request(
            lambda request: request.method == "DELETE" and closing in request.url
        ) as left:
            await page.get_by_role("link", name="Discover").click()
        answer = await (await left.value).response()
        assert answer is not None
        assert answer.status == 204


async def test_an_unknown_address_or_event_says_so(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        page, _ = await open_page(browser, f"{made.url}/watch/ev_unknown")
        await expect(page.get_by_text("Event not found")).to_be_visible(timeout=APPEARS_MS)
        await page.goto(f"{made.url}/nowhere/at/all")
        await expect(page.get_by_text("Page not found")).to_be_visible(timeout=APPEARS_MS)


async def test_the_operator_sees_the_tree_over_the_network(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        viewer, _ = await open_page(browser, f"{made.url}/watch/{event.id}?node=pe4")
        await until_decoded(viewer, 30, timeout_s=DECODED_S)
        page, faults = await open_page(browser, f"{made.url}/network")
        await sign_in(page, made, "operator")
        picture = page.get_by_role("img", name="Network of 7 nodes")
        await expect(picture).to_be_visible(timeout=APPEARS_MS)
        rows = page.get_by_role("region", name="Functions").locator("tbody tr")

        async def is_drawn() -> bool:
            tree = await made.get(f"trees/{event.id}")
            drawn = await page.locator("path.flow").count(), await rows.count()
            return drawn == (len(tree["edges"]), len(tree["branches"]))

        await until(is_drawn, within_s=APPEARS_MS / 1000)
        assert faults == []
