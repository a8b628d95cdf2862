"""What recording costs: CPU of a recorder, next to `ffmpeg -c copy` of the same packets.

In: optionally how many rounds, and seconds a round. Out: JSON lines on stdout, a table for people
on stderr. Each stream's RTP (720p30 and Opus) is sent to the recorder, and to an ffmpeg of its own
that writes fragmented MP4; both at the same time. CPU time of both is read from the kernel, after
both have begun to write. What the recorder has is pulled as the control plane does, and
checked to be as long as what ffmpeg wrote.
"""

import asyncio
import base64
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
import av  # noqa: E402
from support.figures import Figure, emit  # noqa: E402

from support import camera, mp4  # noqa: E402
from support.camera import Camera, Picture  # noqa: E402
from support.media_server import Ground, ffmpeg, ground  # noqa: E402
from umbel.media.drivers.jsonrpc import JsonRpcMedia  # noqa: E402
from umbel.media.drivers.recorder_client import RecorderClient  # noqa: E402
from umbel.media.model import PayloadType, StreamRole, StreamSpec  # noqa: E402
from umbel.media.wire.sender import UdpSender  # noqa: E402

ROUNDS, SECONDS = 3, 20.0
CASES = {"copy": 1, "copy-8": 8}
FPS, CLIP_S = 30, 10.0
BEGIN_S = 4.0
PULL_S = 4.0
TOKEN = "b" * 43
ADDRESS, PEER_ADDRESS = "127.0.9.31", "127.0.9.32"
SDP = """v=0
o=- 0 0 IN IP4 {address}
s=-
c=IN IP4 {address}
t=0 0
m=video {video} RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}
m=audio {audio} RTP/AVP 111
a=rtpmap:111 opus/48000/2
"""

Batch = tuple[float, list[bytes], list[bytes]]


@dataclass
class Pulled:
    """What was pulled of one stream."""

    boot: str = ""
    after: int = -1
    length_s: float = 0.0
    size: int = 0
    dropped: int = 0
    maps: dict[int, bytes] = field(default_factory=dict)
    first: bytes = b""


def clip(folder: Path) -> tuple[Picture, ...]:
    """Pictures as an encoder makes them, 2.5 Mbit/s, a key picture every two seconds."""
    file = folder / "clip.h264"
    source = f"testsrc2=size=1280x720:rate={FPS}"
    command = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", source, "-t", str(CLIP_S)]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-bf", "0"]
    command += ["-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", str(2 * FPS)]
    command += ["-b:v", "2500k", "-maxrate", "2500k", "-bufsize", "2500k"]
    command += ["-x264-params", "repeat-headers=1:aud=0:scenecut=0", "-f", "h264", str(file)]
    subprocess.run(command, check=True)
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    return tuple(
        Picture(camera.units_of(bytes(packet)), Fraction(number, FPS), bool(packet.is_keyframe))
        for number, packet in enumerate(packets)
    )


def batches(pictures: Sequence[Picture], seconds: float) -> list[Batch]:
    """When to send what: all packets, and those of the sound among them."""
    made, start_s = Camera(), 0.0
    sounds = camera.sounds(CLIP_S)
    while start_s < seconds:
        made.video(pictures, start_s).audio(sounds, start_s)
        start_s += CLIP_S
    timed = [one for one in made.timed() if one[0] < seconds]
    found: list[Batch] = []
    for at_s, group in groupby(timed, key=lambda one: one[0]):
        packets = [data for _, data in group]
        found.append((at_s, packets, [p for p in packets if p[1] & 0x7F == PayloadType.OPUS]))
    return found


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def send(plan: list[Batch], ports: Sequence[int], peers: Sequence[int]) -> None:
    """Every stream to its recorder's port, and to its peer's two, as an acquirer sends."""
    loop = asyncio.get_running_loop()
    whole, pictures, sounds = (UdpSender(on_feedback=lambda *_: None) for _ in range(3))
    whole.set_hops([(ADDRESS, port) for port in ports])
    pictures.set_hops([(PEER_ADDRESS, port) for port in peers])
    sounds.set_hops([(PEER_ADDRESS, port + 2) for port in peers])
    began_s = loop.time()
    for at_s, packets, heard in plan:
        await asyncio.sleep(began_s + at_s - loop.time())
        now_s = loop.time()
        whole.packets(packets, now_s)
        if seen := [data for data in packets if data not in heard]:
            pictures.packets(seen, now_s)
        if heard:
            sounds.packets(heard, now_s)
    for sender in (whole, pictures, sounds):
        sender.close()


