"""The demo's encoder: ffmpeg from PyPI, pushing a pattern with a burnt-in clock, or a file.

In: an ingest URL. Out: command lines; whoever starts them owns the process. The picture carries
the time twice: as text for people, and as a row of 32 black or white squares for programs
(milliseconds since the epoch modulo 2^32, least significant bit first).
"""

from pathlib import Path

import imageio_ffmpeg

FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf")
WIDTH, HEIGHT, FPS = 1280, 720, 30
BITS, BIT_PX = 32, 40
"""The squares: BITS of them, BIT_PX wide and high, from the left of the top edge."""


def ffmpeg() -> str:
    """The program."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def push_command(url: str, *, source: Path | None = None, mbps: float = 2.0) -> list[str]:
    """Push the pattern, or a file in a loop, to an RTMP URL as H.264 without B-frames and AAC."""
    return [*_begin(), *_input(source), *_encode(mbps), "-f", "flv", url]


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


def _encode(mbps: float) -> list[str]:
    video = f"-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g {FPS} -pix_fmt yuv420p"
    rate = f"-b:v {mbps}M -maxrate {mbps}M -bufsize {mbps / 2}M"
    audio = "-c:a aac -ar 48000 -ac 2 -b:a 96k"
    return [*video.split(), *rate.split(), *audio.split(), "-flush_packets", "1"]
