"""Frames to parts of segments.

In: samples of video and audio on one timeline, each medium in order. Out: `Part`s as soon as they
are whole, and `SegmentEnd`s. A change of the tracks or a break in time makes a discontinuity; audio
that comes late is waited for a moment. Neighbours: cuts.py decides where to cut, boxes.py writes,
window.py keeps.
"""

from collections import deque
from dataclasses import dataclass

from umbel.media.hls import boxes
from umbel.media.hls.boxes import AUDIO_TRACK, VIDEO_TRACK, Sample, Sound, Tracks, VideoSets
from umbel.media.hls.cuts import Cut, Cutter
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ

# Longer than the usual keyframe interval: a lost keyframe must not end the picture for good.
STALL_S = 3.0
_SILENCE_S = 1.0
_NO_VIDEO_YET_S = 1.0
_LATE_AUDIO_S = 0.15
_FIRST_AUDIO_S = 0.5
_AUDIO_JITTER = AUDIO_CLOCK_HZ // 50
_MOST_PENDING = 1500
_MOST_EARLY_AUDIO = 100


@dataclass(frozen=True, slots=True)
class Opening:
    """What a segment starts with. `discontinuity`: its tracks or its times do not follow on."""

    tracks: Tracks
    discontinuity: bool
    at_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """A playable piece (EXT-X-PART). `opens` is there when it starts a segment, `frames` counts
    pictures and `keyframes` those that a player can start at, `independent` says that it can start
    in the part, `starts_clean` at its beginning."""

    duration_s: float
    independent: bool
    starts_clean: bool
    frames: int
    body: bytes
    opens: Opening | None
    keyframes: int = 0


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """The open segment has no more parts."""


SegmenterEvent = Part | SegmentEnd


