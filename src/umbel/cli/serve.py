"""`umbel serve`: the control plane. Options in; a process that runs until a signal."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from umbel.cli.options import DataDir, settings
from umbel.kit import heap, log
from umbel.kit.terminal import errors_on_stderr
from umbel.serve import serve_until_stopped


def serve(  # noqa: PLR0913, PLR0917 -- one argument per option
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0: any free one")] = None,
    network: Annotated[Path | None, typer.Option(help="the network file (YAML)")] = None,
    policy: Annotated[str | None, typer.Option(help="sls, consolidation, qos or virca")] = None,
    stop_functions_on_exit: Annotated[
        bool | None, typer.Option(help="stop all functions on a clean exit")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="write the front end's URL here once it listens")
    ] = None,
) -> None:
    """Run the control plane: REST, web app, and the delivery loop. Functions are separate
    processes. They continue when this command ends, and the next start adopts them. All
    settings are variables UMBEL_..., such as UMBEL_DATABASE_URL; an option takes precedence.
    """
    made = settings(
        data_dir=data_dir,
        host=host,
        port=port,
        network_file=network,
        policy=policy,
        stop_functions_on_exit=stop_functions_on_exit,
    )
    log.configure(level=made.log_level)
    heap.return_large_blocks()  # each password that is checked needs 19 MiB
    with errors_on_stderr(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(made, ready_file))
