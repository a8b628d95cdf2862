"""Playlists (RFC 8216bis), for low-latency players and plain ones alike.

In: a window. Out: texts, and the other way the names in a request. URIs are names in the playlist's
own folder, so a media playlist is the same for every viewer. Neighbours: window.py has the facts,
io/hls_stream.py serves.
"""

import math
import re
from dataclasses import dataclass

from umbel.kit import clock
from umbel.media.hls.cuts import PART_TARGET_S
from umbel.media.hls.window import Segment, Window
from umbel.media.rtp.sps import parse_sps

MULTIVARIANT, MEDIA = "index.m3u8", "media.m3u8"

_VERSION = 9
_PART_HOLD_BACK_S = 3 * PART_TARGET_S
_HOLD_BACK_TARGETS = 3
_PARTS_LISTED_TARGETS = 3
_HEADROOM = 1.1
_NAME = re.compile(r"(init|segment|part)-([0-9]{1,15})\.(?:mp4|m4s)")


@dataclass(frozen=True, slots=True)
class Name:
    """What a file's name in a playlist stands for."""

    kind: str
    number: int


def read_name(path: str) -> Name | None:
    """What a path names, if anything."""
    found = _NAME.fullmatch(path)
    return Name(found[1], int(found[2])) if found else None


def multivariant(window: Window, folder: str = "") -> str:
    """The playlist a player opens first. The window must have a whole segment. `folder` (with its
    slash) is where the media playlist is, relative to this one."""
    closed = window.closed
    sizes_s = [(len(segment.body), segment.duration_s) for segment in closed]
    peak = max(size * 8 / duration_s for size, duration_s in sizes_s)
    mean = sum(size for size, _ in sizes_s) * 8 / sum(duration_s for _, duration_s in sizes_s)
    attributes = [
        f"BANDWIDTH={math.ceil(peak * _HEADROOM)}",
        f"AVERAGE-BANDWIDTH={math.ceil(mean)}",
        *_described(closed),
    ]
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}"]
    lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", f"{folder}{MEDIA}"]
    return "\n".join(lines) + "\n"


def media(window: Window, target_s: int) -> str:
    """The playlist of segments and parts."""
    control = f"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={_PART_HOLD_BACK_S:.3f}"
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_s}",
        f"#EXT-X-SERVER-CONTROL:{control},HOLD-BACK={_HOLD_BACK_TARGETS * target_s:.3f}",
        f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET_S:.3f}",
        f"#EXT-X-MEDIA-SEQUENCE:{window.segments[0].number}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{window.discontinuities_gone}",
    ]
    if all(segment.parts[0].starts_clean for segment in window.segments):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    lines += _segments(window, target_s)
    if window.is_ended:
        lines.append("#EXT-X-ENDLIST")
    else:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-{window.next_part}.m4s"')
    return "\n".join(lines) + "\n"


def _described(closed: list[Segment]) -> list[str]:
    """CODECS and what belongs to it, from the newest segment."""
    tracks = closed[-1].opening.tracks
    codecs, shape = [], []
    if tracks.video is not None:
        parsed = parse_sps(tracks.video.sps)
        frames = sum(part.frames for part in closed[-1].parts)
        rate = parsed.frames_per_s or frames / closed[-1].duration_s
        codecs.append(parsed.codec)
        shape = [f"RESOLUTION={parsed.width}x{parsed.height}", f"FRAME-RATE={rate:.3f}"]
    if tracks.audio:
        codecs.append("opus")
    return [f'CODECS="{",".join(codecs)}"', *shape]


def _segments(window: Window, target_s: int) -> list[str]:
    lines: list[str] = []
    map_number = -1
    behind_s = sum(segment.duration_s for segment in window.segments)
    for segment in window.segments:
        behind_s -= segment.duration_s
        if segment.opening.discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        if segment.map_number != map_number:
            map_number = segment.map_number
            lines.append(f'#EXT-X-MAP:URI="init-{map_number}.mp4"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{clock.to_rfc3339(segment.wall_s)}")
        if behind_s <= _PARTS_LISTED_TARGETS * target_s:
            lines += _parts(segment)
        if not segment.is_open:
            lines.append(f"#EXTINF:{segment.duration_s:.5f},")
            lines.append(f"segment-{segment.number}.m4s")
    return lines


def _parts(segment: Segment) -> list[str]:
    return [
        f'#EXT-X-PART:DURATION={part.duration_s:.5f},URI="part-{number}.m4s"'
        + (",INDEPENDENT=YES" if part.independent else "")
        for number, part in enumerate(segment.parts, start=segment.first_part)
    ]
