"""The command `umbel storage`: one storage function on one address.

In: options, and its secret from the environment. Out: a running process. Also `python -m
umbel.repository.node_storage`, for nodes that have only what functions need.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from umbel.kit import log as logging
from umbel.kit.errors import UmbelError
from umbel.kit.words import PlainWords
from umbel.repository.node_storage import process
from umbel.repository.node_storage.messages import SECRET_VARIABLE

Port = Annotated[int, typer.Option(min=0, max=65535, help="0: the kernel chooses.")]


def run(  # noqa: PLR0913 -- one argument per option
    *,
    function_id: Annotated[str, typer.Option("--id", help="The function's name.")],
    address: Annotated[str, typer.Option(help="Address of all listeners.")],
    folder: Annotated[Path, typer.Option(help="Where shards are kept; this function's alone.")],
    limit_mb: Annotated[int, typer.Option(min=1, help="Disk that shards may take, in MiB.")],
    control_port: Port = 0,
    tls_port: Port = 0,
    ready_file: Annotated[
        Path | None, typer.Option(help="File to write when all listeners are up.")
    ] = None,
    log_level: Annotated[
        str, typer.Option(envvar="UMBEL_LOG_LEVEL", help="debug, info, warning or error.")
    ] = "info",
) -> None:
    """Run a storage function until SIGTERM: it keeps a shard of the repository on its node."""
    logging.configure(level=log_level)
    options = process.Options(
        function_id=function_id,
        address=address,
        control_port=control_port,
        tls_port=tls_port,
        ready_file=ready_file,
        folder=folder,
        limit_bytes=limit_mb * 2**20,
        secret=_secret(),
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process.serve(options))
    except UmbelError as error:
        sys.exit(f"umbel storage: {error.message}")


def _secret() -> str:
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        sys.exit(f"umbel storage: set {SECRET_VARIABLE}: it opens the function's shards")
    return secret


_PLAIN = PlainWords(run)


def main(words: Sequence[str]) -> None:
    """Run with these words of `python -m umbel.repository.node_storage`."""
    _PLAIN.run(words, "python -m umbel.repository.node_storage")
