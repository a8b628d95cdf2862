"""Worker processes that read files of strangers: whatever happens to one costs its file only.

In: an item's content, what to do with it. Out: what a check found, or positions while it is sent.
Workers have a bound of memory, and end with this process. Neighbour: inside/, which runs in them.
"""

import asyncio
import base64
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from umbel.kit.errors import Unavailable
from umbel.playout import blocks
from umbel.playout.model import FileFacts, FileRefused
from umbel.repository.model import Content
from umbel.repository.service import Repository

log = structlog.get_logger(__name__)

PROBE_WITHIN_S = 120.0
_LONGEST_LINE = 1 << 20
_SILENT_S = 45.0
_TAIL = 2_000
_MODULE = "umbel.playout.inside.main"


class PlayoutWorkerLost(Unavailable):
    """The process that reads the file ended, or said nothing for long."""

    code = "umbel.playout_worker_lost"


@dataclass(frozen=True, kw_only=True)
class PlayoutTarget:
    """Where a file is sent: an acquirer's SRT address, and the key that opens it."""

    uri: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Starts a process for each file."""

    repository: Repository
    memory_mb: int
    most_pixels: int

    async def probe(self, content: Content) -> tuple[FileFacts, bytes]:
        """What is in the file, and a JPEG, which is empty where there is none. Raises FileRefused,
        PlayoutWorkerLost."""
        asked = {"op": "probe", "most_pixels": self.most_pixels}
        try:
            async with asyncio.timeout(PROBE_WITHIN_S), self._running(content, asked) as messages:
                async for message in messages:
                    if message["event"] == "probed":
                        jpeg = base64.b64decode(message["jpeg"])
                        return FileFacts(**message["facts"]), jpeg
        except TimeoutError:
            late = f"The file could not be read within {PROBE_WITHIN_S:.0f} s"
            raise FileRefused(f"{late}. Export it again, and upload that.") from None
        raise PlayoutWorkerLost

    async def play(
        self,
        content: Content,
        target: PlayoutTarget,
        position_s: float,
        on_position: Callable[[float], Awaitable[None]],
    ) -> None:
        """Send the file from this position to its end. Raises FileRefused, PlayoutWorkerLost."""
        asked = {"op": "play", "uri": target.uri, "key": target.key, "position_s": position_s}
        async with self._running(content, asked) as messages:
            async for message in messages:
                if message["event"] == "position":
                    await on_position(message["position_s"])
                elif message["event"] == "ended":
                    return
        raise PlayoutWorkerLost

    @contextlib.asynccontextmanager
    async def _running(
        self, content: Content, asked: Mapping[str, Any]
    ) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
        """A worker that does this, until the end of the block; its messages."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _MODULE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                limit=_LONGEST_LINE,
            )
            told = {
                **asked,
                "parent": os.getpid(),
                "blocks": theirs.fileno(),
                "size": content.item.size,
                "memory_mb": self.memory_mb,
            }
        streams = await asyncio.open_unix_connection(sock=ours)
        serving = asyncio.create_task(blocks.serve(self.repository, content, streams))
        errors = asyncio.create_task(_tail(process))
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(told).encode() + b"\n")
            yield _messages(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            said = await errors
            if said:
                log.info("playout worker said", item=content.item.id, said=said)


async def _messages(process: asyncio.subprocess.Process) -> AsyncIterator[Mapping[str, Any]]:
    """Raises FileRefused, PlayoutWorkerLost."""
    assert process.stdout is not None
    while True:
        try:
            async with asyncio.timeout(_SILENT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            raise PlayoutWorkerLost(f"it said nothing for {_SILENT_S:.0f} s") from None
        if not line:
            return
        message = json.loads(line)
        if message["event"] == "refused":
            raise FileRefused(message["message"])
        yield message


async def _tail(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    tail = b""
    while chunk := await process.stderr.read(4096):
        tail = (tail + chunk)[-_TAIL:]
    return tail.decode(errors="replace").strip()
