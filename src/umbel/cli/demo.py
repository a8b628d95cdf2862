"""`umbel demo`: options in; a whole network on this machine until Ctrl-C."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from umbel.demo.ground import Fabric
from umbel.demo.run import Wanted
from umbel.demo.run import demo as run_demo


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="check the whole path with viewers, then end")
    ] = False,
    source: Annotated[
        Path | None, typer.Option(help="a media file to stream instead of the test pattern")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="where the demo keeps its state")] = Path(
        ".umbel/demo"
    ),
    policy: Annotated[str, typer.Option(help="sls, consolidation, qos or virca")] = "sls",
    fabric: Annotated[
        Fabric, typer.Option(help="loopback, or openflow: an emulated network of switches (root)")
    ] = Fabric.LOOPBACK,
    vms: Annotated[
        bool, typer.Option("--vms", help="over switches, with functions as guests (root)")
    ] = False,
) -> None:
    """Run a whole network on this machine: seven nodes, a provider, a live event, an encoder."""
    wanted = Wanted(
        once=once, source=source, data_dir=data_dir, policy=policy, fabric=fabric, vms=vms
    )
    raise typer.Exit(asyncio.run(run_demo(wanted)))