class Segmenter:
    """Owns what waits to be cut. `cutter.target_s` is what EXT-X-TARGETDURATION must say. With
    another segmenter to be `like` its times count from the same zero, and its target stays."""

    def __init__(self, sound: Sound = Sound.OPUS, like: "Segmenter | None" = None) -> None:
        self.cutter = Cutter()
        self._sound = sound
        self._number = 0
        self._lead = 0
        self._sets: VideoSets | None = None
        self._tracks: Tracks | None = None
        self._video: list[Sample] = []
        self._audio: list[Sample] = []
        self._cuts: deque[tuple[Cut, float]] = deque()
        self._emitted_s = 0.0
        self._opens = self._breaks = False
        self._origin_s: float | None = None
        self._started_s = 0.0
        self._first_s: float | None = None
        self._video_heard_s = self._audio_heard_s = float("-inf")
        self._audio_next: int | None = None
        if like is not None:
            self._origin_s = like._origin_s
            self.cutter.target_s, self.cutter.published = like.cutter.target_s, True

    @property
    def origin_s(self) -> float:
        """The place on the timeline from which fragments count their times."""
        return self._origin_s or 0.0

    @property
    def heard_s(self) -> float:
        """When a medium came last; -inf before anything did."""
        return max(self._video_heard_s, self._audio_heard_s)

    def pending(self) -> list[tuple[int, Sample]]:
        """What is not in a part yet, each with its track."""
        video = [(VIDEO_TRACK, sample) for sample in self._video]
        return video + [(AUDIO_TRACK, sample) for sample in self._audio]

    def note_video(self, now_s: float) -> None:
        """Video comes, whether or not it can be used already."""
        self._video_heard_s = now_s
        self._first_s = now_s if self._first_s is None else self._first_s

    def video(self, sample: Sample, sets: VideoSets | None, now_s: float) -> list[SegmenterEvent]:
        """A picture; keyframes bring their parameter sets. Its duration is found out here."""
        out: list[SegmenterEvent] = []
        at_s = sample.at / VIDEO_CLOCK_HZ
        if self._lead and self._is_break(sample, sets):
            out += self.discontinue()
        if not self._lead:
            if not sample.keyframe or sets is None:
                return out
            self._sets = sets
            self._start(VIDEO_TRACK, at_s, now_s)
        else:
            last = self._video[-1]
            sample.at = max(sample.at, last.at + 1)
            last.duration = sample.at - last.at
            self._decide(sample.at / VIDEO_CLOCK_HZ, last.at / VIDEO_CLOCK_HZ, sample, now_s)
        self._video.append(sample)
        return out + self._flush(now_s)

    def audio(self, sample: Sample, now_s: float) -> list[SegmenterEvent]:
        """A packet of sound with its duration."""
        self._first_s = now_s if self._first_s is None else self._first_s
        self._audio_heard_s = now_s
        if not self._fits(sample):
            return []
        out: list[SegmenterEvent] = []
        if self._lead == VIDEO_TRACK and now_s - self._video_heard_s > STALL_S:
            out += self.discontinue()
        if self._lead == AUDIO_TRACK:
            if sample.at / AUDIO_CLOCK_HZ - self._emitted_s > STALL_S:
                out += self.discontinue()
            else:
                self._decide_audio(sample, now_s)
        if not self._lead and self._is_alone(now_s):
            # What was heard while pictures were waited for is played, too.
            first, *others = (*self._audio, sample)
            self._start(AUDIO_TRACK, first.at / AUDIO_CLOCK_HZ, now_s)
            for other in others:
                self._decide_audio(other, now_s)
        self._audio.append(sample)
        if not self._lead:
            del self._audio[:-_MOST_EARLY_AUDIO]
        return out + self._flush(now_s)

    def audio_restarted(self) -> list[SegmenterEvent]:
        """Nothing links the next audio packet to the last one. With video that is not a break."""
        return self.discontinue() if self._lead == AUDIO_TRACK else []

    def discontinue(self) -> list[SegmenterEvent]:
        """End the segment here: what comes next does not follow on."""
        if not self._lead:
            return []
        out = [event for cut, _ in self._cuts for event in self._emit(cut)]
        self._cuts.clear()
        lead = self._video if self._lead == VIDEO_TRACK else self._audio
        clock_hz = VIDEO_CLOCK_HZ if self._lead == VIDEO_TRACK else AUDIO_CLOCK_HZ
        # The newest frame is never cut before its successor comes, so there is one.
        if not lead[-1].duration:
            lead[-1].duration = lead[-2].duration if len(lead) > 1 else VIDEO_CLOCK_HZ // 30
        end_s = (lead[-1].at + lead[-1].duration) / clock_hz
        # All that is left goes along, also the last frame's tail beyond the part.
        out += self._emit(self.cutter.finish(end_s), until_s=end_s)
        self._lead, self._breaks, self._audio_next = 0, True, None
        self._video, self._audio = [], []
        return out

    def _is_break(self, sample: Sample, sets: VideoSets | None) -> bool:
        """Whether this picture cannot follow what the run has had so far."""
        if self._lead == AUDIO_TRACK:
            return sample.keyframe
        changed = sample.keyframe and sets is not None and sets != self._sets
        gap = sample.at - self._video[-1].at > STALL_S * VIDEO_CLOCK_HZ
        return changed or gap or len(self._video) + len(self._audio) > _MOST_PENDING

    def _is_alone(self, now_s: float) -> bool:
        """Whether there is audio but no video to wait for."""
        waited_s = now_s - (now_s if self._first_s is None else self._first_s)
        return now_s - self._video_heard_s > STALL_S and waited_s > _NO_VIDEO_YET_S

    def _fits(self, sample: Sample) -> bool:
        """Put an audio packet behind its predecessor; False for one that overlaps too much."""
        expected = sample.at if self._audio_next is None else self._audio_next
        apart = sample.at - expected
        if abs(apart) <= _AUDIO_JITTER:
            sample.at = expected
        elif apart < 0:
            return False
        elif self._audio and apart < STALL_S * AUDIO_CLOCK_HZ:
            self._audio[-1].duration += apart
        self._audio_next = sample.at + sample.duration
        return True

    def _start(self, lead: int, at_s: float, now_s: float) -> None:
        self._lead, self._started_s, self._emitted_s = lead, now_s, at_s
        self._origin_s = at_s if self._origin_s is None else self._origin_s
        self._opens = True
        self._audio = [sample for sample in self._audio if sample.at / AUDIO_CLOCK_HZ >= at_s]
        self.cutter.start(at_s)

    def _decide(self, at_s: float, last_s: float, sample: Sample, now_s: float) -> None:
        for cut in self.cutter.frame(at_s, last_s, keyframe=sample.keyframe):
            self._cuts.append((cut, now_s))

    def _decide_audio(self, sample: Sample, now_s: float) -> None:
        at_s, last_s = sample.at / AUDIO_CLOCK_HZ, (sample.at - sample.duration) / AUDIO_CLOCK_HZ
        self._decide(at_s, last_s, sample, now_s)

    def _flush(self, now_s: float) -> list[SegmenterEvent]:
        out: list[SegmenterEvent] = []
        while self._cuts and self._is_ready(*self._cuts[0], now_s):
            out += self._emit(self._cuts.popleft()[0])
        return out

    def _is_ready(self, cut: Cut, decided_s: float, now_s: float) -> bool:
        """Whether the other medium has come as far as the cut, or need not be waited for."""
        if self._lead == AUDIO_TRACK or self._audio_until(cut.at_s):
            return True
        if self._audio_next is None:
            return now_s - self._started_s >= _FIRST_AUDIO_S
        return now_s - decided_s >= _LATE_AUDIO_S or now_s - self._audio_heard_s > _SILENCE_S

    def _audio_until(self, at_s: float) -> bool:
        return self._audio_next is not None and self._audio_next >= at_s * AUDIO_CLOCK_HZ

    def _emit(self, cut: Cut, until_s: float | None = None) -> list[SegmenterEvent]:
        until_s = cut.at_s if until_s is None else until_s
        video, self._video = _split(self._video, until_s * VIDEO_CLOCK_HZ)
        audio, self._audio = _split(self._audio, until_s * AUDIO_CLOCK_HZ)
        opens = self._opening(audio_here=bool(audio)) if self._opens else None
        runs = [(VIDEO_TRACK, self._since_origin(video, VIDEO_CLOCK_HZ), video)] if video else []
        if audio and self._tracks is not None and self._tracks.audio:
            runs.append((AUDIO_TRACK, self._since_origin(audio, AUDIO_CLOCK_HZ), audio))
        self._number += 1
        part = Part(
            duration_s=cut.at_s - self._emitted_s,
            independent=self._lead == AUDIO_TRACK or any(s.keyframe for s in video),
            starts_clean=self._lead == AUDIO_TRACK or bool(video and video[0].keyframe),
            frames=len(video),
            body=boxes.fragment(self._number, runs),
            opens=opens,
            keyframes=sum(sample.keyframe for sample in video),
        )
        self._emitted_s, self._opens = cut.at_s, cut.ends_segment
        return [part, SegmentEnd()] if cut.ends_segment else [part]

    def _opening(self, *, audio_here: bool) -> Opening:
        # A few lost packets do not take the track away.
        had_audio = self._tracks is not None and self._tracks.audio is not None
        audio = audio_here or (had_audio and self._audio_until(self._emitted_s - _SILENCE_S))
        sets = self._sets if self._lead == VIDEO_TRACK else None
        tracks = Tracks(sets, self._sound if audio else None)
        differs = self._tracks is not None and tracks != self._tracks
        self._tracks = tracks
        breaks, self._breaks = self._breaks or differs, False
        return Opening(tracks, breaks, self._emitted_s)

    def _since_origin(self, samples: list[Sample], clock_hz: int) -> int:
        return max(0, samples[0].at - round((self._origin_s or 0.0) * clock_hz))


def _split(samples: list[Sample], until: float) -> tuple[list[Sample], list[Sample]]:
    """Samples that start before, and the others. Half a tick of slack for the division."""
    later = (i for i, sample in enumerate(samples) if sample.at >= until - 0.5)
    count = next(later, len(samples))
    return samples[:count], samples[count:]
