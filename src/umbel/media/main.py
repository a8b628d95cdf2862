"""The command `umbel media`: one media server on one address.

In: options, and the secret of its control channel from the environment. Out: a running process.
Also `python -m umbel.media`, for nodes that have only the media part, and for a fork server.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from umbel.kit import http
from umbel.kit import log as logging
from umbel.kit.clock import SystemClock
from umbel.kit.errors import UmbelError
from umbel.kit.words import PlainWords
from umbel.media.model import StreamRole, WorkerLimits
from umbel.media.server import process
from umbel.media.speech.model import Engine

SECRET_VARIABLE = "UMBEL_MEDIA_SECRET"  # noqa: S105 -- the variable's name

Port = Annotated[int, typer.Option(min=0, max=65535, help="0: the kernel chooses.")]

ReadyFile = Annotated[Path | None, typer.Option(help="File to write when all listeners are up.")]
IceServers = Annotated[
    list[str] | None, typer.Option(help="stun: or turn: URL for browsers; repeatable.")
]
CacheRoom = Annotated[
    int, typer.Option(min=0, help="Disk that an edge may use for recordings, in MiB.")
]
CacheFolder = Annotated[
    Path | None, typer.Option(help="Where these are kept; left out: a folder on a disk.")
]
CaptionsEngine = Annotated[
    str, typer.Option(help="What recognises speech: pocketsphinx, command, fake, or nothing.")
]
CaptionsCommand = Annotated[
    str, typer.Option(help="The engine `command`: a program and its arguments.")
]


def run(  # noqa: PLR0913 -- one argument per option
    *,
    function_id: Annotated[str, typer.Option("--id", help="The function's name.")],
    role: Annotated[
        StreamRole, typer.Option(help="What the server does; an acquirer receives from encoders.")
    ],
    address: Annotated[str, typer.Option(help="Address of all listeners.")],
    public_key: Annotated[
        Path, typer.Option(help="PEM file with the key that verifies viewers' tokens.")
    ],
    control_port: Port = 0,
    tls_port: Port = 0,
    http_port: Port = 0,
    udp_port: Port = 0,
    rtmp_port: Port = 0,
    ready_file: ReadyFile = None,
    ice_server: IceServers = None,
    most_pixels: Annotated[
        int, typer.Option(min=1, help="Largest picture that is accepted, in pixels.")
    ] = WorkerLimits.most_pixels,
    worker_memory_mb: Annotated[
        int, typer.Option(min=64, help="Memory that a worker may use for itself, in MiB.")
    ] = WorkerLimits.memory_mb,
    connections_per_address: Annotated[
        int, typer.Option(min=8, help="HTTP connections that one address may have.")
    ] = http.MOST_PER_ADDRESS,
    replay_cache_mb: CacheRoom = 0,
    replay_cache_folder: CacheFolder = None,
    captions_engine: CaptionsEngine = "",
    captions_command: CaptionsCommand = "",
    log_level: Annotated[
        str, typer.Option(envvar="UMBEL_LOG_LEVEL", help="debug, info, warning or error.")
    ] = "info",
) -> None:
    """Run a media server until SIGTERM."""
    logging.configure(level=log_level)
    options = process.Options(
        function_id=function_id,
        role=role,
        address=address,
        control_port=control_port,
        tls_port=tls_port,
        http_port=http_port,
        udp_port=udp_port,
        rtmp_port=rtmp_port,
        ready_file=ready_file,
        public_key=_read(public_key),
        secret=_secret(),
        ice_servers=tuple(ice_server or ()),
        limits=WorkerLimits(most_pixels=most_pixels, memory_mb=worker_memory_mb),
        connections_per_address=connections_per_address,
        replay_cache_mb=replay_cache_mb,
        replay_cache_folder=replay_cache_folder,
        speech=Engine(name=captions_engine, command=captions_command),
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process.serve(options, SystemClock()))
    except UmbelError as error:
        sys.exit(f"umbel media: {error.message}")


def _secret() -> str:
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        sys.exit(f"umbel media: set {SECRET_VARIABLE}: it opens the control channel")
    return secret


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        sys.exit(f"umbel media: cannot read {path}: {error.strerror}")


_PLAIN = PlainWords(run)


def main(words: Sequence[str]) -> None:
    """Run with these words of `python -m umbel.media`."""
    _PLAIN.run(words, "python -m umbel.media")
