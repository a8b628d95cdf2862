"""What pulled segments add to a capture: bytes, and rows that say where they are. Pure.

In: a capture, what its recorder gave, and where the next byte goes. Out: the capture afterwards,
with its new segments and maps. Bytes of a recorder are checked; what is no fragment is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from umbel.media.service import Pulled, PulledSegment
from umbel.recordings import mp4
from umbel.recordings.model import Capture, Segment
from umbel.recordings.mp4 import BadFragment

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Appended:
    """`chunks` are the bytes to store, in order; a map stands where its first segment of an item
    is, so that each item is a file that plays."""

    capture: Capture
    chunks: Sequence[bytes]
    segments: Sequence[Segment]
    new_maps: Mapping[int, bytes]


@dataclass(kw_only=True)
class _Placing:
    """Gives each segment its place. `last` is the recorder's number of the newest one."""

    first: int
    item: str
    offset: int
    position_s: float
    last: int
    is_break: bool
    numbers: dict[bytes, int]
    dropped: int = 0
    chunks: list[bytes] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def place(self, one: PulledSegment, section: bytes) -> None:
        """The segment follows; one that is no fragment is left out."""
        base_s = _base_s(section, one)
        missing = one.number - self.last - 1 + (base_s is None)
        self.dropped, self.last = self.dropped + missing, one.number
        self.is_break = self.is_break or one.discontinuity or missing > 0
        if base_s is None:
            return
        # A map changes with a break only. Each item begins with one, and so plays by itself.
        if self.is_break or self.offset == 0:
            self.chunks.append(section)
            self.offset += len(section)
        self.segments.append(
            Segment(
                number=self.first + len(self.segments),
                item=self.item,
                offset=self.offset,
                size=len(one.body),
                map_number=self.numbers.setdefault(section, len(self.numbers)),
                duration_s=one.duration_s,
                position_s=self.position_s,
                base_s=base_s,
                began_s=0.0,
                is_break=self.is_break and self.position_s > 0,
                wall_s=one.wall_s,
            )
        )
        self.chunks.append(one.body)
        self.offset += len(one.body)
        self.position_s += one.duration_s
        self.is_break = False


def append(
    capture: Capture,
    pulled: Pulled,
    maps: Mapping[int, bytes],
    *,
    item: str,
    offset: int,
    now_s: float,
) -> Appended:
    """`maps` are the capture's by number; `item` takes the bytes, from `offset` on."""
    is_same = pulled.boot == capture.boot
    placing = _Placing(
        first=capture.segments,
        item=item,
        offset=offset,
        position_s=capture.duration_s,
        last=capture.after if is_same else -1,
        is_break=not is_same and capture.segments > 0,
        numbers={body: number for number, body in maps.items()},
    )
    for one in pulled.segments:
        placing.place(one, pulled.maps[one.map_number])
    zero_s, dated = _dated(capture, placing.segments, placing.position_s, now_s)
    new = replace(
        capture,
        boot=pulled.boot,
        after=placing.last,
        item=item or capture.item,
        item_parts=(capture.item_parts if item == capture.item else 0) + bool(placing.chunks),
        segments=capture.segments + len(dated),
        size=capture.size + sum(one.size for one in dated),
        duration_s=placing.position_s,
        run_zero_s=zero_s,
        dropped=capture.dropped + placing.dropped,
    )
    new_maps = {n: body for body, n in placing.numbers.items() if n not in maps}
    return Appended(capture=new, chunks=placing.chunks, segments=dated, new_maps=new_maps)


def _base_s(section: bytes, one: PulledSegment) -> float | None:
    try:
        return mp4.begins_s(section, one.body)
    except BadFragment as error:
        log.warning("segment left out", number=one.number, reason=error.message)
        return None


def _dated(
    capture: Capture, segments: Sequence[Segment], end_s: float, now_s: float
) -> tuple[float, list[Segment]]:
    """When each began by the clock here, and when their run would have begun with the capture. What
    came just now ended by now at the latest, and what follows on began where the one before it
    ended; clocks of nodes and encoders are not asked."""
    zero_s = min(capture.run_zero_s, now_s - end_s)
    dated: list[Segment] = []
    for one in segments:
        if one.is_break or one.number == 0:
            zero_s = now_s - end_s
        dated.append(replace(one, began_s=zero_s + one.position_s))
    return zero_s, dated
