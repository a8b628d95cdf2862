"""The qualities of an event: the source's own, and smaller ones made of it. Pure.

A rendition is a stream of its own, next to the source's, named by both: `ev_5x0k-360p`. Its tree
has a transcoder as its root, and that transcoder is a leaf of the source's tree.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from umbel.kit.errors import Unprocessable

SOURCE = "source"
LADDER_MBPS: Mapping[int, float] = MappingProxyType({1080: 4.0, 720: 2.0, 360: 0.8})
"""Heights in pixels that are made of a larger source, and the rate promised for each until it is
measured, in Mbit/s."""
_NAMES = {f"{height}p": height for height in LADDER_MBPS}
_STREAM = re.compile(r"(?P<event>[A-Za-z0-9_]+)-(?P<height>[0-9]{1,4})p")


class NoSuchQuality(Unprocessable):
    """The event is not available in that quality now."""

    code = "umbel.no_such_quality"


def stream_of(event_id: str, quality: str) -> str:
    """The stream that carries the event in a quality. Raises NoSuchQuality for a strange word."""
    if quality == SOURCE:
        return event_id
    if quality not in _NAMES:
        known = [SOURCE, *_NAMES]
        raise NoSuchQuality(
            f"There is no quality {quality!r}; choose one of {', '.join(known)}.", qualities=known
        )
    return f"{event_id}-{quality}"


def event_of(stream: str) -> str:
    """The event that a stream belongs to."""
    found = _STREAM.fullmatch(stream)
    return found["event"] if found else stream


def height_of(stream: str) -> int:
    """The height that a rendition is made in; 0 for the source's stream."""
    found = _STREAM.fullmatch(stream)
    return int(found["height"]) if found else 0


def quality_of(stream: str) -> str:
    """The quality that a stream carries."""
    height = height_of(stream)
    return f"{height}p" if height else SOURCE


def offered(source_height: int) -> tuple[str, ...]:
    """The qualities of a source of that height, the best first."""
    return (SOURCE, *(name for name, height in _NAMES.items() if height < source_height))


def check(stream: str, source_height: int) -> None:
    """Refuse a rendition that is none of the source. Raises NoSuchQuality."""
    quality, there = quality_of(stream), offered(source_height)
    if quality not in there:
        raise NoSuchQuality(
            f"The event is not on offer in {quality} now; choose one of {', '.join(there)}.",
            qualities=list(there),
        )
