"""Drive two media servers by hand: an acquirer that feeds an edge, without any control plane.

python examples/04-drive-a-media-server.py

Starts two `umbel media` processes, connects elements in them by Kurento's JSON-RPC 2.0 over
WebSocket, pushes a test picture over RTMP, and reads it from the edge by HLS.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import imageio_ffmpeg
from websockets.asyncio.client import ClientConnection, connect

from umbel.kit import tokens

SECRET = "by-hand"  # opens both control channels
STREAM, KEY = "by-hand", "by-hand.secret"
PATIENCE_S = 60.0


async def main() -> None:
    """Build the smallest tree, use it, end it."""
    signer = tokens.Signer(tokens.new_private_key())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "viewers.pem").write_bytes(signer.public_key)
        async with (
            server(folder, "acquirer", "127.0.31.1") as acquirer,
            server(folder, "edge", "127.0.32.1") as edge,
        ):
            playlist, hop = await build_edge(edge)
            target = await build_acquirer(acquirer, hop)
            claims = tokens.Claims(subject="me", scope=STREAM, expires_s=time.time() + 600)
            token = signer.sign(claims, tokens.VIEWER)
            async with encoder(f"{target}/{KEY}"):
                await watch(f"{playlist}?token={token}")


async def build_edge(control: "Control") -> tuple[str, dict[str, Any]]:
    """RtpReceiver -> HlsEndpoint; answers the playlist's URL and where the stream is awaited."""
    pipeline = await control.create("MediaPipeline", stream=STREAM, role="edge")
    receiver = await control.create("RtpReceiver", mediaPipeline=pipeline)
    hls = await control.create("HlsEndpoint", mediaPipeline=pipeline)
    await control.invoke(receiver, "connect", sink=hls)
    hop = {
        "address": await control.invoke(receiver, "getAddress"),
        "port": await control.invoke(receiver, "getPort"),
    }
    print(f"the edge awaits RTP at {hop['address']}:{hop['port']}")
    return await control.invoke(hls, "getUrl"), hop


async def build_acquirer(control: "Control", hop: dict[str, Any]) -> str:
    """IngestEndpoint -> RtpSender -> hop; answers where to push over RTMP."""
    pipeline = await control.create("MediaPipeline", stream=STREAM, role="acquirer")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    ingest = await control.create("IngestEndpoint", mediaPipeline=pipeline, keyHashes=[digest])
    sender = await control.create("RtpSender", mediaPipeline=pipeline, hops=[hop])
    await control.invoke(ingest, "connect", sink=sender)
    urls = await control.invoke(ingest, "getUrls")
    by_protocol = {one["protocol"]: one["url"] for one in urls}
    print(f"the acquirer takes {', '.join(sorted(by_protocol))}")
    return str(by_protocol["rtmp"])


class Control:
    """One control channel. Requests go one at a time, which is enough by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0

    async def create(self, kind: str, **parameters: object) -> str:
        """A new object's id."""
        body: dict[str, object] = {"type": kind, "constructorParams": parameters}
        return str(await self._ask("create", body))

    async def invoke(self, target: str, operation: str, **parameters: object) -> Any:
        """What an operation answers."""
        body: dict[str, object] = {
            "object": target,
            "operation": operation,
            "operationParams": parameters,
        }
        return await self._ask("invoke", body)

    async def _ask(self, method: str, parameters: dict[str, object]) -> Any:
        self._last += 1
        request = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": parameters}
        await self._socket.send(json.dumps(request))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == self._last:
                break
        if "error" in answer:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"].get("value")


@asynccontextmanager
async def server(folder: Path, role: str, address: str) -> AsyncIterator[Control]:
    """A media server and the channel to it."""
    ready = folder / f"{role}.json"
    words = ["--id", role, "--role", role, "--address", address, "--ready-file", str(ready)]
    words += ["--public-key", str(folder / "viewers.pem"), "--log-level", "warning"]
    environment = {**os.environ, "UMBEL_MEDIA_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel", "media", *words), env=environment
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not ready.exists():
                await asyncio.sleep(0.05)
        port = json.loads(ready.read_text())["ports"]["control"]
        opens = {"Authorization": f"Bearer {SECRET}"}
        url = f"ws://{address}:{port}/kurento"
        async with connect(url, additional_headers=opens, proxy=None) as socket:
            yield Control(socket)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def encoder(target: str) -> AsyncIterator[None]:
    """A test picture and a tone, pushed until the end."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin"]
    command += (
        "-re -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=frequency=440".split()
    )
    command += "-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 25".split()
    command += "-pix_fmt yuv420p -c:a aac -ar 48000 -f flv".split()
    process = await asyncio.create_subprocess_exec(*command, target)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def watch(playlist: str) -> None:
    """Wait for the first segment, as a player would."""
    async with httpx.AsyncClient(timeout=30) as http, asyncio.timeout(PATIENCE_S):
        media = urljoin(playlist, (await until_listed(http, playlist))[0])
        segments = await until_listed(http, media)
        found = (await http.get(urljoin(media, segments[0]))).raise_for_status()
        print(f"the edge serves {segments[0].partition('?')[0]}, {len(found.content)} bytes")


async def until_listed(http: httpx.AsyncClient, playlist: str) -> list[str]:
    """The playlist's URIs once it has some."""
    while True:
        answer = await http.get(playlist)
        uris = [line for line in answer.text.splitlines() if line and line[0] != "#"]
        if answer.is_success and uris:
            return uris
        await asyncio.sleep(0.3)


if __name__ == "__main__":
    asyncio.run(main())
