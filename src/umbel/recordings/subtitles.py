"""Subtitles of captures in HLS (RFC 8216bis, section 4.4.6.1): a rendition of WebVTT. Pure.

In: the segments of a range, and captions on its timeline. Out: the multivariant playlist that names
pictures and subtitles, the subtitles' own playlist, and a piece of WebVTT for each segment, which
says where it is on the segment's own timeline.
"""

import math
from collections.abc import Iterable, Sequence

from umbel.recordings import captions, playlists
from umbel.recordings.captions import Shown
from umbel.recordings.model import Segment

MULTIVARIANT, SUBTITLES = "index.m3u8", "captions.m3u8"
_VERSION = 7
_MPEG_TS_HZ = 90_000
_MPEG_TS_WRAP = 1 << 33


def multivariant(segments: Sequence[Segment]) -> str:
    """The playlist that a player begins with."""
    peak_bps = max(one.size * 8 / one.duration_s for one in segments if one.duration_s > 0)
    whole_s = sum(one.duration_s for one in segments)
    mean_bps = sum(one.size for one in segments) * 8 / whole_s
    return "\n".join(
        [
            "#EXTM3U",
            f"#EXT-X-VERSION:{_VERSION}",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="Captions",DEFAULT=NO,'
            f'AUTOSELECT=YES,FORCED=NO,URI="{SUBTITLES}"',
            f"#EXT-X-STREAM-INF:BANDWIDTH={math.ceil(peak_bps)},"
            f'AVERAGE-BANDWIDTH={math.ceil(mean_bps)},SUBTITLES="captions"',
            playlists.MEDIA,
            "",
        ]
    )


def playlist(segments: Sequence[Segment], *, is_growing: bool) -> str:
    """The subtitles' playlist: like that of the pictures, without maps."""
    lines = playlists.media(segments, is_growing=is_growing).splitlines()
    named = [line.replace("segment-", "captions-").replace(".m4s", ".vtt") for line in lines]
    return "\n".join(line for line in named if not line.startswith("#EXT-X-MAP")) + "\n"


def piece(segments: Sequence[Segment], one: Segment, shown: Iterable[Shown]) -> str:
    """The captions of one of the segments. One that goes on in the next is in both."""
    begins_s = one.position_s - segments[0].position_s
    ends_s = begins_s + one.duration_s
    own = [
        Shown(text=cue.text, start_s=cue.start_s - begins_s, end_s=cue.end_s - begins_s)
        for cue in shown
        if cue.start_s < ends_s and cue.end_s > begins_s
    ]
    # Times are never negative: the piece's clock begins with the first of its captions.
    early_s = max(0.0, -min((cue.start_s for cue in own), default=0.0))
    moved = [
        Shown(text=cue.text, start_s=cue.start_s + early_s, end_s=cue.end_s + early_s)
        for cue in own
    ]
    at = round(one.base_s * _MPEG_TS_HZ) % _MPEG_TS_WRAP
    head = f"X-TIMESTAMP-MAP=MPEGTS:{at},LOCAL:{captions.time(early_s)}"
    return captions.vtt(moved, head)
