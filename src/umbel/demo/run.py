"""`umbel demo`: set the stage, then show it until Ctrl-C, or check it once and end.

In: options. Out: an exit code; on `--once` the last line is one JSON object.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live

from umbel.catalogue.model import UserRole
from umbel.demo import encoder, guest_functions, power, stage, table
from umbel.demo.ground import Fabric, Setting, ground
from umbel.demo.model import PROVIDER_AT, VIRCA, Account
from umbel.demo.stage import Child, DemoFailed, LiveEvent
from umbel.kit.errors import UmbelError

_CHECK_S = 150.0
_CHECK_VMS_S = 600.0
"""Guests are emulated, and boot while the machine encodes and decodes."""
_REFRESH_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The demo as it runs."""

    url: str
    api: httpx.AsyncClient
    event: LiveEvent
    accounts: list[Account]
    policy: str
    vms: bool = False

    def greeting(self) -> list[str]:
        """What a newcomer needs to know."""
        watch = f"{self.url}/watch/{self.event.id}"
        lines = [f"[bold]watch[/bold]    {watch}   (elsewhere: {watch}?node=pe4)"]
        lines += [f"[bold]home[/bold]     {self.url}/   network: {self.url}/network"]
        lines += [
            f"[bold]{account.role.value:8}[/bold] {account.username} / {account.password}"
            for account in self.accounts
        ]
        return lines


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the demo is to be: see `umbel demo --help`."""

    once: bool
    source: Path | None
    data_dir: Path
    policy: str = "sls"
    fabric: Fabric = Fabric.LOOPBACK
    vms: bool = False


async def demo(wanted: Wanted) -> int:
    """Run it. Answers the exit code: 0, or 1 with the reason told."""
    console = Console(stderr=wanted.once)
    wanted.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    try:
        if wanted.source is not None and not wanted.source.is_file():
            raise DemoFailed(f"there is no file {wanted.source}")
        data_dir = wanted.data_dir.resolve()
        console.print("accounts ...")
        accounts, network = await stage.prepare(data_dir, wanted.policy)
        below = Setting(
            fabric=Fabric.OPENFLOW if wanted.vms else wanted.fabric,
            network=network,
            data_dir=data_dir,
            vms=wanted.vms,
            processes_at=(PROVIDER_AT["sls"],),
        )
        async with (
            ground(below, console) as network,
            staged(console, wanted, accounts, network) as scene,
        ):
            if wanted.vms:
                await guest_functions.relayed(scene.api, scene.event.id, console)
            if not wanted.once:
                return await _show(scene, stop)
            result = await _checked(scene, stop)
    except UmbelError as error:
        if not wanted.once:
            console.print(f"[red]demo: {error.message}[/red]")
            return 1
        result = {"ok": False, "reason": error.message}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["ok"] else 1


@asynccontextmanager
async def staged(
    console: Console, wanted: Wanted, accounts: list[Account], network: Path
) -> AsyncIterator[Scene]:
    """The platform runs over the network file, and the event is live. Raises DemoFailed."""
    children: list[Child] = []
    data_dir = wanted.data_dir.resolve()
    api = httpx.AsyncClient(timeout=30)
    try:
        console.print("platform ...")
        platform, url = await stage.start_platform(
            data_dir,
            port=stage.usual_port(),
            options=("--policy", wanted.policy, "--network", str(network)),
            settings=power.settings(wanted.policy),
        )
        children.append(platform)
        api.base_url = httpx.URL(url)
        console.print("event and acquirer ...")
        roles = {account.role: account for account in accounts}
        await stage.sign_in(api, roles[UserRole.PROVIDER])
        event = await stage.open_event(api)
        console.print("encoder ...")
        command = encoder.push_command(
            event.ingest, event.stream_key, source=wanted.source, is_light=wanted.vms
        )
        pusher = await stage.start("encoder", command, data_dir / "encoder.log")
        children.append(pusher)
        await stage.until_live(api, event.id, pusher)
        await stage.sign_in(api, roles[UserRole.OPERATOR])
        console.print(f"live: {url}/watch/{event.id}")
        yield Scene(
            url=url,
            api=api,
            event=event,
            accounts=accounts,
            policy=wanted.policy,
            vms=wanted.vms,
        )
    finally:
        await api.aclose()
        for child in reversed(children):
            await child.stop()


async def _show(scene: Scene, stop: asyncio.Event) -> int:
    async with _tides(scene) as tides:
        return await _shown(scene, tides, stop)


@asynccontextmanager
async def _tides(scene: Scene) -> AsyncIterator[power.Tides | None]:
    """Under `virca`, crowds that come and go."""
    if scene.policy != VIRCA:
        yield None
        return
    tides = power.Tides(scene.api, scene.event.id)
    running = asyncio.create_task(tides.run())
    try:
        yield tides
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _shown(scene: Scene, tides: power.Tides | None, stop: asyncio.Event) -> int:
    with Live(console=Console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while not stop.is_set():
            try:
                picture = await _picture(scene)
            except httpx.HTTPError as error:
                raise DemoFailed(f"the platform does not answer: {error}") from error
            greeting = scene.greeting() + ([f"[bold]crowd[/bold]    {tides.said}"] if tides else [])
            live.update(table.render(picture, greeting), refresh=True)
            try:
                async with asyncio.timeout(_REFRESH_S):
                    await stop.wait()
            except TimeoutError:
                continue
    return 0


async def _picture(scene: Scene) -> table.Picture:
    paths = ("nodes", "functions", f"trees/{scene.event.id}", f"events/{scene.event.id}")
    asked = (scene.api.get(f"/api/v1/{path}") for path in paths)
    nodes, functions, tree, event = [answer.json() for answer in await asyncio.gather(*asked)]
    return table.Picture(nodes=nodes, functions=functions, tree=tree, event=event)


async def _checked(scene: Scene, stop: asyncio.Event) -> dict[str, object]:
    """Three real browsers watch: WHEP at pe2, HLS at pe4, and one that joins at pe2. Under `virca`,
    two that see nodes rest, wake for a crowd, and rest again."""
    watch = f"{scene.url}/watch/{scene.event.id}"
    words = ["umbel.demo.viewers", watch]
    if scene.policy == VIRCA:
        words = ["umbel.demo.flash", watch, scene.event.id]
    if scene.vms:
        words = ["umbel.demo.guest_viewer", watch, scene.event.id]
    bearer = scene.api.headers["Authorization"].removeprefix("Bearer ")
    viewers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, power.TOKEN: bearer},
    )
    ended = asyncio.create_task(viewers.communicate())
    stopped = asyncio.create_task(stop.wait())
    try:
        within_s = _CHECK_VMS_S if scene.vms else _CHECK_S
        await asyncio.wait({ended, stopped}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise DemoFailed("the viewers did not finish in time")
        out, _ = ended.result()
        lines = out.decode().splitlines()
        if not lines:
            raise DemoFailed("the viewers ended without a word")
        result: dict[str, object] = json.loads(lines[-1])
        tree = (await _picture(scene)).tree
        keys = ("root", "edges", "hops", *(["links"] if tree["links"] else []))
        return {**result, "tree": {key: tree[key] for key in keys}}
    finally:
        stopped.cancel()
        if viewers.returncode is None:
            viewers.terminate()
            await viewers.wait()
