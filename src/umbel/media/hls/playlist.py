"""Playlists (RFC 8216bis), for low-latency players and plain ones alike.

In: a window. Out: texts, and the other way the names in a request. URIs are names in the playlist's
own folder, so a media playlist is the same for every viewer. For players that show captions there
are late playlists of pictures and of subtitles (decision 0202). Neighbours: window.py has the
facts, io/hls_stream.py serves.
"""

import math
import re
from dataclasses import dataclass

from umbel.kit import clock
from umbel.media.hls.boxes import Sound
from umbel.media.hls.cuts import PART_TARGET_S
from umbel.media.hls.window import Segment, Window
from umbel.media.model import AAC_BPS
from umbel.media.rtp.sps import parse_sps

MULTIVARIANT, MEDIA, AAC = "index.m3u8", "media.m3u8", "aac.m3u8"
SUBTITLED = "subtitled.m3u8"
"""The multivariant playlist with subtitles."""
CAPTION = "captions"
"""The kind of a piece of them."""
# What the names of a media playlist's files begin with.
PREFIXES = {MEDIA: "", AAC: "aac-"}
# The late playlists of a media playlist, by their own names.
LATE = {f"{prefix}late.m3u8": name for name, prefix in PREFIXES.items()}
CAPTIONS = {f"{prefix}captions.m3u8": name for name, prefix in PREFIXES.items()}
MEDIA_PLAYLISTS = {*PREFIXES, *LATE, *CAPTIONS}

_VERSION, _LATE_VERSION = 9, 7
_PART_HOLD_BACK_S = 3 * PART_TARGET_S
_HOLD_BACK_TARGETS = 3
_PARTS_LISTED_TARGETS = 3
_HEADROOM = 1.1
_NAME = re.compile(r"(aac-)?(init|segment|part|captions)-([0-9]{1,15})\.(?:mp4|m4s|vtt)")
_PLAYLISTS = {prefix: name for name, prefix in PREFIXES.items()}
_GROUPS = ((Sound.OPUS, "opus", MEDIA), (Sound.AAC, "aac", AAC))


@dataclass(frozen=True, slots=True)
class Name:
    """What a file's name in the media playlist `playlist` stands for."""

    playlist: str
    kind: str
    number: int


def read_name(path: str) -> Name | None:
    """What a path names, if anything."""
    found = _NAME.fullmatch(path)
    return Name(_PLAYLISTS[found[1] or ""], found[2], int(found[3])) if found else None


def multivariant(
    window: Window, folder: str = "", *, has_aac: bool = False, language: str = ""
) -> str:
    """The playlist a player opens first. The window must have a whole segment. `folder` (with its
    slash) is where the media playlists are, relative to this one. With AAC a player that knows both
    codecs takes Opus, which is listed first; no sound is encoded for it. With the `language` of
    captions it names the late playlists, and subtitles that go with each."""
    closed = window.closed
    sounds = _GROUPS if has_aac and closed[-1].opening.tracks.audio is not None else _GROUPS[:1]
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}"]
    for _, group, _ in sounds if len(sounds) > 1 else ():
        # Without a URI: the sound is in the variant's own segments.
        names = f'GROUP-ID="{group}",NAME="Sound"'
        lines.append(f'#EXT-X-MEDIA:TYPE=AUDIO,{names},DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"')
    for sound, group, name in sounds:
        attributes = [*_rates(closed, sound), *_described(closed, sound)]
        if len(sounds) > 1:
            attributes.append(f'AUDIO="{group}"')
        if language:
            lines.append(_subtitles(group, language, f"{folder}{PREFIXES[name]}captions.m3u8"))
            attributes.append(f'SUBTITLES="{group}-captions"')
        uri = f"{PREFIXES[name]}late.m3u8" if language else name
        lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", f"{folder}{uri}"]
    return "\n".join(lines) + "\n"


def _subtitles(group: str, language: str, uri: str) -> str:
    """One group for each codec of sound: their segments have other numbers."""
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{group}-captions",NAME="Captions",'
        f'LANGUAGE="{language}",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="{uri}"'
    )


