"""Feed a muxer packets in their own time, and keep what it makes as files."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from umbel.media.hls import boxes
from umbel.media.hls.muxer import Muxer
from umbel.media.hls.segmenter import Opening, Part, SegmentEnd, SegmenterEvent

START_S = 40_000.0


@dataclass
class Made:
    """One segment: what it opened with, and its parts."""

    opening: Opening
    parts: list[Part] = field(default_factory=list)
    is_whole: bool = False

    @property
    def duration_s(self) -> float:
        return sum(part.duration_s for part in self.parts)

    @property
    def file(self) -> bytes:
        parts = b"".join(part.body for part in self.parts)
        return boxes.initialisation(self.opening.tracks) + parts


def collect(events: Iterable[SegmenterEvent]) -> list[Made]:
    """Events to segments; an event in a wrong place fails."""
    segments: list[Made] = []
    for event in events:
        if isinstance(event, SegmentEnd):
            assert not segments[-1].is_whole
            segments[-1].is_whole = True
        elif event.opens is not None:
            assert not segments or segments[-1].is_whole
            segments.append(Made(event.opens, [event]))
        else:
            assert not segments[-1].is_whole
            segments[-1].parts.append(event)
    return segments


def mux(timed: Iterable[tuple[float, bytes]], *, end: bool = True) -> list[Made]:
    """Run packets through a fresh muxer."""
    muxer, events = Muxer(), []
    for at_s, data in timed:
        events += muxer.packets([data], START_S + at_s)
    if end:
        events += muxer.end()
    return collect(events)


def runs_of_one_kind(segments: list[Made]) -> list[bytes]:
    """What a player plays through: a file for every stretch without a discontinuity."""
    files: list[bytes] = []
    for segment in segments:
        if segment.opening.discontinuity or not files:
            files.append(segment.file)
        else:
            files[-1] += b"".join(part.body for part in segment.parts)
    return files
