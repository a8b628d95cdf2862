"""The qualities of an event: the source's own, and others made of it. Pure.

A rendition is a stream of its own, next to the source's, named by both: `ev_5x0k-360p`. Its tree
has a transcoder as its root, and that transcoder is a leaf of the source's tree. The quality `vp8`
is for browsers without H.264 in WebRTC: the provider allows it for an event.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from umbel.kit.errors import Unprocessable
from umbel.media.model import VideoCodec

SOURCE, VP8 = "source", "vp8"
LADDER_MBPS: Mapping[int, float] = MappingProxyType({1080: 4.0, 720: 2.0, 360: 0.8})
"""Heights in pixels that are made of a larger source, and the rate promised for each until it is
measured, in Mbit/s."""
_VP8_HEIGHT = 720
_NAMES = {f"{height}p": height for height in LADDER_MBPS}
_STREAM = re.compile(r"(?P<event>[A-Za-z0-9_]+)-(?:(?P<height>[0-9]{1,4})p|vp8)")


class NoSuchQuality(Unprocessable):
    """The event is not available in that quality now."""

    code = "umbel.no_such_quality"


def stream_of(event_id: str, quality: str) -> str:
    """The stream that carries the event in a quality. Raises NoSuchQuality for a strange word."""
    if quality == SOURCE:
        return event_id
    if quality != VP8 and quality not in _NAMES:
        known = [SOURCE, *_NAMES, VP8]
        raise NoSuchQuality(
            f"There is no quality {quality!r}; choose one of {', '.join(known)}.", qualities=known
        )
    return f"{event_id}-{quality}"


def event_of(stream: str) -> str:
    """The event that a stream belongs to."""
    found = _STREAM.fullmatch(stream)
    return found["event"] if found else stream


def height_of(stream: str) -> int:
    """The largest height that a rendition is made in; 0 for the source's stream."""
    found = _STREAM.fullmatch(stream)
    return int(found["height"] or _VP8_HEIGHT) if found else 0


def shown_height(stream: str, source_height: int) -> int:
    """How high the stream's pictures are at most; 0 while it is not known. The source's height (0:
    not known) bounds what is made of it."""
    return min(filter(None, (height_of(stream), source_height)), default=0)


def codec_of(stream: str) -> VideoCodec:
    """How the stream's pictures are coded."""
    found = _STREAM.fullmatch(stream)
    return VideoCodec.VP8 if found and found["height"] is None else VideoCodec.H264


def quality_of(stream: str) -> str:
    """The quality that a stream carries."""
    if codec_of(stream) is VideoCodec.VP8:
        return VP8
    height = height_of(stream)
    return f"{height}p" if height else SOURCE


def offered(source_height: int, *, vp8: bool = False) -> tuple[str, ...]:
    """The qualities of a source of that height (0: not known), the best first; VP8 last, if the
    event has it."""
    smaller = (name for name, height in _NAMES.items() if height < source_height)
    return (SOURCE, *smaller, *((VP8,) if vp8 and source_height else ()))


def check(stream: str, source_height: int) -> None:
    """Refuse a rendition that is none of the source. Raises NoSuchQuality."""
    is_vp8 = codec_of(stream) is VideoCodec.VP8
    quality, there = quality_of(stream), offered(source_height, vp8=is_vp8)
    if quality not in there:
        raise _not_on_offer(quality, there)


def check_codec(stream: str, *, vp8: bool) -> None:
    """Refuse VP8 where the event does not have it. Raises NoSuchQuality."""
    if codec_of(stream) is VideoCodec.VP8 and not vp8:
        raise _not_on_offer(VP8, (SOURCE,))


def _not_on_offer(quality: str, there: tuple[str, ...]) -> NoSuchQuality:
    return NoSuchQuality(
        f"The event is not on offer in {quality} now; choose one of {', '.join(there)}.",
        qualities=list(there),
    )