def _rates(closed: list[Segment], sound: Sound) -> list[str]:
    """How much a player must take, from the segments with Opus; AAC is counted on top, because a
    bound must not be too low (RFC 8216bis 4.4.6.2)."""
    more = AAC_BPS if sound is Sound.AAC else 0
    sizes_s = [(len(segment.body), segment.duration_s) for segment in closed]
    peak = max(size * 8 / duration_s for size, duration_s in sizes_s)
    mean = sum(size for size, _ in sizes_s) * 8 / sum(duration_s for _, duration_s in sizes_s)
    return [
        f"BANDWIDTH={math.ceil((peak + more) * _HEADROOM)}",
        f"AVERAGE-BANDWIDTH={math.ceil(mean + more)}",
    ]


def media(window: Window, target_s: int, prefix: str = "") -> str:
    """The playlist of segments and parts, whose names begin with `prefix`."""
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
    lines += _segments(window, target_s, prefix)
    if window.is_ended:
        lines.append("#EXT-X-ENDLIST")
    else:
        hinted = f"{prefix}part-{window.next_part}.m4s"
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hinted}"')
    return "\n".join(lines) + "\n"


def late(window: Window, target_s: int, now_s: float, prefix: str = "") -> str:
    """The playlist of pictures that is late: whole segments, and nothing to wait for. There must be
    one at least."""
    listed = window.late(target_s, now_s)
    lines = _late_head(window, listed, target_s)
    if all(segment.parts[0].starts_clean for segment in listed):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    map_number = -1
    for segment in listed:
        lines += _opening(segment, map_number, prefix)
        map_number = segment.map_number
        lines += [f"#EXTINF:{segment.duration_s:.5f},", f"{prefix}segment-{segment.number}.m4s"]
    return _ended(lines, window)


def captions(window: Window, target_s: int, now_s: float, prefix: str = "") -> str:
    """The playlist of the subtitles of these segments: the same numbers, times and lengths."""
    listed = window.late(target_s, now_s)
    lines = _late_head(window, listed, target_s)
    for segment in listed:
        lines += _opening(segment, segment.map_number, prefix)
        lines += [f"#EXTINF:{segment.duration_s:.5f},", f"{prefix}captions-{segment.number}.vtt"]
    return _ended(lines, window)


def _late_head(window: Window, listed: list[Segment], target_s: int) -> list[str]:
    first = listed[0].number
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_LATE_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_s}",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{window.discontinuities_before(first)}",
    ]


def _ended(lines: list[str], window: Window) -> str:
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if window.is_ended else []), ""])


def _described(closed: list[Segment], sound: Sound) -> list[str]:
    """CODECS and what belongs to it, from the newest segment."""
    tracks = closed[-1].opening.tracks
    codecs, shape = [], []
    if tracks.video is not None:
        parsed = parse_sps(tracks.video.sps)
        frames = sum(part.frames for part in closed[-1].parts)
        rate = parsed.frames_per_s or frames / closed[-1].duration_s
        codecs.append(parsed.codec)
        shape = [f"RESOLUTION={parsed.width}x{parsed.height}", f"FRAME-RATE={rate:.3f}"]
    if tracks.audio is not None:
        codecs.append(sound.value)
    return [f'CODECS="{",".join(codecs)}"', *shape]


def _segments(window: Window, target_s: int, prefix: str) -> list[str]:
    lines: list[str] = []
    map_number = -1
    behind_s = sum(segment.duration_s for segment in window.segments)
    for segment in window.segments:
        behind_s -= segment.duration_s
        lines += _opening(segment, map_number, prefix)
        map_number = segment.map_number
        if behind_s <= _PARTS_LISTED_TARGETS * target_s:
            lines += _parts(segment, prefix)
        if not segment.is_open:
            lines.append(f"#EXTINF:{segment.duration_s:.5f},")
            lines.append(f"{prefix}segment-{segment.number}.m4s")
    return lines


def _opening(segment: Segment, map_number: int, prefix: str) -> list[str]:
    """What comes before a segment; `map_number` is that of the one before it."""
    lines = ["#EXT-X-DISCONTINUITY"] if segment.opening.discontinuity else []
    if segment.map_number != map_number:
        lines.append(f'#EXT-X-MAP:URI="{prefix}init-{segment.map_number}.mp4"')
    return [*lines, f"#EXT-X-PROGRAM-DATE-TIME:{clock.to_rfc3339(segment.wall_s)}"]


def _parts(segment: Segment, prefix: str) -> list[str]:
    return [
        f'#EXT-X-PART:DURATION={part.duration_s:.5f},URI="{prefix}part-{number}.m4s"'
        + (",INDEPENDENT=YES" if part.independent else "")
        for number, part in enumerate(segment.parts, start=segment.first_part)
    ]
