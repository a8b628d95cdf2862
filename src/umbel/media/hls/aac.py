"""The same pictures with AAC in place of Opus, for players that know no Opus.

In: samples with Opus that are there already, then the muxer's, and AAC frames that an encoder made
of the Opus packets. Out: the segmenter's events. What is there already is held until its sound was
encoded: then the first segments are whole at once. Neighbours: variant.py has what is there,
muxer.py feeds the rest, io/aac_stream.py has the encoder.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from umbel.media.hls.boxes import AUDIO_TRACK, Sample, Sound, VideoSets
from umbel.media.hls.segmenter import Segmenter, SegmenterEvent

FRAME_TICKS = 1024
"""What an AAC frame lasts, in ticks of 48 kHz."""

_ENCODING_TICKS = 4 * FRAME_TICKS  # what an encoder keeps inside
_PATIENCE_S = 3.0


class AacSegments:
    """`encode(at, data)` gets each Opus packet with its place on the timeline in ticks."""

    def __init__(self, like: Segmenter, encode: Callable[[int, bytes], None]) -> None:
        self.segmenter = Segmenter(Sound.AAC, like)
        self._encode = encode
        self._events: list[SegmenterEvent] = []
        self._pictures: list[tuple[Sample, VideoSets | None]] = []
        self._frames: list[tuple[int, bytes]] = []
        self._opus_until: int | None = None
        self._held_since_s: float | None = None

    def begin(
        self, recorded: Iterable[tuple[int, Sample]], sets: VideoSets | None, now_s: float
    ) -> None:
        """The encoder can take packets: start with what is there already, samples with their
        tracks; `sets` are those of its key pictures."""
        self._held_since_s = now_s
        for track, sample in recorded:
            if track == AUDIO_TRACK:
                self.opus(sample.at, sample.data)
            else:
                self._pictures.append((replace(sample), sets if sample.keyframe else None))
        if self._opus_until is None:
            self._release(now_s)

    def video(self, sample: Sample, sets: VideoSets | None, now_s: float) -> None:
        """A picture, as for the segmenter."""
        # The other segmenter finds the duration out, too.
        self._pictures.append((replace(sample), sets))
        if self._held_since_s is None or now_s - self._held_since_s > _PATIENCE_S:
            self._release(now_s)

    def opus(self, at: int, data: bytes) -> None:
        """A packet of the stream's sound."""
        self._opus_until = at
        self._encode(at, data)

    def frame(self, at: int, data: bytes, now_s: float) -> None:
        """What the encoder made of it."""
        self._frames.append((at, data))
        caught_up = self._opus_until is None or at >= self._opus_until - _ENCODING_TICKS
        if self._held_since_s is None or caught_up:
            self._release(now_s)

    def discontinue(self) -> None:
        """What comes next does not follow on."""
        self._held_since_s = None
        self._pictures, self._frames = [], []
        self._events += self.segmenter.discontinue()

    def take(self) -> list[SegmenterEvent]:
        """What happened since the last time."""
        taken, self._events = self._events, []
        return taken

    def _release(self, now_s: float) -> None:
        """Give on what was held; nothing is held from now on."""
        self._held_since_s = None
        pictures, self._pictures = self._pictures, []
        frames, self._frames = self._frames, []
        for sample, sets in pictures:
            self.segmenter.note_video(now_s)
            self._events += self.segmenter.video(sample, sets, now_s)
        for at, data in frames:
            sample = Sample(at, FRAME_TICKS, data, True)
            self._events += self.segmenter.audio(sample, now_s)
