"""The self-check under the policy `virca`, as a program: nodes rest, a crowd wakes them, they rest
again, and two viewers in a real browser see it through without a stall. One JSON line.

python -m umbel.demo.flash WATCH_URL EVENT_ID, with an operator's token in UMBEL_DEMO_TOKEN
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from umbel.demo import power
from umbel.demo.browser import chromium, report, until_decoded
from umbel.demo.stage import DemoFailed

_FRAMES = 30
_WITHIN_S = 90.0
_LOOK_S = 0.05
_ON = ("active", "draining")
_NOTE = (Path(__file__).parent / "noted.js").read_text()

Nodes = Mapping[str, Mapping[str, Any]]


async def check(api: httpx.AsyncClient, watch: str, event: str) -> dict[str, Any]:
    """What happened; `ok` says whether all was as it should be, `reason` what was not."""
    try:
        async with chromium() as browser:
            pages = [await browser.new_page() for _ in range(2)]
            try:
                return await _seen(api, pages, watch, event)
            except DemoFailed as error:
                seen = [await report(page) for page in pages]
                return {"ok": False, "reason": error.message, "viewers": seen}
    except (DemoFailed, PlaywrightError) as error:
        return {"ok": False, "reason": error.message}


async def _seen(
    api: httpx.AsyncClient, pages: list[Page], watch: str, event: str
) -> dict[str, Any]:
    near, far = pages
    quiet = await _until_resting(api)
    resting = _resting(quiet)
    if power.CROWD_AT not in resting:
        raise DemoFailed(f"{power.CROWD_AT} does not rest at low load")
    await _opened(near, watch)
    crowd = await power.come(api, event)
    busy = await _nodes(api)
    woken = sorted(resting - _resting(busy))
    await _opened(far, watch)
    served = [(await report(page))["edge"] for page in pages]
    if served[0] in resting or served[1] not in woken:
        raise DemoFailed(f"viewers are served at {served}; {sorted(resting)} rested")
    async with _never_left(api, pages):
        await power.go(api, crowd)
        after = await _until_resting(api, resting)
    await _unbroken(pages, resting)
    return {
        "ok": True,
        "rest": sorted(resting),
        "crowd": len(crowd),
        "woken": woken,
        "edges": served,
        "watts": {"quiet": _watts(quiet), "crowd": _watts(busy), "after": _watts(after)},
    }


async def _opened(page: Page, watch: str) -> None:
    await page.goto(f"{watch}?node={power.CROWD_AT}&protocol=whep")
    await until_decoded(page, _FRAMES, timeout_s=_WITHIN_S)
    await page.evaluate(_NOTE)


@asynccontextmanager
async def _never_left(api: httpx.AsyncClient, pages: list[Page]) -> AsyncIterator[None]:
    """Raises DemoFailed where a node went off, be it for a moment, under one of the viewers."""
    looks = 0

    async def look() -> None:
        nonlocal looks
        while True:
            for page in pages:
                before = (await report(page))["edge"]
                state = (await _nodes(api))[before]["power"]
                stayed = (await report(page))["edge"] == before
                if stayed and state not in _ON:
                    raise DemoFailed(f"{before} was in {state} with a viewer")
                looks += 1
            await asyncio.sleep(_LOOK_S)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        (ended,) = await asyncio.gather(looking, return_exceptions=True)
    if not isinstance(ended, asyncio.CancelledError):
        raise ended or DemoFailed("no viewer watched")
    if not looks:
        raise DemoFailed("no viewer watched")


async def _unbroken(pages: list[Page], resting: frozenset[str]) -> None:
    """Every viewer is on a node that is on, goes on, and was playing all the time."""
    for page in pages:
        now = await report(page)
        await until_decoded(page, now["framesDecoded"] + _FRAMES, timeout_s=_WITHIN_S)
        edge = (await report(page))["edge"]
        if edge in resting:
            raise DemoFailed(f"a viewer is left at {edge}")
        states = list(await page.evaluate("window.noted"))
        if states != ["playing"]:
            raise DemoFailed(f"a viewer's player went through {states}")


async def _until_resting(
    api: httpx.AsyncClient, wanted: frozenset[str] = frozenset()
) -> dict[str, Mapping[str, Any]]:
    """The nodes once some (all those wanted) are in standby and none is on its way there."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                nodes = await _nodes(api)
                is_calm = all(node["power"] in ("active", "standby") for node in nodes.values())
                if is_calm and (resting := _resting(nodes)) and resting >= wanted:
                    return nodes
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        states = {name: node["power"] for name, node in (await _nodes(api)).items()}
        raise DemoFailed(f"nodes do not rest at low load: {states}") from None


async def _nodes(api: httpx.AsyncClient) -> dict[str, Mapping[str, Any]]:
    answer = await api.get("/api/v1/nodes")
    if answer.is_error:
        raise DemoFailed(f"GET /api/v1/nodes: {answer.text}")
    return {node["name"]: node for node in answer.json()}


def _resting(nodes: Nodes) -> frozenset[str]:
    return frozenset(name for name, node in nodes.items() if node["power"] == "standby")


def _watts(nodes: Nodes) -> int:
    return round(sum(float(node["watts"]) for node in nodes.values()))


async def _main(watch: str, event: str) -> dict[str, Any]:
    bearer = {"Authorization": f"Bearer {os.environ[power.TOKEN]}"}
    base = str(httpx.URL(watch).copy_with(path="/"))
    async with httpx.AsyncClient(base_url=base, headers=bearer, timeout=30) as api:
        return await check(api, watch, event)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_main(*sys.argv[1:3]))) + "\n")
