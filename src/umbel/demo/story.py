"""VPM's own story, with real parts: five hypervisors, a drawn tree with spare links, a relay
guest, a leaf guest that is moved while a browser watches, and a node that is lost and comes back.

python -m umbel.demo.story vpm [MOVES] [DATA_DIR], as root. Progress on stderr; the last line is one
JSON object with `ok` and the figures.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from rich.console import Console

from umbel.demo import guest_functions as functions
from umbel.demo import sls_story, stage
from umbel.demo.browser import chromium
from umbel.demo.ground import Fabric, Setting, ground, testbed_name
from umbel.demo.guest_functions import Json, until
from umbel.demo.model import PROVIDER_AT
from umbel.demo.run import Scene, Wanted, staged
from umbel.demo.stage import DemoFailed, done
from umbel.kit import netns
from umbel.kit.errors import UmbelError
from umbel.network.documents import builtin_document
from umbel.testbed import build, hypervisor, state
from umbel.testbed.plan import NodePlan

ROLES = {
    "platino2": "root",
    "platino3": "relay",
    "platino4": "relay",
    "platino1": "leaf",
    "platino5": "leaf",
}
"""VPM's figure 6: platino3 and platino4 both lead to platino5, so one of them is a spare."""
LEAVES = ("platino5", "platino1")
RELAY_AT = "platino3"

_MOST_S = 600.0
_FRAMES = 30
_VIEWER = (Path(__file__).parent / "whep_viewer.js").read_text()


@dataclass(kw_only=True)
class Story:
    """The story as it goes on; `figures` are what came of it."""

    scene: Scene
    page: Page
    console: Console
    folder: Path
    figures: Json = field(default_factory=dict)

    @property
    def api(self) -> httpx.AsyncClient:
        """The operator's."""
        return self.scene.api

    async def draw(self) -> None:
        """The operator draws the tree, with all its links."""
        document: Any = builtin_document("vpm")
        asked = {
            "nodes": [{"name": name, "role": role} for name, role in ROLES.items()],
            "links": [{"a": link["a"], "b": link["b"]} for link in document["links"]],
        }
        drawn = (await done(self.api.put("/api/v1/network/topology", json=asked))).json()
        self.figures["hypervisors"] = len(ROLES)
        self.figures |= {"tree": drawn["tree"], "spare_links": drawn["spare"]}

    async def watch(self) -> None:
        """A browser watches out of the leaf guest, over one connection for all that follows."""
        where = {"access_node": LEAVES[0]}
        path = f"/api/v1/events/{self.scene.event.id}/sessions"
        ticket = (await done(self.api.post(path, json=where))).json()
        if ticket["edge"] != LEAVES[0]:
            raise DemoFailed(f"the viewer of {LEAVES[0]} is served at {ticket['edge']}")
        await functions.no_more(self.api, LEAVES[0])
        await self.page.goto(f"{self.scene.url}/healthz")
        await self.page.evaluate(_VIEWER, {"whep": ticket["whep"], "token": ticket["token"]})
        await self.more_frames("the first pictures")
        self.figures["viewer"] = await self.viewer()

    async def relay(self) -> None:
        """The relay guest boots, and the stream passes it by itself."""
        relay = await until(lambda: functions.relay_on_path(self.api), "the relay guest", _MOST_S)
        await self.more_frames("pictures through the relay")
        self.figures["relay"] = {"node": relay["node"], "address": relay["address"]}

    async def move(self, number: int) -> None:
        """The leaf goes to the other leaf's hypervisor."""
        at, target = LEAVES[number % 2], LEAVES[(number + 1) % 2]
        edge = await until(lambda: functions.function_at(self.api, at, "edge"), f"the edge at {at}")
        await self.viewer()
        asked = {"function": edge["id"], "target": target, "max_gap_s": 120, "wait_s": 60}
        begun = (await done(self.api.post("/api/v1/migrations", json=asked))).json()
        over = await until(lambda: self._over(begun["id"]), "the end of the move", _MOST_S)
        if over["state"] != "committed":
            raise DemoFailed(f"move {number + 1}: {over['state']}: {over['reason']}")
        await self.more_frames(f"pictures from {target}")
        seen, achieved = await self.viewer(), over["achieved"] or {}
        moved = {
            "to": target,
            "kind": over["kind"],
            "guest_stops_s": achieved.get("gap_s"),
            "copied_mb": achieved.get("copied_mb"),
            "picture_gap_s": round(seen["gapMs"] / 1000, 2),
            "ssrc_kept": seen["ssrc"] == self.figures["viewer"]["ssrc"],
            "address_kept": seen.get("address") == self.figures["viewer"].get("address"),
        }
        self.figures.setdefault("moves", []).append(moved)
        self.console.print(f"move {number + 1} to {target}: {moved}")

    async def lose(self) -> None:
        """A hypervisor on the stream's way is lost with its switch and guests, and comes back."""
        testbed, tree = state.load(self.folder, self.folder.name), await self._tree()
        on_path = [below for _, below in tree["links"] if ROLES[below] == "relay"]
        lost = on_path[0] if on_path else RELAY_AT
        (here,) = [node for node in testbed.nodes if node.name == lost]
        await self.viewer()
        self.console.print(f"{lost} is lost ...")
        await asyncio.to_thread(_kill, here)
        await until(lambda: self._around(lost), f"a way around {lost}", _MOST_S)
        await self.more_frames(f"pictures around {lost}")
        around = await self.viewer()
        self.console.print(f"{lost} comes back ...")
        await asyncio.to_thread(_revive, self.folder, here)
        await until(
            lambda: functions.function_at(self.api, RELAY_AT, "relay"), "the relay", _MOST_S
        )
        await until(self._whole, f"the switch of {lost}", _MOST_S)
        await self.more_frames("pictures after all")
        self.figures["lost_node"] = {
            "node": lost,
            "was_on_path": bool(on_path),
            "picture_gap_s": round(around["gapMs"] / 1000, 2),
            "came_back": True,
        }

    async def more_frames(self, what: str) -> None:
        """Return once more pictures came."""
        since = await self.page.evaluate("() => window.umbelFrames()")

        async def came() -> Json | None:
            frames = await self.page.evaluate("() => window.umbelFrames()")
            return {} if frames >= since + _FRAMES else None

        await until(came, what, _MOST_S)

    async def viewer(self) -> Json:
        """What the viewer has seen since it was asked last."""
        seen: Json = await self.page.evaluate("() => window.umbelViewer()")
        return seen

    async def _over(self, migration: str) -> Json | None:
        found: Json = (await done(self.api.get(f"/api/v1/migrations/{migration}"))).json()
        return found if found["state"] in ("committed", "aborted") else None

    async def _tree(self) -> Json:
        tree: Json = (await done(self.api.get(f"/api/v1/trees/{self.scene.event.id}"))).json()
        return tree

    async def _around(self, lost: str) -> Json | None:
        tree = await self._tree()
        is_around = tree["links"] and lost not in {n for link in tree["links"] for n in link}
        return tree if is_around else None

    async def _whole(self) -> Json | None:
        switches = (await done(self.api.get("/api/v1/network/switches"))).json()
        return {} if all(one["connected"] for one in switches) else None


