"""The studio in a real Chromium: from signing in to a picture from this browser at a viewer."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from support.axe import violations
from support.http import PASSWORD
from support.platform import platform
from support.waiting import until
from support.web_world import web_world
from umbel.catalogue.model import UserRole
from umbel.demo import encoder
from umbel.demo.browser import chromium, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DECODED_S = 90.0
STREAM_ID = "() => document.querySelector('.go-live video').srcObject?.id"
APPEARS_MS = 30_000


async def sign_in(page: Page, username: str, password: str) -> None:
    await page.get_by_label("Name").fill(username)
    await page.get_by_label("Password").fill(password)
    await page.locator("form").get_by_role("button", name="Sign in").click()


async def create_event(page: Page, title: str) -> str:
    """Fill the form; the new event's id."""
    await page.get_by_label("Title").fill(title)
    await page.get_by_role("button", name="Create event").click()
    await expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=APPEARS_MS)
    return page.url.rsplit("/", 1)[1]


async def test_a_provider_goes_live_from_the_browser_and_ends_the_event(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", "wrong-password")
        await expect(page.get_by_role("alert")).to_contain_text("password", timeout=APPEARS_MS)
        await sign_in(page, "provider", provider.password)
        event = await create_event(page, "From my desk")

        await page.get_by_role("button", name="Show the addresses").click()
        key = page.get_by_label("Stream key", exact=True)
        await expect(page.get_by_label("RTMP address", exact=True)).to_be_visible(
            timeout=APPEARS_MS
        )
        await expect(key).to_have_value(re.compile(rf"^{event}\."), timeout=APPEARS_MS)

        await page.get_by_role("button", name="Use camera").click()
        await page.get_by_role("button", name="Go live").click()
        await expect(page.get_by_test_id("on-air")).to_contain_text("On air", timeout=APPEARS_MS)

        viewer = await browser.new_page()
        await viewer.goto(f"{made.url}/watch/{event}?node=pe2&protocol=whep")
        await until_decoded(viewer, 30, timeout_s=DECODED_S)
        # The provider sees the same picture: it has a size once it is decoded.
        await page.wait_for_function(
            """() => document.querySelector('[aria-label="What viewers see"]')?.videoWidth > 0""",
            timeout=DECODED_S * 1000,
        )

        await page.get_by_role("button", name="End event").click()
        await page.get_by_role("dialog").get_by_role("button", name="End event").click()
        await expect(viewer.get_by_test_id("status")).to_have_text(
            "This event has ended", timeout=APPEARS_MS
        )


async def test_a_new_key_replaces_the_old_one(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        await create_event(page, "Council session")
        await page.get_by_role("button", name="Show the addresses").click()
        key = page.get_by_label("Stream key", exact=True)
        await expect(key).to_be_visible(timeout=APPEARS_MS)
        first = await key.input_value()
        await page.get_by_role("button", name="New key").click()
        await page.get_by_role("dialog").get_by_role("button", name="Create a new key").click()
        await expect(key).not_to_have_value(first, timeout=APPEARS_MS)
        await page.reload()
        await page.get_by_role("button", name="Show the addresses").click()
        # Told once: but this tab remembers it.
        await expect(key).not_to_have_value(first, timeout=APPEARS_MS)


async def test_a_provider_edits_an_event_that_nobody_else_changed(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        event = await create_event(page, "Council session")
        link = page.get_by_label("Link to the watch page", exact=True)
        await expect(link).to_have_value(f"{made.url}/watch/{event}")

        await made.sign_in(UserRole.PROVIDER)
        await page.get_by_role("button", name="Edit").click()
        form = page.get_by_role("form", name="Edit event")
        before = (await made.get(f"events/{event}"))["version"]
        body = {"version": before, "description": "With the mayor"}
        changed = await made.api.patch(f"/api/v1/events/{event}", json=body)
        assert changed.status_code == 200, changed.text
        await form.get_by_label("Title").fill("Council and mayor")
        await form.get_by_role("button", name="Save").click()
        await expect(form.get_by_role("alert")).to_contain_text(
            "Somebody changed this event", timeout=APPEARS_MS
        )

        await form.get_by_role("button", name="Show the new version").click()
        await expect(form.get_by_label("Description")).to_have_value("With the mayor")
        await form.get_by_label("Title").fill("Council and mayor")
        vp8 = form.get_by_label("Also make a VP8 picture")
        await expect(vp8).not_to_be_checked()
        await vp8.check()
        await form.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Council and mayor")).to_be_visible(
            timeout=APPEARS_MS
        )
        saved = await made.get(f"events/{event}")
        assert (saved["title"], saved["description"]) == ("Council and mayor", "With the mayor")
        assert saved["vp8"] is True


async def test_an_encoder_as_obs_sets_it_by_itself_is_warned_about(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        event = await made.event()
        command = encoder.push_command(event.ingest, event.stream_key)
        at = command.index("-g") + 1
        await made.run("encoder", [*command[:at], "250", *command[at + 1 :]])
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=APPEARS_MS)
        await page.goto(f"{made.url}/studio/events/{event.id}")
        warning = page.get_by_text(
            re.compile(r"Keyframes come every \d+ s: viewers start slowly\.")
        )
        await expect(warning).to_be_visible(timeout=DECODED_S * 1000)
        stream = (await made.get(f"events/{event.id}"))["stream"]
        # An encoder on a busy machine leaves pictures out: then the interval is longer.
        assert stream["key_interval_s"] >= 250 / encoder.FPS - 0.5
        assert stream["key_interval_s"] * stream["fps"] == pytest.approx(250, rel=0.15)
        assert stream["packet_loss"] == 0.0


async def test_a_viewer_may_not_publish(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        viewer = next(a for a in made.accounts if a.username == "viewer")
        page = await browser.new_page()
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "viewer", viewer.password)
        await expect(page.get_by_text("can watch, but not publish")).to_be_visible(
            timeout=APPEARS_MS
        )


async def test_devices_are_chosen_and_the_level_is_shown(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        event = await here.event()
        page = await browser.new_page()
        await page.emulate_media(reduced_motion="reduce")
        await page.goto(f"{url}/studio/events/{event.id}")
        await sign_in(page, "city", PASSWORD)
        card = page.get_by_role("region", name="Go live from this browser")
        await card.get_by_role("button", name="Use camera").click(timeout=APPEARS_MS)
        microphone = card.get_by_label("Microphone", exact=True)
        await expect(microphone).to_be_visible(timeout=APPEARS_MS)
        # Chromium's fake microphone beeps every second.
        level = card.get_by_label("Sound level")
        await expect(level).to_be_visible(timeout=APPEARS_MS)
        await page.wait_for_function(
            "() => document.querySelector('.level meter')?.value > 0.3", timeout=APPEARS_MS
        )
        assert await violations(page) == []
        names = await microphone.locator("option").all_inner_texts()
        assert len(names) > 2, names
        before = await page.evaluate(STREAM_ID)
        await microphone.select_option(names[-1])
        await page.wait_for_function(
            f"before => ({STREAM_ID})() !== before", arg=before, timeout=APPEARS_MS
        )
        used = await page.evaluate(
            "() => document.querySelector('.go-live video').srcObject.getAudioTracks()[0].label"
        )
        assert used == names[-1]


PEERS = """() => {
    const Own = RTCPeerConnection;
    window.peers = [];
    window.RTCPeerConnection = class extends Own {
        constructor(...given) { super(...given); window.peers.push(this); }
    };
}"""
SENT = """async () => {
    // The picture on air comes over a connection of its own.
    const sending = window.peers.filter(one => one.getSenders().some(({track}) => track));
    const [peer] = sending;
    const stats = [...(await peer.getStats()).values()];
    const video = stats.find(one => one.type === 'outbound-rtp' && one.kind === 'video');
    return {
        connections: sending.length, sdp: peer.localDescription.sdp,
        labels: peer.getSenders().map(one => one.track?.label),
        live: peer.getSenders().every(one => one.track?.readyState === 'live'),
        frames: video?.framesEncoded ?? 0,
    };
}"""


def is_sent(name: str, now: dict[str, Any]) -> bool:
    """Whether the device of that name is on air."""
    return name in now["labels"] and bool(now["live"])


def goes_on(frames: int, now: dict[str, Any]) -> bool:
    """Whether more than so many pictures were sent."""
    return bool(now["frames"] > frames)


async def test_devices_change_on_air_over_the_same_connection(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        provider = next(a for a in made.accounts if a.username == "provider")
        event = await made.event()
        page = await browser.new_page()
        await page.add_init_script(f"({PEERS})()")
        await page.goto(f"{made.url}/studio")
        await sign_in(page, "provider", provider.password)
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=APPEARS_MS)
        await page.goto(f"{made.url}/studio/events/{event.id}")
        card = page.get_by_role("region", name="Go live from this browser")
        await card.get_by_role("button", name="Use camera").click(timeout=APPEARS_MS)
        await card.get_by_role("button", name="Go live").click(timeout=APPEARS_MS)
        key = card.get_by_label("Stream key")
        await key.fill(event.stream_key, timeout=APPEARS_MS)
        await card.get_by_role("button", name="Go live").click(timeout=APPEARS_MS)
        on_air = page.get_by_test_id("on-air")
        await expect(on_air).to_contain_text("On air", timeout=APPEARS_MS)
        before = await page.evaluate(SENT)
        for label in ("Camera", "Microphone"):
            choice = card.get_by_label(label, exact=True)
            name = (await choice.locator("option").all_inner_texts())[-1]
            shown = await page.evaluate(STREAM_ID)
            await choice.select_option(name)
            await page.wait_for_function(
                f"before => ({STREAM_ID})() !== before", arg=shown, timeout=APPEARS_MS
            )
            sent = partial(page.evaluate, SENT)
            now = await until(sent, partial(is_sent, name), within_s=DECODED_S)
            # A predicate of Playwright's may not wait for a promise: it would hold at once.
            await until(sent, partial(goes_on, now["frames"] + 30), within_s=DECODED_S)
            await page.wait_for_function(
                "() => document.querySelector('.level meter')?.value > 0.3", timeout=APPEARS_MS
            )
        after = await page.evaluate(SENT)
        assert (after["connections"], after["sdp"]) == (1, before["sdp"])
        await expect(on_air).to_contain_text("On air")


async def test_obs_settings_can_be_copied(tmp_path: Path) -> None:
    async with web_world(tmp_path) as (here, url), chromium() as browser:
        event = await here.event()
        page = await browser.new_page()
        await page.emulate_media(reduced_motion="reduce")
        await page.goto(f"{url}/studio/events/{event.id}")
        await sign_in(page, "city", PASSWORD)
        await page.get_by_role("button", name="Show the addresses").click(timeout=APPEARS_MS)
        await page.get_by_text("With OBS Studio").click(timeout=APPEARS_MS)
        server = page.get_by_label("Server in OBS", exact=True)
        await expect(server).to_have_value("rtmp://127.0.1.1:1935/live", timeout=APPEARS_MS)
        key = page.get_by_label("Stream Key in OBS", exact=True)
        await expect(key).to_have_value(re.compile(rf"^{event.id}\."), timeout=APPEARS_MS)
        await browser.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.get_by_role("button", name="Copy Server in OBS").click()
        await expect(page.get_by_text("Server in OBS copied")).to_be_attached(timeout=APPEARS_MS)
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == "rtmp://127.0.1.1:1935/live"
        assert await violations(page) == []
