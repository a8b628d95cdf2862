"""Real things around a WebRTC port: an encoder, a browser, a small HTTP server for offers."""

import asyncio
import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
from playwright.async_api import Page, async_playwright

from umbel.kit.errors import UmbelError
from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.ports import PacketSink
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc.reports import PublishState

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
VIDEO = "-f lavfi -i testsrc2=size=640x360:rate=30"
SMALL_VIDEO = "-f lavfi -i testsrc2=size=160x90:rate=15"
AUDIO = "-f lavfi -i sine=frequency=440:sample_rate=48000"
H264 = "-c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -b:v 1M"
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


async def until(condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Wait for the condition; TimeoutError when it does not come true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def encoder(
    port: int, *, gop: int = 60, video_source: str = VIDEO
) -> Iterator[subprocess.Popen[bytes]]:
    """A source as the platform has it: H.264 (96), Opus (111) and RTCP to one loopback port."""
    # ffmpeg sends parameter sets out of band unless dump_extra repeats them.
    url = f"rtp://127.0.0.1:{port}?rtcpport={port}&pkt_size=1200"
    video = (
        f"-map 0:v {H264} -g {gop} -pix_fmt yuv420p -bsf:v dump_extra -f rtp -payload_type 96 {url}"
    )
    audio = f"-map 1:a -c:a libopus -ac 2 -f rtp -payload_type 111 {url}"
    inputs = f"-re {video_source} -re {AUDIO}"
    with tempfile.TemporaryDirectory() as folder:
        described = ["-sdp_file", str(Path(folder) / "source.sdp")]
        words = f"-loglevel error {inputs} {video} {audio}".split()
        with running(FFMPEG, *words[:2], *described, *words[2:]) as process:
            yield process


@contextlib.asynccontextmanager
async def rtp_input(sink: PacketSink) -> AsyncIterator[int]:
    """A loopback port whose packets go to the sink, as batches."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(("127.0.0.1", 0))

    def readable() -> None:
        batch: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(batch) < 64:
                batch.append(sock.recv(2048))
        sink.packets(batch, time.monotonic())

    loop = asyncio.get_running_loop()
    loop.add_reader(sock.fileno(), readable)
    try:
        yield sock.getsockname()[1]
    finally:
        loop.remove_reader(sock.fileno())
        sock.close()


class Relay(asyncio.DatagramProtocol):
    """A network between one client and a port. `lose(datagram)` picks what the client misses."""

    def __init__(self, port: int) -> None:
        self.lose: Callable[[bytes], bool] = lambda _data: False
        self.port = 0
        self._server = ("127.0.0.1", port)
        self._client: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr != self._server:
            self._client = addr
            self._transport.sendto(data, self._server)
        elif self._client is not None and not self.lose(data):
            self._transport.sendto(data, self._client)


@contextlib.asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """A relay in front of a WebRTC port."""
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(
        lambda: Relay(port), local_addr=("127.0.0.1", 0)
    )
    try:
        yield made
    finally:
        transport.close()


@dataclass
class Gate:
    """A small HTTP server: POST /whep and /whip take offers, DELETE and PATCH their resources."""

    port: WebRtcPort
    stream: LiveStream
    sink: PacketSink
    url: str = ""
    relay: Relay | None = None
    ended: list[str] = field(default_factory=list)
    states: list[PublishState] = field(default_factory=list)
    trickled: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: str) -> tuple[str, str, str]:
        """Status, more headers, body."""
        if method == "GET":
            return "200 OK", "Content-Type: text/html\r\n", "<!doctype html><video id=v muted>"
        try:
            return self._change(method, path, body)
        except UmbelError as error:
            return f"{error.http_status} Refused", "", error.message

    def _change(self, method: str, path: str, body: str) -> tuple[str, str, str]:
        if method == "POST" and path == "/whep":
            made = self.port.watch(body, self.stream, session="lab", on_end=self.ended.append)
        elif method == "POST":
            made = self.port.publish(body, self.sink, on_state=self.states.append)
        elif method == "PATCH":
            self.trickled.append(body)
            return "204 No Content", "", self.port.trickle(path[1:], body) or ""
        else:
            self.port.delete(path[1:])
            return "200 OK", "", ""
        headers = f"Location: /{made.resource}\r\nContent-Type: application/sdp\r\n"
        if self.relay is not None:
            near, far = f" {self.port.port} typ", f" {self.relay.port} typ"
            return "201 Created", headers, made.sdp.replace(near, far)
        return "201 Created", headers, made.sdp

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then the connection is closed."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split("\r\n")[0].split(" ")
            sizes = [r.split(":")[1] for r in head.lower().split("\r\n") if "content-length:" in r]
            body = (await reader.readexactly(int(sizes[0]) if sizes else 0)).decode()
            status, more, text = self.answer(method, path, body)
            size = f"Content-Length: {len(text.encode())}\r\nConnection: close\r\n"
            writer.write(f"HTTP/1.1 {status}\r\n{more}{size}\r\n{text}".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def gate(
    sink: PacketSink | None = None, *, address: str = "127.0.0.1"
) -> AsyncIterator[Gate]:
    """A port with its HTTP server, and a live stream that publishers feed unless told else."""
    stream = LiveStream()
    port = await WebRtcPort.open(address)
    made = Gate(port, stream, sink or stream)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
        await port.close()


def own_address() -> str:
    """The address of the default route, for browsers whose ICE has no loopback; empty without one.
    What is sent to it does not leave the machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of documentation; nothing is sent
        except OSError:
            return ""
        return str(probe.getsockname()[0])


@contextlib.asynccontextmanager
async def browser_page(url: str) -> AsyncIterator[Page]:
    """A page of a fresh headless Chromium."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path="/usr/bin/chromium",
                headless=True,
                args=list(CHROMIUM_FLAGS),
                chromium_sandbox=False,
            )
            try:
                page = await context.new_page()
                await page.goto(url)
                yield page
            finally:
                await context.close()
