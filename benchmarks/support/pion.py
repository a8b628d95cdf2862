"""A WHEP server on Pion (benchmarks/go), the WebRTC library that MediaMTX sends with.

`scripts/setup bench` builds it where there is Go.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.webrtc_client import Client

_ROOT = Path(__file__).parents[2]
_PROGRAM = _ROOT / "build" / "whep-pion"
_MODULE = "github.com/pion/webrtc/v4 v"


def version() -> str:
    """Pion's version, such as `4.2.26`; empty where the program was not built."""
    if not _PROGRAM.is_file():
        return ""
    required = (_ROOT / "benchmarks" / "go" / "go.mod").read_text()
    return required.partition(_MODULE)[2].split()[0]


@dataclass(frozen=True)
class Pion:
    """A running server. `rtp` is where it takes H.264."""

    pid: int
    rtp: int
    url: str

    async def watch(self, client: Client, _port: int) -> tuple[str, int]:
        """Connect a viewer; the address to send to."""
        async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
            answer = (await http.post(self.url, content=client.offer())).raise_for_status().text
        client.accept(answer)
        line = next(one for one in answer.split("\r\n") if one.startswith("a=candidate"))
        return line.split(" ")[4], int(line.split(" ")[5])


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Pion]:
    """The server, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        str(_PROGRAM), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        ports = json.loads(await process.stdout.readline())
        yield Pion(process.pid, ports["rtp"], f"http://127.0.0.1:{ports['http']}/")
    finally:
        process.kill()
        await process.wait()
