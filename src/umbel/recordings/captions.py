"""What was said, on the timeline of a recording. Pure.

In: the segments of a range, and captions on the stream's clock. Out: captions in seconds from the
range's beginning. Neighbours: media/hls/webvtt.py writes them, subtitles.py cuts them for HLS.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from umbel.catalogue.captions.model import Caption
from umbel.media.hls.webvtt import Shown
from umbel.recordings.model import Segment

_SHORTEST_S = 0.1
# A segment that follows on, though clocks may have moved a little.
_TOGETHER_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A piece of the recording that follows on: when it was by the stream's clock, how long, and
    where it is."""

    wall_s: float
    duration_s: float
    position_s: float


def shown(segments: Sequence[Segment], captions: Iterable[Caption]) -> list[Shown]:
    """The captions of what was recorded, each cut to the piece that has its beginning or end."""
    found: list[Shown] = []
    runs = _runs(segments)
    for caption in captions:
        for run in runs:
            start_s = max(0.0, caption.start_s - run.wall_s)
            end_s = min(
                run.duration_s, max(caption.end_s, caption.start_s + _SHORTEST_S) - run.wall_s
            )
            if end_s > start_s:
                found.append(
                    Shown(
                        text=caption.text,
                        start_s=run.position_s + start_s,
                        end_s=run.position_s + end_s,
                    )
                )
    return sorted(found, key=lambda one: (one.start_s, one.end_s))


def wall_of(one: Segment) -> float:
    """When it began by its stream's clock, as far as that is known."""
    return one.wall_s or one.began_s


def _runs(segments: Sequence[Segment]) -> list[_Run]:
    runs: list[_Run] = []
    for one in segments:
        wall_s, position_s = wall_of(one), one.position_s - segments[0].position_s
        last = runs[-1] if runs else None
        if last and abs(last.wall_s + position_s - last.position_s - wall_s) < _TOGETHER_S:
            duration_s = position_s - last.position_s + one.duration_s
            runs[-1] = _Run(wall_s=last.wall_s, duration_s=duration_s, position_s=last.position_s)
        else:
            runs.append(_Run(wall_s=wall_s, duration_s=one.duration_s, position_s=position_s))
    return runs
