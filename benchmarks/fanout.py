"""One 720p30 H.264 stream to N WHEP viewers: CPU time of the sender per packet sent.

Compared with Janus and Pion in the same run: same clip, same viewers, same SRTP profile, NACK,
RFC 4588 and reports agreed on both sides. A table on stderr, JSON lines on stdout.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from support.family import cpu_s  # noqa: E402
from support.figures import Figure, emit_next_to  # noqa: E402
from support.whep_sinks import Sink  # noqa: E402

from support import alone, janus, pion, whep_sinks  # noqa: E402
from support.webrtc_client import Client  # noqa: E402
from umbel.media.webrtc.dtls import CM_SHA1_80, GCM  # noqa: E402

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CLIP_S = 10
PROFILES = {"gcm": GCM, "cm": CM_SHA1_80}

Watch = Callable[[Client, int], Awaitable[tuple[str, int]]]


@dataclass(frozen=True)
class Sender:
    """Someone who sends: its process, where it takes RTP, how a viewer joins."""

    pid: int
    rtp: int
    watch: Watch
    is_lite: bool


@dataclass(frozen=True)
class Result:
    """CPU microseconds per packet, packets per second and viewer, Mbit/s in all."""

    us_per_packet: float
    rate: float
    mbps: float


REPEATED = "h264_mp4toannexb"
"""Puts the parameter sets before each key picture. (`dump_extra` on an MP4 file's packets loses
the key pictures themselves: 1.43 instead of 2.08 Mbit/s.)"""


def make_clip(path: Path) -> None:
    """Ten seconds of 720p30 at 2 Mbit/s, a key picture every two seconds."""
    source = f"testsrc2=size=1280x720:rate=30:duration={CLIP_S}"
    coder = "-c:v libx264 -preset veryfast -tune zerolatency -profile:v baseline -g 60"
    rate = "-b:v 2M -maxrate 2M -bufsize 1M -pix_fmt yuv420p"
    words = f"-loglevel error -f lavfi -i {source} -vf noise=alls=12:allf=t {coder} {rate}".split()
    subprocess.run([FFMPEG, *words, str(path)], check=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def playing(clip: Path, port: int) -> Iterator[None]:
    """The clip in real time, again and again, as the platform's RTP."""
    target = f"rtp://127.0.0.1:{port}?rtcpport={port}&pkt_size=1200"
    words = f"-loglevel error -re -stream_loop -1 -i {clip} -c copy -bsf:v {REPEATED}".split()
    command = [FFMPEG, *words, "-f", "rtp", "-payload_type", "96", target]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def check_key_pictures(clip: Path) -> None:
    """Exit when the stream has no key picture: its cost would say nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30.0)
        with playing(clip, receiver.getsockname()[1]):
            for _ in range(2_000):  # about the clip
                kind, header = receiver.recv(2048)[12:14]
                # RFC 6184: a slice of a key picture, whole or as the beginning of fragments.
                if kind & 0x1F == 5 or (kind & 0x1F == 28 and header & 0x9F == 0x85):
                    return
    sys.exit("fanout: the encoder's stream has no key picture")


@contextlib.asynccontextmanager
async def umbel_sender() -> AsyncIterator[Sender]:
    """Our sender in a process of its own."""
    script = ROOT / "benchmarks" / "support" / "whep_server.py"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(ROOT / "src")},
        limit=1 << 20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    try:
        rtp = json.loads(await stdout.readline())["rtp"]

        async def watch(client: Client, _port: int) -> tuple[str, int]:
            stdin.write(json.dumps({"offer": client.offer()}).encode() + b"\n")
            answer = json.loads(await stdout.readline())["answer"]
            client.accept(answer)
            line = next(one for one in answer.split("\r\n") if one.startswith("a=candidate"))
            return line.split(" ")[4], int(line.split(" ")[5])

        yield Sender(process.pid, rtp, watch, is_lite=True)
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def janus_sender() -> AsyncIterator[Sender]:
    """Janus in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with janus.running(Path(folder)) as one:
            yield Sender(one.pid, one.rtp, one.watch, is_lite=False)


