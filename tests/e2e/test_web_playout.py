"""A provider uploads a film in the studio and streams it; a viewer watches it in a second page."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from support.axe import violations
from support.films import film
from support.keys import press
from support.platform import platform
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DECODED_S = 90.0
APPEARS_MS = 30_000


async def sign_in(page: Page, username: str, password: str) -> None:
    await page.get_by_label("Name").fill(username)
    await page.get_by_label("Password").fill(password)
    await page.locator("form").get_by_role("button", name="Sign in").click()


def file_card(card: Locator, name: str) -> Locator:
    return card.get_by_role("listitem").filter(has_text=name)


async def delete(page: Page, card: Locator, name: str) -> None:
    await press(page, file_card(card, name).get_by_role("button", name=f"Delete: {name}"))
    await press(page, page.get_by_role("dialog").get_by_role("button", name="Delete"))


async def refused_file_is_deleted(page: Page, card: Locator) -> None:
    """Both files have a card, and the film's has a picture."""
    await press(page, card.locator("summary", has_text="Your files (2)"))
    film_card = file_card(card, "Council.mp4")
    await expect(film_card).to_contain_text("2:00")
    # It is lazy: it has a size once it came.
    await film_card.locator("img").scroll_into_view_if_needed()
    await page.wait_for_function(
        "() => document.querySelector('.file-card img')?.naturalWidth > 0", timeout=APPEARS_MS
    )
    assert await violations(page) == []
    await delete(page, card, "notes.mp4")
    await expect(file_card(card, "notes.mp4")).to_have_count(0, timeout=APPEARS_MS)
    await expect(film_card).to_be_focused()


async def test_a_film_is_uploaded_streamed_and_watched(tmp_path: Path) -> None:
    path = await film(tmp_path / "Council.mp4", seconds=120)
    wrong = tmp_path / "notes.mp4"
    wrong.write_text("The council meets on Monday. " * 99)
    async with platform(tmp_path / "data") as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        await page.get_by_label("Title").fill("Last week's council")
        await page.get_by_role("button", name="Create event").click()
        card = page.get_by_role("region", name="Stream a file")
        await expect(card).to_be_visible(timeout=APPEARS_MS)
        event = page.url.rsplit("/", 1)[1]

        await card.get_by_label("Upload a file").set_input_files(wrong)
        await expect(card).to_contain_text("text/plain", timeout=APPEARS_MS)
        async with page.expect_file_chooser() as asked:
            await press(page, card.get_by_label("Upload a file"))
        await (await asked.value).set_files(path)
        use = card.get_by_role("button", name="Use this file")
        await expect(use).to_be_enabled(timeout=APPEARS_MS)
        await expect(card.get_by_role("combobox", name="File")).to_contain_text("2:00, H.264, AAC")
        await refused_file_is_deleted(page, card)
        schedule = card.get_by_label("Start when the event begins")
        await schedule.uncheck()
        await press(page, use)
        await press(page, card.get_by_role("button", name="Start now"))
        await expect(card.get_by_role("status")).to_contain_text("Playing", timeout=APPEARS_MS)
        # A file that an event streams stays.
        await delete(page, card, "Council.mp4")
        await expect(file_card(card, "Council.mp4").get_by_role("alert")).to_contain_text(
            "streams this file", timeout=APPEARS_MS
        )

        viewer = await browser.new_page()
        await viewer.goto(f"{made.url}/watch/{event}?node=pe2&protocol=whep")
        await until_decoded(viewer, 30, timeout_s=DECODED_S)
        await expect(card.get_by_role("status")).to_contain_text(
            re.compile(r"[01]:[0-5][1-9] of 2:00"), timeout=APPEARS_MS
        )
        assert await violations(page) == []

        await press(page, card.get_by_role("button", name="Stop the file"))
        await expect(card.get_by_role("button", name="Go on with the file")).to_be_visible(
            timeout=APPEARS_MS
        )
