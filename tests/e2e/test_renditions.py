"""A smaller picture, chosen on the watch page, made by a real transcoder."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from support.platform import Platform, platform
from support.waiting import until
from umbel.demo.browser import chromium, report, until_decoded

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

DECODED_S = 90.0
QUICKER = {
    "UMBEL_PLAN_SAMPLE_S": "1",
    "UMBEL_PLAN_RCA_S": "2",
    "UMBEL_PLAN_VIRCA_S": "40",
    "UMBEL_NODE_WAKE_S": "1",
    "UMBEL_LINGER_S": "2",
}
"""Nodes are considered first when a viewer is there, also on a slow machine."""
_HEIGHT = "() => document.querySelector('video').videoHeight"
_IS_HIGH = "px => document.querySelector('video').videoHeight === px"
_PLAYS_SMALLER = """() => {
  const player = window.umbelPlayer;
  const height = document.querySelector('video')?.videoHeight;
  return player?.quality === '360p' && player.state === 'playing' && height === 360;
}"""
_PHASES = """() => {
  window.phases = [];
  const look = () => {
    const { state } = window.umbelPlayer;
    if (window.phases.at(-1) !== state) window.phases.push(state);
    requestAnimationFrame(look);
  };
  look();
}"""


async def until_height(page: Page, height: int) -> None:
    await page.wait_for_function(_IS_HIGH, arg=height, timeout=DECODED_S * 1000)


async def until_smaller(page: Page) -> None:
    """Before the picture's size is known there is the source alone; a picture is shown before the
    player says that it plays."""
    await page.wait_for_function(_PLAYS_SMALLER, timeout=DECODED_S * 1000)


async def transcoders(made: Platform) -> list[tuple[str, str]]:
    functions = await made.get("functions")
    return [(f["id"], f["node"]) for f in functions if f["role"] == "transcoder"]


@pytest.mark.parametrize("protocol", ["whep", "hls"])
async def test_a_smaller_picture_is_asked_for_by_the_address(
    tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_SRTP", "true" if protocol == "whep" else "false")
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe4&protocol={protocol}&quality=360p")
        await until_decoded(page, 60, timeout_s=DECODED_S)
        await until_smaller(page)
        seen = await report(page)
        await until_decoded(page, seen["framesDecoded"] + 60, timeout_s=DECODED_S)
        assert (seen["protocol"], seen["edge"]) == (protocol, "pe4")
        assert await transcoders(made) == [("transcoder-pe4-1", "pe4")]
        stream = (await made.get(f"events/{event.id}"))["stream"]
        assert (stream["height"], stream["qualities"]) == (720, ["source", "360p"])


async def test_a_viewer_changes_the_quality_and_the_picture_goes_on(tmp_path: Path) -> None:
    async with platform(tmp_path) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol=whep")
        await until_decoded(page, 60, timeout_s=DECODED_S)
        assert await page.evaluate(_HEIGHT) == 720
        await page.evaluate(_PHASES)
        for label, height in (("360p", 360), ("Source (720p)", 720)):
            await page.get_by_role("group", name="Quality").get_by_text(label).click()
            await until_height(page, height)
            decoded = (await report(page))["framesDecoded"]
            await until_decoded(page, decoded + 60, timeout_s=DECODED_S)
        assert await page.evaluate("window.phases") == ["playing"]

        async def is_gone() -> bool:
            return not await transcoders(made)

        await until(is_gone, within_s=60)


async def test_a_transcoder_leaves_a_node_that_rests_and_its_viewer_plays_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in QUICKER.items():
        monkeypatch.setenv(name, value)
    async with platform(tmp_path, ("--policy", "virca")) as made, chromium() as browser:
        event, _ = await made.live()
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe2&protocol=whep&quality=360p")
        await until_smaller(page)
        await page.evaluate(_PHASES)
        assert [node for _, node in await transcoders(made)] == ["pe2"]

        async def rests() -> bool:
            nodes = {node["name"]: node["state"] for node in await made.get("nodes")}
            return nodes["pe2"] == "standby"

        await until(rests, within_s=DECODED_S)
        assert [node for _, node in await transcoders(made)] == ["pe1"]
        seen = await until(lambda: report(page), lambda now: now["edge"] == "pe1", within_s=30)
        await until_decoded(page, seen["framesDecoded"] + 60, timeout_s=DECODED_S)
        await until_height(page, 360)
        assert await page.evaluate("window.phases") == ["playing"]
