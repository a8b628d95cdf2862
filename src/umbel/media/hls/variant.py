"""One variant of a stream as players see it: its window, and its media playlist as bytes.

In: a segmenter's events. Out: the playlist, written and compressed once a version, files by name,
and the samples in them. Neighbours: window.py, playlist.py; io/hls_stream.py serves.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence

from umbel.media.hls import boxes, playlist, webvtt
from umbel.media.hls.boxes import AUDIO_TRACK, VIDEO_TRACK, Sample
from umbel.media.hls.playlist import Name
from umbel.media.hls.segmenter import Part, Segmenter, SegmenterEvent
from umbel.media.hls.webvtt import Shown
from umbel.media.hls.window import Segment, Window
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ

_CLOCKS_HZ = {VIDEO_TRACK: VIDEO_CLOCK_HZ, AUDIO_TRACK: AUDIO_CLOCK_HZ}
_RECORDED_S = 8.0
_LEAST_LATE = 3


class Variant:
    """`name` is its media playlist's."""

    def __init__(self, name: str, segmenter: Segmenter, first_number: int) -> None:
        self.window = Window(first_number)
        self._segmenter = segmenter
        self._prefix = playlist.PREFIXES[name]
        self._text, self._gzip, self._version = b"", b"", -1

    @property
    def target_s(self) -> int:
        """EXT-X-TARGETDURATION."""
        return self._segmenter.cutter.target_s

    def add(
        self,
        events: Sequence[SegmenterEvent],
        wall_s: Callable[[float], float],
        came_s: Callable[[float], float],
    ) -> None:
        """Take events. `wall_s` tells the calendar's time at a place of the timeline, `came_s` the
        steady time at which what is there came in."""
        for event in events:
            opens = event.opens if isinstance(event, Part) else None
            began_s = 0.0 if opens is None else wall_s(opens.at_s)
            now_s = came_s(opens.at_s if opens else self.window.end_s)
            self.window.add(event, wall_s=began_s, target_s=self.target_s, now_s=now_s)

    def media(self, *, compressed: bool) -> bytes:
        """The media playlist, the same for all viewers. From now on its target stays."""
        if self._version != self.window.version:
            self._segmenter.cutter.published = True
            self._text = playlist.media(self.window, self.target_s, self._prefix).encode()
            self._gzip = gzip.compress(self._text, mtime=0)
            self._version = self.window.version
        return self._gzip if compressed else self._text

    def is_late(self, now_s: float) -> bool:
        """Whether the late playlists list as much as a player begins with: with one segment some
        never begin (GStreamer 1.22)."""
        listed = self.window.late(self.target_s, now_s)
        return len(listed) >= (1 if self.window.is_ended else _LEAST_LATE)

    def late(self, now_s: float, *, captions: bool) -> bytes:
        """The late playlist of pictures, or that of their captions."""
        self._segmenter.cutter.published = True
        write = playlist.captions if captions else playlist.late
        return write(self.window, self.target_s, now_s, self._prefix).encode()

    def captions(self, number: int, said: Iterable[Shown]) -> bytes | None:
        """Of what was said, by the calendar: what belongs to a whole segment; None when that is not
        there. Each segment has its own place there, for clocks move apart."""
        found = self.window.whole(number)
        if found is None:
            return None
        base_s = found.opening.at_s - self._segmenter.origin_s
        return webvtt.piece(said, found.wall_s, found.duration_s, base_s).encode()

    def recorded(self) -> Iterator[tuple[int, Sample]]:
        """The samples of the last seconds, each with its track: from the beginning of a segment
        after which nothing breaks off, to the newest."""
        origin = {track: round(self._segmenter.origin_s * hz) for track, hz in _CLOCKS_HZ.items()}
        for segment in self._latest():
            for part in segment.parts:
                for track, sample in boxes.samples(part.body):
                    sample.at += origin[track]
                    yield track, sample
        yield from self._segmenter.pending()

    def _latest(self) -> list[Segment]:
        """A whole segment at least, if there is one, and not much more than _RECORDED_S."""
        found: list[Segment] = []
        for segment in reversed(self.window.segments):
            found.insert(0, segment)
            length_s = sum(one.duration_s for one in found)
            is_enough = not segment.is_open and length_s >= _RECORDED_S
            if segment.opening.discontinuity or is_enough:
                break
        return found

    def file(self, name: Name) -> bytes | None:
        """What the name stands for, None when it is not there."""
        window = self.window
        find = {"init": window.section, "segment": window.segment, "part": window.part}
        return find[name.kind](name.number)
