"""Where segments and parts end (RFC 8216bis 4.4.3.1, 4.4.3.8, 4.4.4.9): decisions on times alone.

In: the times of frames, and which of them a player can start at. Out: boundaries. Segments begin at
keyframes as long as these come often enough; parts are never longer than `PART_TARGET_S`, and at
least 85 % of it but for a segment's last. Neighbour: segmenter.py, which cuts the samples.
"""

import math
from collections import deque
from dataclasses import dataclass

SEGMENT_TARGET_S = 2.0
# Ten frames at 30/s, eight at 25, seven at 24 and 20 at 60 fit well; so do 16 Opus packets.
PART_TARGET_S = 0.334

_LONGEST_FIRST_SEGMENT_S = 10.0
_SHORTEST_PART = 0.85
# A segment of 2.49 s still rounds to 2: what TARGETDURATION allows.
_ROUNDING_S = 0.49
_TOLERANCE_S = 0.1
_REMEMBERED_KEYFRAMES = 16
_EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True)
class Cut:
    """A part ends `at_s`; the segment too if `ends_segment`."""

    at_s: float
    ends_segment: bool


class Cutter:
    """Decides for one run of frames without a discontinuity.

    `target_s` (EXT-X-TARGETDURATION) grows with what is seen until `published` says that a player
    read it; from then on segments are cut so that it stays true, between keyframes if need be.
    """

    def __init__(self) -> None:
        self.target_s = int(SEGMENT_TARGET_S)
        self.published = False
        self._segment_s = self._part_s = 0.0
        self._last_keyframe_s = 0.0
        self._keyframe_gaps_s: deque[float] = deque(maxlen=_REMEMBERED_KEYFRAMES)

    def start(self, at_s: float) -> None:
        """A run starts with a keyframe."""
        self._segment_s = self._part_s = self._last_keyframe_s = at_s

    def frame(self, at_s: float, last_s: float, *, keyframe: bool) -> list[Cut]:
        """A frame begins; the one before it, if it still belongs to the open part, at `last_s`."""
        cuts: list[Cut] = []
        while at_s - self._part_s > PART_TARGET_S + _EPSILON_S:
            fits = self._fills_part(last_s) and last_s - self._part_s <= PART_TARGET_S
            self._cut(last_s if fits else self._part_s + PART_TARGET_S, cuts)
        if keyframe and at_s > self._last_keyframe_s:
            self._keyframe_gaps_s.append(at_s - self._last_keyframe_s)
            self._last_keyframe_s = at_s
        if keyframe and self._closes_segment(at_s):
            self._cut(at_s, cuts, ends_segment=True)
        elif self._fills_part(at_s) and at_s + (at_s - last_s) - self._part_s > PART_TARGET_S:
            self._cut(at_s, cuts)
        return cuts

    def finish(self, at_s: float) -> Cut:
        """The run ends: its last part ends there, or where it must."""
        at_s = max(self._part_s, min(at_s, self._part_s + PART_TARGET_S))
        cuts: list[Cut] = []
        self._cut(at_s, cuts, ends_segment=True)
        return cuts[0]

    def _fills_part(self, at_s: float) -> bool:
        return at_s - self._part_s >= _SHORTEST_PART * PART_TARGET_S

    def _closes_segment(self, at_s: float) -> bool:
        """Whether to start a new segment at this keyframe: long enough, or the next may be late."""
        length_s = at_s - self._segment_s
        if length_s >= SEGMENT_TARGET_S - _TOLERANCE_S:
            return True
        next_s = length_s + max(self._keyframe_gaps_s, default=math.inf)
        return length_s > 0 and next_s > self.target_s + _ROUNDING_S - PART_TARGET_S

    def _cut(self, at_s: float, cuts: list[Cut], *, ends_segment: bool = False) -> None:
        length_s = at_s - self._segment_s
        longest_s = (
            self.target_s if self.published else max(self.target_s, _LONGEST_FIRST_SEGMENT_S)
        )
        ends_segment |= length_s + PART_TARGET_S > longest_s + _ROUNDING_S
        self._part_s = at_s
        if ends_segment:
            self._segment_s = at_s
        if not self.published:
            # An open segment counts: it may be listed now and get a part more. And some slack, so
            # that a slightly later keyframe needs no cut before it.
            fitting_s = math.ceil(length_s - _ROUNDING_S + PART_TARGET_S)
            self.target_s = max(self.target_s, fitting_s)
        cuts.append(Cut(at_s, ends_segment))
