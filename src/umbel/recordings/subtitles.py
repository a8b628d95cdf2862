"""Subtitles of captures in HLS (RFC 8216bis, section 4.4.6.1): a rendition of WebVTT. Pure.

In: the segments of a range, and captions on its timeline. Out: the multivariant playlist that names
pictures and subtitles, the subtitles' own playlist, and a piece of WebVTT for each segment, which
says where it is on the segment's own timeline.
"""

import math
from collections.abc import Iterable, Sequence

from umbel.media.hls import webvtt
from umbel.media.hls.webvtt import Shown
from umbel.recordings import playlists
from umbel.recordings.model import Segment

MULTIVARIANT, SUBTITLES = "index.m3u8", "captions.m3u8"
_VERSION = 7


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
    return webvtt.piece(shown, begins_s, one.duration_s, one.base_s)