async def tell(scene: Scene, page: Page, console: Console, folder: Path, moves: int) -> Json:
    """The story, and its figures; `ok` says whether all went as it should."""
    story = Story(scene=scene, page=page, console=console, folder=folder)
    chapters: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("the tree is drawn", story.draw),
        ("a browser watches", story.watch),
        ("the relay guest boots", story.relay),
        *((f"move {n + 1} of {moves}", partial(story.move, n)) for n in range(moves)),
        ("a node is lost", story.lose),
    ]
    for title, chapter in chapters:
        console.print(f"{title} ...")
        try:
            await chapter()
        except (UmbelError, PlaywrightError) as error:
            return {"ok": False, "reason": f"{title}: {error.message}", **story.figures}
    gaps = [one["picture_gap_s"] for one in story.figures["moves"]]
    kept = all(one["ssrc_kept"] and one["address_kept"] for one in story.figures["moves"])
    last = await story.viewer()
    return {
        "ok": kept and last["state"] == "connected",
        **story.figures,
        "picture_gap_s": {"median": statistics.median(gaps), "most": max(gaps)},
        "one_connection": last["state"] == "connected",
        "frames": last["frames"],
        "packets_lost": last["lost"],
    }


async def run(moves: int, data_dir: Path, console: Console) -> Json:
    """Set the stage, tell the story, and leave nothing of it."""
    accounts, network = await stage.prepare(data_dir, "sls", "vpm")
    below = Setting(
        fabric=Fabric.OPENFLOW,
        network=network,
        data_dir=data_dir,
        vms=True,
        processes_at=(PROVIDER_AT["vpm"],),
    )
    wanted = Wanted(once=True, source=None, data_dir=data_dir, vms=True)
    async with (
        ground(below, console) as sites,
        staged(console, wanted, accounts, sites) as scene,
    ):
        await functions.relayed(scene.api, scene.event.id, console, LEAVES[0], RELAY_AT)
        folder = state.FOLDER / testbed_name(data_dir)
        async with chromium() as browser:
            return await tell(scene, await browser.new_page(), console, folder, moves)


async def main(moves: int, data_dir: Path) -> int:
    """Tell it. Answers the exit code."""
    console = Console(stderr=True)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    telling = asyncio.create_task(run(moves, data_dir.resolve(), console))
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, telling.cancel)
    try:
        figures = await telling
    except (UmbelError, PlaywrightError) as error:
        figures = {"ok": False, "reason": error.message}
    except asyncio.CancelledError:
        figures = {"ok": False, "reason": "it was stopped"}
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if figures["ok"] else 1


def _kill(here: NodePlan) -> None:
    """As if the machine lost its power: all that runs in its namespace ends."""
    while pids := netns.pids((here.namespace,)):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _revive(folder: Path, here: NodePlan) -> None:
    """The machine boots again: its switch and its libvirtd."""
    for program in state.DAEMONS:
        build.start_daemon(folder, here, program)
    hypervisor.start(folder, here)


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    if name not in {"vpm", "sls"}:
        sys.exit(f"there is no story {name}: vpm, sls")
    count = int(rest[0]) if rest else 10
    where = Path(rest[1]) if len(rest) > 1 else Path(".umbel") / f"story-{name}"
    sys.exit(asyncio.run(sls_story.main(where) if name == "sls" else main(count, where)))
