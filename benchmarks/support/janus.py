"""Janus with one streaming mountpoint that takes RTP, on loopback, in a folder of its own."""

import asyncio
import contextlib
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from support.webrtc_client import Client
from umbel.media.webrtc import sdp

_LIBRARY = "/usr/lib/x86_64-linux-gnu/janus"
_GENERAL = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{library}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}/none"
  loggers_folder = "{folder}/none"
  debug_level = 2
  session_timeout = 0
}}
media: {{ }}
nat: {{ }}
plugins: {{ disable = "{others}" }}
"""
_HTTP = """
general: {{ json = "compact" base_path = "/janus" http = true port = {port} ip = "127.0.0.1" }}
admin: {{ admin_http = false }}
"""
_STREAMING = """
bench: {{
  type = "rtp"
  id = 1
  media = (
    {{
      type = "video"
      mid = "video"
      port = {port}
      pt = 96
      codec = "h264"
      fmtp = "profile-level-id=42e01f;packetization-mode=1"
    }}
  )
}}
"""


def version() -> str:
    """Janus's version, such as `1.1.2`; empty where it is not installed."""
    try:
        done = subprocess.run(["janus", "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    words = done.stdout.split()
    found = [word.strip("()") for word in words if word.count(".") == 2]
    return found[0] if found else "unknown"


def free_port(kind: socket.SocketKind) -> int:
    """A port that was free a moment ago: Janus cannot tell which one it took."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Janus:
    """A running Janus. `rtp` is where its mountpoint takes H.264 as payload type 96."""

    def __init__(self, pid: int, rtp: int, url: str) -> None:
        self.pid = pid
        self.rtp = rtp
        self._url = url
        self._http = httpx.AsyncClient(timeout=10, trust_env=False)

    async def watch(self, client: Client, port: int) -> tuple[str, int]:
        """Connect a viewer whose socket has this port; the address to send to."""
        session = (await self._post("", {"janus": "create"}))["data"]["id"]
        attach = {"janus": "attach", "plugin": "janus.plugin.streaming"}
        handle = (await self._post(f"/{session}", attach))["data"]["id"]
        path = f"/{session}/{handle}"
        await self._post(path, {"janus": "message", "body": {"request": "watch", "id": 1}})
        offer = (await self._event(session, "jsep"))["jsep"]["sdp"]
        candidate = next(line for line in offer.split("\r\n") if line.startswith("a=candidate"))
        address, its_port = candidate.split(" ")[4:6]
        answer = _answer(client, offer, address, port)
        jsep = {"type": "answer", "sdp": answer}
        body = {"janus": "message", "body": {"request": "start"}, "jsep": jsep}
        await self._post(path, body)
        await self._event(session, "plugindata")
        return address, int(its_port)

    async def close(self) -> None:
        await self._http.aclose()

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(20):
            while not await self._answers():
                await asyncio.sleep(0.1)

    async def _answers(self) -> bool:
        try:
            return (await self._http.get(f"{self._url}/info")).is_success
        except httpx.TransportError:
            return False

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        body["transaction"] = secrets.token_hex(8)
        answer: dict[str, Any] = (await self._http.post(self._url + path, json=body)).json()
        return answer

    async def _event(self, session: int, key: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                event: dict[str, Any] = (await self._http.get(f"{self._url}/{session}")).json()
                if key in event:
                    return event


def _answer(client: Client, offer: str, address: str, port: int) -> str:
    """Take H.264 with RFC 4588 as offered; the client begins with DTLS."""
    parsed = sdp.parse_offer(offer)
    section = parsed.sections[0]
    client.accept(offer)
    codec = next(one for one in section.codecs if one.name == "H264")
    rtx = next(one for one in section.codecs if one.name == "RTX")
    number = codec.payload_type
    lines = [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {section.mid}"),
        f"m=video {port} UDP/TLS/RTP/SAVPF {number} {rtx.payload_type}",
        *("c=IN IP4 127.0.0.1", f"a=mid:{section.mid}", "a=recvonly", "a=rtcp-mux"),
        f"a=ice-ufrag:{client.credentials.ufrag}",
        f"a=ice-pwd:{client.credentials.password}",
        f"a=fingerprint:{client.identity.fingerprint}",
        "a=setup:active",
        f"a=candidate:1 1 udp 2130706431 {address} {port} typ host",
        f"a=rtpmap:{number} H264/90000",
        f"a=fmtp:{number} {codec.parameters}",
        *(f"a=rtcp-fb:{number} nack", f"a=rtcp-fb:{number} nack pli"),
        f"a=rtpmap:{rtx.payload_type} rtx/90000",
        f"a=fmtp:{rtx.payload_type} apt={number}",
    ]
    return "\r\n".join(lines) + "\r\n"


def _write_settings(folder: Path, rtp: int, http: int) -> None:
    transports = folder / "transports"
    transports.mkdir()
    (transports / "libjanus_http.so").symlink_to(f"{_LIBRARY}/transports/libjanus_http.so")
    plugins = [path.name for path in Path(_LIBRARY, "plugins").glob("*.so")]
    others = ",".join(name for name in plugins if name != "libjanus_streaming.so")
    text = _GENERAL.format(folder=folder, library=_LIBRARY, others=others)
    (folder / "janus.jcfg").write_text(text)
    (folder / "janus.transport.http.jcfg").write_text(_HTTP.format(port=http))
    (folder / "janus.plugin.streaming.jcfg").write_text(_STREAMING.format(port=rtp))


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Janus]:
    """Janus, ended with the block."""
    rtp, http = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    _write_settings(folder, rtp, http)
    process = await asyncio.create_subprocess_exec(
        *("janus", "-F", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    janus = Janus(process.pid, rtp, f"http://127.0.0.1:{http}/janus")
    try:
        await janus.ready()
        yield janus
    finally:
        await janus.close()
        process.kill()
        await process.wait()
