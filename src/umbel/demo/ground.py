"""What the demo stands on: this machine's loopback, or an emulated network of switches.

In: which one, the network file, and the demo's data directory. Out: the file that `umbel serve` is
given. The emulated network is a testbed of the demo's own, which goes with it; one that a killed
demo left goes first.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

from rich.console import Console


class Fabric(StrEnum):
    """Functions send to each other's loopback address, or into the operator's switches."""

    LOOPBACK = "loopback"
    OPENFLOW = "openflow"


@asynccontextmanager
async def ground(
    fabric: Fabric, network: Path, data_dir: Path, console: Console
) -> AsyncIterator[Path]:
    """The network file of what is there. Raises what testbed.build.up does."""
    if fabric is Fabric.LOOPBACK:
        yield network
        return
    async with _switches(network, data_dir, console) as sites:
        yield sites


@asynccontextmanager
async def _switches(network: Path, data_dir: Path, console: Console) -> AsyncIterator[Path]:
    # Without switches none of it is needed, and the demo would keep it in memory.
    from umbel.kit.terminal import bars  # noqa: PLC0415
    from umbel.network.documents import read_document  # noqa: PLC0415
    from umbel.testbed import build, state, teardown  # noqa: PLC0415

    build.check()
    name = testbed_name(data_dir)
    console.print("switches ...")
    await asyncio.to_thread(teardown.down, name)
    try:
        with bars() as progress:
            await asyncio.to_thread(build.up, read_document(network), name, progress=progress)
        yield state.sites_file(state.FOLDER / name)
    finally:
        await asyncio.to_thread(teardown.down, name)


def testbed_name(data_dir: Path) -> str:
    """Demos over different directories can run at the same time."""
    return "demo" + hashlib.blake2b(str(data_dir).encode(), digest_size=3).hexdigest()