async def pull(client: RecorderClient, url: str, into: Pulled) -> bool:
    found = await client.pull(url, TOKEN, into.after, into.boot)
    into.boot, into.dropped = found.boot, found.dropped
    into.maps |= found.maps
    for one in found.segments:
        into.after, into.length_s = one.number, into.length_s + one.duration_s
        into.size += len(one.body)
        into.first = into.first or into.maps[one.map_number] + one.body
    return found.ended


async def pulling(client: RecorderClient, url: str, into: Pulled) -> None:
    while not await pull(client, url, into):
        await asyncio.sleep(PULL_S)


def copies(
    folder: Path, pictures: Sequence[Picture], count: int, stack: ExitStack
) -> list[tuple[int, subprocess.Popen[bytes]]]:
    """The peers: each with the first of its ports, which are even."""
    sets = [u for u in pictures[0].units if u[0] & 0x1F in (7, 8)]
    found = []
    for number in range(count):
        port = 42_000 + 10 * number
        text = SDP.format(
            address=PEER_ADDRESS,
            video=port,
            audio=port + 2,
            sets=",".join(base64.b64encode(one).decode() for one in sets),
        )
        (sdp := folder / f"{number}.sdp").write_text(text)
        command = [ffmpeg(), "-v", "error", "-protocol_whitelist", "file,udp,rtp", "-i", str(sdp)]
        command += ["-c", "copy", "-f", "mp4", "-movflags", "frag_keyframe+empty_moov"]
        process = subprocess.Popen(
            [*command, "-y", str(folder / f"{number}.mp4")], stdin=subprocess.PIPE
        )
        stack.callback(process.kill)
        found.append((port, process))
    return found


async def measure(
    made: Ground, pictures: Sequence[Picture], count: int, seconds: float, folder: Path
) -> tuple[float, float]:
    """One round: ms of CPU for each second of a stream, ours and the peers'."""
    recorder = made.start(f"recorder-{count}-{len(made.started)}", "recorder", ADDRESS)
    plane, client = JsonRpcMedia(), RecorderClient()
    kept = [Pulled() for _ in range(count)]
    with ExitStack() as stack:
        peers = copies(folder, pictures, count, stack)
        specs = [
            StreamSpec(stream=f"ev{n}", role=StreamRole.RECORDER, record_token=TOKEN)
            for n in range(count)
        ]
        states = [await plane.ensure(recorder.server, spec) for spec in specs]
        urls = [dict(state.urls)["record"] for state in states]
        plan = batches(pictures, BEGIN_S + seconds + 1)
        ports = [state.port for state in states]
        pulls = [
            asyncio.create_task(pulling(client, url, one))
            for url, one in zip(urls, kept, strict=True)
        ]
        pulls.append(asyncio.create_task(send(plan, ports, [port for port, _ in peers])))
        await asyncio.sleep(BEGIN_S)
        before = cpu_s(recorder.process.pid), [cpu_s(peer.pid) for _, peer in peers]
        await asyncio.sleep(seconds)
        ours_s = cpu_s(recorder.process.pid) - before[0]
        theirs_s = sum(cpu_s(peer.pid) for _, peer in peers) - sum(before[1])
        await pulls.pop()
        for spec in specs:
            ended = StreamSpec(**{**vars(spec), "is_over": True})
            await plane.ensure(recorder.server, ended)
        await asyncio.gather(*pulls)
        for _, peer in peers:
            peer.communicate(b"q", timeout=20)
    await client.close()
    await plane.close()
    recorder.end()
    check(kept, [folder / f"{n}.mp4" for n in range(count)], BEGIN_S + seconds + 1)
    scale = 1000 / (seconds * count)
    return ours_s * scale, theirs_s * scale


def check(kept: Sequence[Pulled], files: Sequence[Path], seconds: float) -> None:
    """Both have the whole stream; what was pulled plays."""
    for one, file in zip(kept, files, strict=True):
        assert not one.dropped
        assert abs(one.length_s - seconds) < 0.5, one.length_s
        assert mp4.decode(one.first).shown_s
        theirs = len(mp4.decode(file.read_bytes()).shown_s) / FPS
        assert theirs > 0.8 * seconds, theirs
        print(f"ours {one.length_s:.1f} s, peer's {theirs:.1f} s", file=sys.stderr)


async def main(count: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Every case, so many rounds each."""
    with tempfile.TemporaryDirectory() as name, ground(Path(name)) as made:
        pictures = clip(Path(name))
        for case, streams in CASES.items():
            rounds = [
                await measure(made, pictures, streams, seconds, Path(name)) for _ in range(count)
            ]
            emit(
                Figure(
                    bench="record",
                    case=case,
                    value=statistics.median(ours for ours, _ in rounds),
                    unit="ms/s",
                    n=count,
                    peer="ffmpeg -c copy",
                    peer_value=statistics.median(peer for _, peer in rounds),
                )
            )
    print(f"load average {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:2]), *map(float, sys.argv[2:3])))