@contextlib.asynccontextmanager
async def pion_sender() -> AsyncIterator[Sender]:
    """Pion in a process of its own."""
    async with pion.running() as one:
        yield Sender(one.pid, one.rtp, one.watch, is_lite=True)


SenderRun = Callable[[], contextlib.AbstractAsyncContextManager[Sender]]


def peers() -> dict[str, SenderRun]:
    """Those that are here, by name and version. Janus needs an address that is not loopback's."""
    found: dict[str, SenderRun] = {}
    if alone.is_alone() and janus.version():
        found[f"janus {janus.version()}"] = janus_sender
    if pion.version():
        found[f"pion {pion.version()}"] = pion_sender
    return found


async def connect(sender: Sender, sinks: list[Sink]) -> None:
    """Every viewer joins and gets packets."""
    for sink in sinks:
        sink.is_checking = sender.is_lite
        sink.address = await sender.watch(sink.client, sink.port)
        sink.check()
    async with asyncio.timeout(30):
        while any(sink.packets == 0 for sink in sinks):
            await asyncio.sleep(0.05)


async def measure(run: SenderRun, clip: Path, viewers: int, seconds: float, kind: str) -> Result:
    """One run of a sender."""
    async with run() as sender:
        with playing(clip, sender.rtp):
            async with whep_sinks.viewing(PROFILES[kind], viewers) as sinks:
                await connect(sender, sinks)
                await asyncio.sleep(1.5)
                return await count(sender, sinks, seconds)


async def count(sender: Sender, sinks: list[Sink], seconds: float) -> Result:
    """Packets that came and CPU time that went during `seconds`."""
    packets, octets = sum(one.packets for one in sinks), sum(one.octets for one in sinks)
    spent_s, began_s = cpu_s(sender.pid), time.monotonic()
    await asyncio.sleep(seconds)
    spent_s, lasted_s = cpu_s(sender.pid) - spent_s, time.monotonic() - began_s
    packets = sum(one.packets for one in sinks) - packets
    octets = sum(one.octets for one in sinks) - octets
    return Result(
        us_per_packet=spent_s / packets * 1e6,
        rate=packets / lasted_s / len(sinks),
        mbps=octets * 8 / lasted_s / 1e6,
    )


def report(viewers: int, results: dict[str, list[Result]]) -> None:
    """The medians of a case, next to each peer's."""
    medians = {
        name: statistics.median(one.us_per_packet for one in rows) for name, rows in results.items()
    }
    rates = ", ".join(f"{name} {rows[-1].rate:.0f}" for name, rows in results.items())
    print(f"whep-{viewers}: packets a second and viewer: {rates}", file=sys.stderr, flush=True)
    figure = Figure(
        bench="fanout",
        case=f"whep-{viewers}",
        value=medians.pop("umbel"),
        unit="us/packet",
        n=len(results["umbel"]),
    )
    emit_next_to(figure, medians)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--runs", type=int, default=5)
    made.add_argument("--seconds", type=float, default=5.0)
    made.add_argument("--viewers", type=int, nargs="+", default=[1, 10, 50])
    made.add_argument("--profile", choices=sorted(PROFILES), default="gcm")
    return made


async def main(args: argparse.Namespace) -> None:
    """Every case, the senders in turn."""
    senders: dict[str, SenderRun] = {"umbel": umbel_sender, **peers()}
    print(
        f"fan-out: CPU us per packet sent, {PROFILES[args.profile].name} on both sides, "
        "NACK, RTX and reports on",
        file=sys.stderr,
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        check_key_pictures(clip)
        for viewers in args.viewers:
            results: dict[str, list[Result]] = {name: [] for name in senders}
            for _ in range(args.runs):
                for name, run in senders.items():
                    one = await measure(run, clip, viewers, args.seconds, args.profile)
                    results[name].append(one)
            report(viewers, results)


if __name__ == "__main__":
    options = parser().parse_args()
    if os.geteuid() == 0:
        alone.go_alone()
    else:
        print("not root: no namespace, and so no Janus", file=sys.stderr)
    asyncio.run(main(options))
