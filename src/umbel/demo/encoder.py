"""The demo's encoder: ffmpeg from PyPI, pushing a pattern with a burnt-in clock, or a file.

In: an ingest URL. Out: command lines; the caller owns their process. The picture carries
the time twice: as text for people, and as a row of 32 black or white squares for programs
(milliseconds since the epoch modulo 2^32, least significant bit first).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf")
WIDTH, HEIGHT, FPS = 1280, 720, 30
_LIGHT = ["-vf", "fps=10,scale=640:360"]
BITS, BIT_PX = 32, 40
"""The squares: BITS of them, BIT_PX wide and high, from the left of the top edge."""


def ffmpeg() -> str:
    """The program."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@dataclass(frozen=True, kw_only=True)
class Way:
    """How ffmpeg pushes over a protocol, given the ingest's URL and the stream key."""

    audio: str
    target: Callable[[str, str], list[str]]


WAYS: dict[str, Way] = {
    "rtmp": Way(audio="aac", target=lambda url, key: ["-f", "flv", f"{url}/{key}"]),
    "srt": Way(audio="aac", target=lambda url, key: ["-f", "mpegts", f"{url}?streamid={key}"]),
    "whip": Way(
        audio="libopus", target=lambda url, key: ["-f", "whip", "-authorization", key, url]
    ),
}


def push_command(
    ingest: Mapping[str, str],
    key: str,
    *,
    protocol: str = "rtmp",
    source: Path | None = None,
    is_light: bool = False,
) -> list[str]:
    """Push the pattern, or a file in a loop, as H.264 without B-frames, with the stream key. Where
    it `is_light` it is small and slow: emulated guests are to carry it.

    `ingest` is the platform's answer: URLs by protocol.
    """
    way = WAYS[protocol]
    encoding = [*_LIGHT, *_encode(way.audio, mbps=0.4)] if is_light else _encode(way.audio)
    return [*_begin(), *_input(source), *encoding, *way.target(ingest[protocol], key)]


def pattern_filter() -> str:
    """The moving pattern with both clocks; frame times are wall-clock ones while it is drawn."""
    squares = ",".join(
        f"drawbox=x={i * BIT_PX}:y=0:w={BIT_PX}:h={BIT_PX}:c=white:t=fill"
        f":enable='mod(floor(floor(t*1000)/{2**i})\\,2)'"
        for i in range(BITS)
    )
    clock = (
        f"drawtext=fontfile={FONT}:fontsize=72:fontcolor=white:box=1:boxcolor=black@0.6"
        ":boxborderw=16:x=(w-tw)/2:y=h-th-60"
        ":text='%{pts\\:localtime\\:0\\:%T}.%{eif\\:mod(floor(t*1000)\\,1000)\\:d\\:3}'"
    )
    return (
        f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS},realtime,setpts=RTCTIME/1000000/TB"
        f",drawbox=x=0:y=0:w={BITS * BIT_PX}:h={BIT_PX}:c=black:t=fill,{squares},{clock}"
        ",setpts=PTS-STARTPTS"
    )


def _begin() -> list[str]:
    return [ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin"]


def _input(source: Path | None) -> list[str]:
    if source is not None:
        return ["-re", "-stream_loop", "-1", "-i", str(source)]
    tone = "sine=frequency=440:sample_rate=48000,volume=0.2,arealtime"
    return ["-f", "lavfi", "-i", pattern_filter(), "-f", "lavfi", "-i", tone]


def _encode(audio_codec: str, mbps: float = 2.0) -> list[str]:
    video = f"-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g {FPS} -pix_fmt yuv420p"
    rate = f"-b:v {mbps}M -maxrate {mbps}M -bufsize {mbps / 2}M"
    audio = f"-c:a {audio_codec} -ar 48000 -ac 2 -b:a 96k"
    return [*video.split(), *rate.split(), *audio.split(), "-flush_packets", "1"]
