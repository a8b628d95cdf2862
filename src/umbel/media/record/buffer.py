"""What a recorder keeps: whole segments, until they are acknowledged or there are too many.

In: the segmenter's events, and acknowledgements. Out: the segments after a number, in portions. The
oldest are dropped first, and counted. Neighbours: hls/segmenter.py cuts, answer.py writes it down.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from umbel.media.hls import boxes
from umbel.media.hls.boxes import Tracks
from umbel.media.hls.segmenter import Opening, Part, SegmenterEvent
from umbel.media.model import Pulled, PulledSegment
from umbel.media.record.answer import MOST_BYTES, MOST_SECONDS, MOST_SEGMENT_BYTES, MOST_SEGMENTS


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is kept that nobody has pulled yet."""

    most_bytes: int = 128 << 20
    most_s: float = 120.0


KEPT = Bounds()
"""What holds unless a test says otherwise."""


@dataclass(slots=True)
class _Open:
    """A segment that grows."""

    discontinuity: bool
    wall_s: float
    map_number: int
    bodies: list[bytes] = field(default_factory=list)
    size: int = 0
    duration_s: float = 0.0
    keyframes: int = 0


class SegmentBuffer:
    """Owns one life of a recorder; `boot` is its random name."""

    def __init__(self, boot: str, bounds: Bounds = KEPT) -> None:
        self.boot = boot
        self.dropped = 0
        self.is_over = False
        self.is_held = False
        """Whether only the open segment is kept."""
        self._bounds = bounds
        self._kept: deque[PulledSegment] = deque()
        self._kept_bytes, self._kept_s = 0, 0.0
        self._next_number = 0
        self._open: _Open | None = None
        self._tracks: Tracks | None = None
        self._maps: dict[int, bytes] = {}
        self._next_map = 0

    @property
    def unpulled(self) -> int:
        """How many whole segments there are."""
        return len(self._kept)

    @property
    def stored_bytes(self) -> int:
        """The size of all that is kept."""
        return self._kept_bytes + (self._open.size if self._open is not None else 0)

    def add(self, events: Sequence[SegmenterEvent], wall_s: Callable[[float], float]) -> None:
        """Take events. `wall_s` tells the calendar's time at a place of the timeline."""
        for event in events:
            if not isinstance(event, Part):
                self._close()
                continue
            if event.opens is not None:
                self._close()
                self._begin(event.opens, wall_s(event.opens.at_s))
            self._extend(event)

    def end(self) -> None:
        """Nothing comes any more."""
        self._close()
        self.is_over = True

    def has_after(self, number: int) -> bool:
        """Whether there is a segment with a greater number."""
        return bool(self._kept) and self._kept[-1].number > number

    def acknowledge(self, boot: str, after: int) -> int:
        """Forget the segments up to `after`; answers after which number to go on. A number of
        another life says nothing about this one."""
        if boot != self.boot:
            return -1
        while self._kept and self._kept[0].number <= after:
            self._forget_oldest()
        return after

    def after(self, number: int) -> Pulled:
        """The segments after that one, as many as one answer may have: one at least, if there is
        one."""
        found: list[PulledSegment] = []
        size, length_s = 0, 0.0
        later = [segment for segment in self._kept if segment.number > number]
        for segment in later[:MOST_SEGMENTS]:
            size += len(segment.body)
            length_s += segment.duration_s
            if found and (size > MOST_BYTES or length_s > MOST_SECONDS):
                break
            found.append(segment)
        used = dict.fromkeys(segment.map_number for segment in found)
        return Pulled(
            boot=self.boot,
            dropped=self.dropped,
            ended=self.is_over and len(found) == len(later),
            maps={number: self._maps[number] for number in used},
            segments=tuple(found),
        )

    def _begin(self, opening: Opening, wall_s: float) -> None:
        if opening.tracks != self._tracks:
            self._tracks = opening.tracks
            self._maps[self._next_map] = boxes.initialisation(opening.tracks)
            self._next_map += 1
        self._open = _Open(opening.discontinuity, wall_s, self._next_map - 1)

    def _extend(self, part: Part) -> None:
        grown = self._open
        if grown is None:
            return
        if grown.bodies and grown.size + len(part.body) > MOST_SEGMENT_BYTES:
            # It goes on in another one, which no player can start at.
            self._close()
            wall_s = grown.wall_s + grown.duration_s
            grown = self._open = _Open(False, wall_s, grown.map_number)
        grown.bodies.append(part.body)
        grown.size += len(part.body)
        grown.duration_s += part.duration_s
        grown.keyframes += part.keyframes
        self._drop_old()

    def _close(self) -> None:
        whole, self._open = self._open, None
        if whole is None or not whole.bodies or self.is_held:
            return
        segment = PulledSegment(
            number=self._next_number,
            duration_s=whole.duration_s,
            wall_s=whole.wall_s,
            discontinuity=whole.discontinuity,
            map_number=whole.map_number,
            keyframes=whole.keyframes,
            body=b"".join(whole.bodies),
        )
        self._next_number += 1
        self._kept.append(segment)
        self._kept_bytes += len(segment.body)
        self._kept_s += segment.duration_s
        self._drop_old()

    def _drop_old(self) -> None:
        bounds = self._bounds
        while self._kept and (
            self.stored_bytes > bounds.most_bytes or self._kept_s > bounds.most_s
        ):
            self._forget_oldest()
            self.dropped += 1

    def _forget_oldest(self) -> None:
        gone = self._kept.popleft()
        self._kept_bytes -= len(gone.body)
        self._kept_s = self._kept_s - gone.duration_s if self._kept else 0.0
        oldest = self._kept[0].map_number if self._kept else self._next_map - 1
        for number in [number for number in self._maps if number < oldest]:
            del self._maps[number]
