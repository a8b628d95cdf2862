"""`umbel serve --policy virca` for real: nodes rest at low load, wake for a crowd, and a viewer in
a browser moves from a node that is to rest to one that is not, without a stall."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.async_api import Page

from support.platform import Platform, platform
from support.waiting import until
from umbel.demo.browser import chromium, report, until_decoded
from umbel.demo.stage import LiveEvent
from umbel.network import files

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DECODED_S = 90.0
NODE_MBPS = 60.0
CROWD = 40
"""More viewers than a node of that rate can serve at some 2 Mbit/s each."""
RESTING = ("pe2", "pe3", "pe4", "pe5", "c2")
"""With one encoder at pe1 and few viewers; c1 is the network's centre and stays on."""
PERIODS = {
    "UMBEL_PLAN_SAMPLE_S": "1",
    "UMBEL_PLAN_RCA_S": "2",
    "UMBEL_PLAN_VIRCA_S": "4",
    "UMBEL_NODE_WAKE_S": "1",
    "UMBEL_LINGER_S": "2",
}


@asynccontextmanager
async def planned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    """The demo's network on smaller nodes, planned for every few seconds."""
    for name, value in PERIODS.items():
        monkeypatch.setenv(name, value)
    document = dict(files.builtin("sls"))
    document["nodes"] = [dict(node, mbps=NODE_MBPS) for node in document["nodes"]]
    network = folder / "network.yaml"
    network.write_text(yaml.safe_dump(document))
    options = ("--policy", "virca", "--network", str(network))
    async with platform(folder, options) as made:
        yield made


async def states(made: Platform) -> dict[str, str]:
    return {node["name"]: node["state"] for node in await made.get("nodes")}


async def watts(made: Platform) -> float:
    return float(sum(node["watts"] for node in await made.get("nodes")))


async def until_resting(made: Platform, *, within_s: float = 60.0) -> None:
    async def holds() -> dict[str, str]:
        return await states(made)

    await until(holds, lambda s: all(s[n] == "standby" for n in RESTING), within_s=within_s)


async def crowd(made: Platform, event: LiveEvent, node: str) -> list[dict[str, Any]]:
    """Viewers who ask at once, as after a goal; every one of them gets a place."""
    asked = [made.session(event, node) for _ in range(CROWD)]
    return list(await asyncio.gather(*asked))


async def leave(made: Platform, viewers: list[dict[str, Any]]) -> None:
    for viewer in viewers:
        holder = {"Authorization": f"Bearer {viewer['token']}"}
        gone = await made.api.delete(f"/api/v1/sessions/{viewer['id']}", headers=holder)
        assert gone.status_code == 204, gone.text


async def moments(page: Page) -> dict[str, Any]:
    """What the page noted since `note`."""
    return dict(await page.evaluate("window.noted"))


@asynccontextmanager
async def never_abandoned(made: Platform, *pages: Page) -> AsyncIterator[None]:
    """No node goes off, be it for a moment, while one of these viewers is served there."""
    abandoned: list[tuple[str, str]] = []
    looks = 0

    async def watch() -> None:
        nonlocal looks
        while True:
            for page in pages:
                before = (await report(page))["edge"]
                state = (await states(made))[before]
                stayed = (await report(page))["edge"] == before
                if stayed and state not in ("active", "draining"):
                    abandoned.append((before, state))
                looks += 1
            await asyncio.sleep(0.05)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), ended
    assert looks > len(pages)
    assert abandoned == []


NOTE = """
window.noted = { phases: {}, longestMs: 0 };
let frames = 0, sinceMs = performance.now();
setInterval(() => {
  const player = window.umbelPlayer, nowMs = performance.now();
  window.noted.phases[player.state] = true;
  const now = document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames;
  if (now !== frames) { frames = now; sinceMs = nowMs; }
  window.noted.longestMs = Math.max(window.noted.longestMs, nowMs - sinceMs);
}, 20);
"""


async def test_nodes_rest_wake_for_a_crowd_and_rest_again_and_no_viewer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with planned(tmp_path, monkeypatch) as made, chromium() as browser:
        event, _ = await made.live()
        full_w = await watts(made)
        await until_resting(made)
        low_w = await watts(made)
        assert low_w < full_w
        # Low load: who watches at pe4 is served where the plan says.
        first = await browser.new_page()
        await first.goto(f"{made.url}/watch/{event.id}?node=pe4&protocol=whep")
        assert (await until_decoded(first, 60, timeout_s=DECODED_S))["edge"] == "pe1"
        await first.evaluate(NOTE)

        viewers = await crowd(made, event, "pe4")
        served = {viewer["edge"] for viewer in viewers}
        assert served >= {"pe1", "pe4"}
        awake = await states(made)
        assert {awake[node] for node in served} == {"active"}
        assert await watts(made) > low_w
        # In a browser, a viewer for whom pe1 has no room now: one who must move in the end.
        second = await browser.new_page()
        await second.goto(f"{made.url}/watch/{event.id}?node=pe4&protocol=whep")
        assert (await until_decoded(second, 60, timeout_s=DECODED_S))["edge"] != "pe1"
        await second.evaluate(NOTE)

        await leave(made, viewers)
        async with never_abandoned(made, first, second):
            await until_resting(made)
        for page in (first, second):
            seen = await report(page)
            await until_decoded(page, seen["framesDecoded"] + 30, timeout_s=DECODED_S)
            assert (await report(page))["edge"] == "pe1"
            noted = await moments(page)
            assert list(noted["phases"]) == ["playing"], noted
        assert await first.evaluate("window.umbelPlayer.sessionsOpened") == 1
        assert await second.evaluate("window.umbelPlayer.sessionsOpened") >= 2
