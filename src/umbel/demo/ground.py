"""What the demo stands on: this machine's loopback, or an emulated network of switches.

In: which one, the network document, and the demo's data directory. Out: settings of `umbel serve`.
The emulated network is a testbed of the demo's own, which goes with it; one that a killed demo left
goes first.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

import yaml
from rich.console import Console

from umbel.kit.terminal import bars
from umbel.testbed import build, state, teardown


class Fabric(StrEnum):
    """Functions send to each other's loopback address, or into the operator's switches."""

    LOOPBACK = "loopback"
    OPENFLOW = "openflow"


@asynccontextmanager
async def ground(
    fabric: Fabric, document: object, data_dir: Path, console: Console
) -> AsyncIterator[tuple[str, ...]]:
    """Options of `umbel serve` for the network. Raises what testbed.build.up does."""
    if fabric is Fabric.LOOPBACK:
        path = data_dir / "network.yaml"
        path.write_text(yaml.safe_dump(document))
        yield ("--network", str(path))
        return
    build.check()
    name = testbed_name(data_dir)
    console.print("switches ...")
    await asyncio.to_thread(teardown.down, name)
    try:
        with bars() as progress:
            await asyncio.to_thread(build.up, document, name, progress=progress)
        yield ("--network", str(state.sites_file(state.FOLDER / name)))
    finally:
        await asyncio.to_thread(teardown.down, name)


def testbed_name(data_dir: Path) -> str:
    """Demos over different directories can run at the same time."""
    return "demo" + hashlib.blake2b(str(data_dir).encode(), digest_size=3).hexdigest()
