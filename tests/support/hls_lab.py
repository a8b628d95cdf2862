"""HLS over real HTTP from a real encoder's packets, for tests in the lab."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import imageio_ffmpeg

from support.waiting import until
from umbel.media.io.hls_stream import HlsStream
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.workers.pool import WorkerPool

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
HERE = "127.0.0.1"
_QUIET = (FFMPEG, "-hide_banner", "-loglevel", "error", "-nostdin")

# Once a second, for a tenth of it: the picture is white and a tone sounds.
FLASH = (
    "color=black:size=320x180:rate=30,drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)',realtime"
)
BEEP = "aevalsrc='if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)':sample_rate=48000,arealtime"


@dataclass
class Page:
    """A stream that HTTP serves: `requests` is every path asked for."""

    stream: HlsStream
    receiver: UdpReceiver
    port: int
    requests: list[str]

    @property
    def url(self) -> str:
        return f"http://{HERE}:{self.port}/index.m3u8"

    async def playlist(self, name: str) -> str:
        """The playlist, once there is one: encoders start slowly on a busy machine."""
        answer = await until(
            lambda: self.stream.get(name, {}), lambda one: one.status == 200, within_s=60
        )
        return answer.body.decode()


def publisher(port: int, seconds: float, *, address: str = HERE) -> list[str]:
    """An ffmpeg that pushes flashes and beeps in the platform's packets, in real time."""
    inputs = ("-f", "lavfi", "-i", FLASH, "-f", "lavfi", "-i", BEEP)
    return [*_QUIET, *inputs, *_outputs(port, seconds, address, sound="1:a")]


def film_publisher(port: int, seconds: float, film: Path) -> list[str]:
    """An ffmpeg that pushes the film again and again."""
    inputs = ("-re", "-stream_loop", "-1", "-i", str(film))
    return [*_QUIET, *inputs, *_outputs(port, seconds, HERE, sound="0:a")]


def _outputs(port: int, seconds: float, address: str, *, sound: str) -> list[str]:
    to = f"rtp://{address}:{port}?rtcpport={port}&pkt_size=1200"
    return [
        *("-map", "0:v", "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast"),
        *("-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p"),
        *("-g", "60", "-bf", "0", "-b:v", "1M", "-payload_type", "96", "-f", "rtp", to),
        *("-map", sound, "-t", str(seconds), "-c:a", "libopus", "-ac", "2"),
        *("-payload_type", "111", "-f", "rtp", to),
    ]


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that is gone afterwards."""
    started = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@asynccontextmanager
async def page(workers: WorkerPool | None = None) -> AsyncIterator[Page]:
    """A stream with a port for packets and a port for HTTP; with `workers` it offers AAC, and they
    are closed with it."""
    made = Page(HlsStream(workers=workers), await UdpReceiver.open(HERE), 0, [])
    made.receiver.attach(made.stream)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while await _answer(made, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, HERE, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.stream.close()
        await made.stream.until_closed()
        made.receiver.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        if workers is not None:
            await workers.close()


async def _answer(made: Page, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    target = urlsplit(head.split(" ", 2)[1])
    made.requests.append(target.path)
    answer = await made.stream.get(target.path.lstrip("/"), dict(parse_qsl(target.query)))
    lines = [
        f"HTTP/1.1 {answer.status} Status",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        f"Cache-Control: {answer.cache_control}",
        "Access-Control-Allow-Origin: *",
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body)
    await writer.drain()
    return True
