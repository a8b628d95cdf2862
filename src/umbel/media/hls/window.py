"""What a stream offers at one time: the last segments, their parts, and what comes next.

In: the segmenter's events. Out: bytes by number, and whether what a player waits for is there. A
few segments that left the playlist stay for late readers, and more of them while somebody reads the
playlist that is held back. Neighbours: segmenter.py fills it, playlist.py describes it,
io/hls_stream.py serves it.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from umbel.media.hls import boxes
from umbel.media.hls.cuts import PART_TARGET_S, SEGMENT_TARGET_S
from umbel.media.hls.segmenter import Opening, Part, SegmenterEvent

DELAY_S = 12.0
"""How long ago a segment ended that is listed together with its captions. A phrase is known when it
is over, six seconds after its first word, or ten with what recognises and carries it; two more are
for a busy machine (decision 0202)."""

_LISTED_S = 6 * SEGMENT_TARGET_S
_LISTED_TARGETS = 4
_KEPT_FOR_LATE = 3
_PARTS_A_SEGMENT = 64
# How far ahead of the playlist a request may ask (RFC 8216bis 6.2.5.2).
_ADVANCE_PARTS = math.ceil(3 / PART_TARGET_S)


class Availability(Enum):
    """What to do about a request for a state of the playlist."""

    THERE = "there"
    COMING = "coming"
    TOO_FAR = "too far"


@dataclass(slots=True)
class Segment:
    """A segment and its parts, numbered from `first_part` on. `map_number` names its
    initialisation section, `wall_s` is when it began by the calendar, `ended_s` when its last part
    came, in steady time."""

    number: int
    opening: Opening
    map_number: int
    wall_s: float
    first_part: int
    parts: list[Part] = field(default_factory=list)
    is_open: bool = True
    ended_s: float = math.inf

    @property
    def duration_s(self) -> float:
        """What its parts have so far."""
        return sum(part.duration_s for part in self.parts)

    @property
    def body(self) -> bytes:
        """Its parts as one."""
        return b"".join([part.body for part in self.parts])


class Window:
    """Owns the stream's bytes. Numbers count on from `first_number`, so that a server that starts
    again can go on above what its predecessor gave out. While it `is_held` it keeps what a playlist
    lists that is DELAY_S late."""

    def __init__(self, first_number: int = 0) -> None:
        self.segments: deque[Segment] = deque()
        # From 0: hls.js walks an array as long as the largest number it has seen.
        self.discontinuities_gone = 0
        self.version = 0
        self.is_ended = False
        self.is_held = False
        self._next_number = first_number
        self._next_part = first_number * _PARTS_A_SEGMENT
        self._gone: deque[Segment] = deque()
        self._maps: dict[int, bytes] = {}

    @property
    def next_number(self) -> int:
        """The number of the segment that comes next."""
        return self._next_number

    @property
    def next_part(self) -> int:
        """The number of the part that comes next."""
        return self._next_part

    @property
    def closed(self) -> list[Segment]:
        """The whole segments of the playlist."""
        return [segment for segment in self.segments if not segment.is_open]

    @property
    def end_s(self) -> float:
        """The place on the timeline at which the newest part ends."""
        if not self.segments:
            return 0.0
        return self.segments[-1].opening.at_s + self.segments[-1].duration_s

    @property
    def stored_bytes(self) -> int:
        """The size of all parts that are kept."""
        kept = (*self.segments, *self._gone)
        return sum(len(part.body) for segment in kept for part in segment.parts)

    def add(self, event: SegmenterEvent, *, wall_s: float, target_s: int, now_s: float) -> None:
        """Take an event. `wall_s` is the calendar's time if it opens a segment, `now_s` is steady
        time."""
        self.version += 1
        if isinstance(event, Part):
            if event.opens is not None:
                self._open(event.opens, wall_s)
            self.segments[-1].parts.append(event)
            self._next_part += 1
        else:
            self.segments[-1].is_open, self.segments[-1].ended_s = False, now_s
            self._drop_old(target_s)
            self._drop_gone(target_s, now_s)

    def end(self) -> None:
        """Nothing comes any more."""
        self.version += 1
        self.is_ended = True

    def section(self, number: int) -> bytes | None:
        """The initialisation section of that number."""
        return self._maps.get(number)

    def whole(self, number: int) -> Segment | None:
        """A whole segment."""
        for segment in (*self.segments, *self._gone):
            if segment.number == number and not segment.is_open:
                return segment
        return None

    def segment(self, number: int) -> bytes | None:
        """The bytes of a whole segment."""
        found = self.whole(number)
        return None if found is None else found.body

    def late(self, target_s: int, now_s: float) -> list[Segment]:
        """The whole segments of the playlist that is DELAY_S late; of a stream that is over all."""
        newest_s = math.inf if self.is_ended else now_s - DELAY_S
        kept = (*self._gone, *self.segments)
        found = [one for one in kept if not one.is_open and one.ended_s <= newest_s]
        keep_s, total_s, first = _keep_s(target_s), sum(one.duration_s for one in found), 0
        while found[first:] and total_s - found[first].duration_s >= keep_s:
            total_s -= found[first].duration_s
            first += 1
        return found[first:]

    def discontinuities_before(self, number: int) -> int:
        """How many there were before that segment, which is kept."""
        gone = sum(one.opening.discontinuity for one in self._gone)
        kept = (*self._gone, *self.segments)
        before = sum(one.opening.discontinuity for one in kept if one.number < number)
        return self.discontinuities_gone - gone + before

    def part(self, number: int) -> bytes | None:
        """A part."""
        for segment in (*self.segments, *self._gone):
            if 0 <= number - segment.first_part < len(segment.parts):
                return segment.parts[number - segment.first_part].body
        return None

    def standing(self, number: int, part: int | None) -> Availability:
        """Whether the playlist has segment `number`, or its part `part` (RFC 8216bis 6.2.5.2)."""
        last = self.segments[-1] if self.segments else None
        coming = self._next_number if last is None or not last.is_open else last.number
        if self.is_ended:
            return Availability.THERE
        if number < coming:
            return self._standing_of_closed(number, part)
        have = len(last.parts) if last is not None and last.number == number else 0
        if number > coming + 1 or (part is not None and part >= have + _ADVANCE_PARTS):
            return Availability.TOO_FAR
        return Availability.THERE if part is not None and part < have else Availability.COMING

    def _standing_of_closed(self, number: int, part: int | None) -> Availability:
        """A part after a segment's last one means the first of the next segment."""
        for segment in self.segments:
            if segment.number == number and part is not None and part >= len(segment.parts):
                return self.standing(number + 1, 0)
        return Availability.THERE

    def _open(self, opening: Opening, wall_s: float) -> None:
        last = self.segments[-1] if self.segments else None
        if last is not None and last.opening.tracks == opening.tracks:
            map_number = last.map_number
        else:
            map_number = self._next_number
            self._maps[map_number] = boxes.initialisation(opening.tracks)
        segment = Segment(self._next_number, opening, map_number, wall_s, self._next_part)
        self.segments.append(segment)
        self._next_number += 1

    def _drop_old(self, target_s: int) -> None:
        keep_s = _keep_s(target_s)
        total_s = sum(segment.duration_s for segment in self.segments)
        while total_s - self.segments[0].duration_s >= keep_s:
            gone = self.segments.popleft()
            total_s -= gone.duration_s
            self.discontinuities_gone += gone.opening.discontinuity
            self._gone.append(gone)

    def _drop_gone(self, target_s: int, now_s: float) -> None:
        """Of those that left the playlist, keep what is listed late, and some for late readers."""
        listed = self.segments[0].number
        if self.is_held:
            late = self.late(target_s, now_s) or [*self._gone, *self.segments]
            listed = min(listed, late[0].number)
        while self._gone and self._gone[0].number < listed - _KEPT_FOR_LATE:
            self._gone.popleft()
        used = {segment.map_number for segment in (*self.segments, *self._gone)}
        self._maps = {number: data for number, data in self._maps.items() if number in used}


def _keep_s(target_s: int) -> float:
    """The least length of a playlist."""
    return max(_LISTED_S, _LISTED_TARGETS * target_s)
