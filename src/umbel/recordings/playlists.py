"""HLS playlists of captures (RFC 8216bis): from beginning to end, or growing. Pure.

In: the segments of a range. Out: texts. A growing one has the type EVENT, so that a player may seek
back to its beginning; a whole one VOD.
"""

import math
from collections.abc import Sequence

from umbel.kit import clock
from umbel.recordings.model import Segment

MEDIA, FILE = "media.m3u8", "recording"
_VERSION = 7
_LEAST_TARGET_S = 2


def media(segments: Sequence[Segment], *, is_growing: bool, folder: str = "") -> str:
    """The playlist of these segments, which are at least one. They are in `folder`, a URL with a
    slash at its end; without one they are where the playlist is."""
    target_s = max(_LEAST_TARGET_S, *(math.ceil(one.duration_s) for one in segments))
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_s}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if is_growing else 'VOD'}",
    ]
    map_number = -1
    for number, one in enumerate(segments):
        is_run = number == 0 or one.is_break
        if one.is_break and number:
            lines.append("#EXT-X-DISCONTINUITY")
        if one.map_number != map_number:
            map_number = one.map_number
            lines.append(f'#EXT-X-MAP:URI="{folder}init-{map_number}.mp4"')
        if is_run:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{clock.to_rfc3339(one.began_s)}")
        lines += [f"#EXTINF:{one.duration_s:.5f},", f"{folder}segment-{one.number}.m4s"]
    if not is_growing:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"
