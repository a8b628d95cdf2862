"""What the demo stands on: this machine's loopback, or an emulated network of switches.

In: which one, the network file, and the demo's data directory. Out: the file that `umbel serve` is
given. The emulated network is a testbed of the demo's own, which goes with it; one that a killed
demo left goes first.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from rich.console import Console

from umbel.demo.stage import DemoFailed

_IMAGES = ("relay", "media")


class Fabric(StrEnum):
    """Functions send to each other's loopback address, or into the operator's switches."""

    LOOPBACK = "loopback"
    OPENFLOW = "openflow"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What there is to be. With `vms` the nodes are hypervisors; functions stay processes at
    `processes_at`, where the provider's stream comes in."""

    fabric: Fabric
    network: Path
    data_dir: Path
    vms: bool = False
    processes_at: tuple[str, ...] = ()


@asynccontextmanager
async def ground(wanted: Setting, console: Console) -> AsyncIterator[Path]:
    """The network file of what is there. Raises what testbed.build.up does, and DemoFailed."""
    if wanted.fabric is Fabric.LOOPBACK:
        yield wanted.network
        return
    async with _switches(wanted, console) as sites:
        yield sites


@asynccontextmanager
async def _switches(wanted: Setting, console: Console) -> AsyncIterator[Path]:
    # Without switches none of it is needed, and the demo would keep it in memory.
    from umbel.kit.terminal import bars  # noqa: PLC0415
    from umbel.network.documents import read_document  # noqa: PLC0415
    from umbel.testbed import build, state, teardown  # noqa: PLC0415
    from umbel.testbed.plan import GuestSettings  # noqa: PLC0415

    build.check(with_guests=wanted.vms)
    if wanted.vms:
        await _images(wanted.data_dir, console)
    name = testbed_name(wanted.data_dir)
    console.print("switches and hypervisors ..." if wanted.vms else "switches ...")
    await asyncio.to_thread(teardown.down, name)
    guests = GuestSettings(wanted=wanted.vms, processes_at=wanted.processes_at)
    document = read_document(wanted.network)
    try:
        with bars() as progress:
            make = partial(build.up, document, name, guests=guests, progress=progress)
            await asyncio.to_thread(make)
        yield state.sites_file(state.FOLDER / name)
    finally:
        await asyncio.to_thread(teardown.down, name)


async def _images(data_dir: Path, console: Console) -> None:
    """What guests boot. Building takes a minute or two, and more for the first time."""
    for image in _IMAGES:
        console.print(f"image {image} ... (up to some minutes where it is not there)")
        words = ("image", "build", image, "--data-dir", str(data_dir), "--if-needed")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "umbel", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if process.returncode != 0:
            raise DemoFailed(f"image {image}: {said.decode().strip()[-400:]}")


def testbed_name(data_dir: Path) -> str:
    """Demos over different directories can run at the same time."""
    return "demo" + hashlib.blake2b(str(data_dir).encode(), digest_size=3).hexdigest()
