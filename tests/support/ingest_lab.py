"""For lab tests of ingest: a desk with a collecting sink, real encoders, and what came out."""

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import imageio_ffmpeg

from umbel.kit.clock import SystemClock
from umbel.media.io.ingest_desk import IngestDesk
from umbel.media.model import WORKER_LIMITS, WorkerLimits
from umbel.media.ports import Packets
from umbel.media.rtp.packet import RtpPacket, is_rtcp
from umbel.media.workers.pool import WorkerPool

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
ADDRESS = "127.0.61.1"
KEY = "ev_lab.secret"
DEADLINE_S = 60.0
RATE = 25
PICTURE = ("-f", "lavfi", "-i", f"testsrc=size=320x240:rate={RATE}")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
PLAIN_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
B_FRAMES = (*PLAIN_H264, "-preset", "veryfast", "-bf", "2", "-g", "250")


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass
class Collector:
    """A PacketSink that keeps everything."""

    taken: list[bytes] = field(default_factory=list)

    def packets(self, batch: Packets, now_s: float) -> None:
        self.taken += batch

    def rtp(self, payload_type: int, ssrc: int | None = None) -> list[RtpPacket]:
        packets = [RtpPacket.parse(item) for item in self.taken if not is_rtcp(item)]
        return [
            item
            for item in packets
            if item.payload_type == payload_type and ssrc in {None, item.ssrc}
        ]

    def ssrcs(self, payload_type: int) -> list[int]:
        return list(dict.fromkeys(item.ssrc for item in self.rtp(payload_type)))

    def frames(self, payload_type: int = 96) -> int:
        return sum(item.marker for item in self.rtp(payload_type))

    def reports(self) -> list[bytes]:
        return [item for item in self.taken if is_rtcp(item)]


@dataclass
class Lab:
    workers: WorkerPool
    desk: IngestDesk
    sink: Collector
    urls: dict[str, str]
    events: list[str]
    clips: Path

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not in time: {what}; {self.events}") from None

    async def until_stopped(self) -> None:
        await self.until(lambda: self.events[-1:] == ["stopped"], "stopped")
        # What is inside still comes out after the claim is free: only the SRT listener stays.
        await self.until(lambda: len(children(os.getpid())) <= 1, "the worker's end")


@asynccontextmanager
async def lab(clips: Path, limits: WorkerLimits = WORKER_LIMITS) -> AsyncIterator[Lab]:
    events: list[str] = []
    workers = WorkerPool(SystemClock(), limits)
    desk = await IngestDesk.open(
        ADDRESS, 0, workers=workers, on_event=lambda _stream, what: events.append(what)
    )
    sink = Collector()
    try:
        urls = await desk.admit("ev_lab", [digest(KEY)], sink)
        yield Lab(workers, desk, sink, urls, events, clips)
    finally:
        await desk.close()
        await workers.close()


@asynccontextmanager
async def encoder(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running ffmpeg, killed at the end whatever happens."""
    process = await asyncio.create_subprocess_exec(
        FFMPEG,
        *("-hide_banner", "-loglevel", "error", "-nostdin"),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def encode(*arguments: str) -> int:
    """Run ffmpeg to its end; its return code."""
    async with encoder(*arguments) as process, asyncio.timeout(2 * DEADLINE_S):
        return await process.wait()


async def clip(path: Path, *codecs: str, seconds: float = 3) -> Path:
    """Encode a test picture and tone into a file."""
    inputs = (*PICTURE, *TONE) if "-an" not in codecs else PICTURE
    assert await encode(*inputs, *codecs, "-t", str(seconds), "-y", str(path)) == 0
    return path


def live(*codecs: str, seconds: float = 60, audio: bool = True) -> tuple[str, ...]:
    """ffmpeg's arguments to encode in real time."""
    inputs = ("-re", *PICTURE, "-re", *TONE) if audio else ("-re", *PICTURE)
    return (*inputs, *codecs, "-t", str(seconds))


def nals(packets: Sequence[RtpPacket]) -> list[bytes]:
    """NAL units out of RTP, checked as a receiver would (RFC 6184)."""
    found: list[bytes] = []
    part = b""
    for packet in packets:
        kind = packet.payload[0] & 0x1F
        if kind != 28:
            assert not part
            assert kind < 24
            found.append(packet.payload)
            continue
        head = packet.payload[1]
        assert bool(head & 0x80) == (not part)
        if head & 0x80:
            part = bytes(((packet.payload[0] & 0xE0) | (head & 0x1F),))
        part += packet.payload[2:]
        if head & 0x40:
            found.append(part)
            part = b""
    assert not part
    return found


def split(stream: bytes) -> list[bytes]:
    """NAL units of a byte stream, by another way than the product's."""
    parts = stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    return [part for part in parts if part]


def decode_video(found: Sequence[bytes]) -> list[av.VideoFrame]:
    """Pictures out of NAL units."""
    context = av.CodecContext.create("h264", "r")
    stream = b"".join(b"\0\0\0\1" + nal for nal in found)
    frames = [frame for packet in context.parse(stream) for frame in context.decode(packet)]
    for packet in context.parse(None):
        frames += context.decode(packet)
    return frames + context.decode(None)


def decode_audio(packets: Sequence[RtpPacket]) -> int:
    """How many samples the Opus packets hold when they are decoded."""
    context = av.CodecContext.create("opus", "r")
    context.layout = "stereo"
    context.sample_rate = 48_000
    return sum(
        frame.samples for item in packets for frame in context.decode(av.Packet(item.payload))
    )


def offspring(parent: int) -> list[int]:
    """Process ids of a process' children, of any kind."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]


def children(parent: int) -> list[int]:
    """Process ids of a process' workers that work; a test run has other children too: their fork
    server, a database."""
    return [pid for pid in offspring(parent) if _is_worker(pid) and alive(pid)]


def _is_worker(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "umbel-worker\n"
    except OSError:
        return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:  # it ended, perhaps just now
        return False


def end(pid: int) -> None:
    if alive(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
