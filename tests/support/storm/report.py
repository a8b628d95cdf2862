"""What a storm cost. Pure: what was seen in, the JSON line out."""

import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from support.storm.plan import Kind

QUIET, LOADED = (0.95, 3.0), (0.80, 10.0)
"""Goals: share of frames, longest gap in s; without load and with it."""

_LATENCY_S = 0.2
"""A gap may begin so long before the kill that caused it: pictures are on their way."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One kill: when, in seconds since the epoch, of what; frames that the encoder had sent until
    then; after how many seconds the kind was back, None for never."""

    at_s: float
    kind: Kind
    sent: int
    back_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """What a viewer decoded: the time of each frame, and when it was decoded; both sorted."""

    drawn_s: Sequence[float]
    decoded_s: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Storm:
    """A storm from `begin` to `end`; both have no kind that counts."""

    begin_s: float
    begin_sent: int
    end_s: float
    end_sent: int
    losses: Sequence[Loss]
    viewings: Sequence[Viewing]
    load: int = 0


def report(storm: Storm) -> dict[str, Any]:
    """The JSON line. `ok`: the goals hold, and everything that was killed came back."""
    sent = storm.end_sent - storm.begin_sent
    decoded = [_between(v.drawn_s, storm.begin_s, storm.end_s) for v in storm.viewings]
    share = sum(decoded) / max(1, sent * len(decoded))
    longest_s = max(_longest_gap(v, storm, storm.begin_s, storm.end_s) for v in storm.viewings)
    least, most_s = LOADED if storm.load else QUIET
    are_back = all(loss.back_s is not None for loss in storm.losses)
    return {
        "ok": share >= least and longest_s <= most_s and are_back,
        "share": round(share, 4),
        "longest_gap_s": round(longest_s, 2),
        "frames_sent": sent,
        "frames_decoded": decoded,
        "seconds": round(storm.end_s - storm.begin_s, 1),
        "load": storm.load,
        "deaths": len(storm.losses),
        "not_back": [loss.kind.value for loss in storm.losses if loss.back_s is None],
        "by_kind": _by_kind(storm),
    }


def costs(storm: Storm) -> list[tuple[Loss, float, int]]:
    """Each loss with the longest gap that began before the next one, and the frames that a viewer
    missed until then."""
    bounds = [*((loss.at_s, loss.sent) for loss in storm.losses), (storm.end_s, storm.end_sent)]
    found = []
    for loss, (end_s, sent) in zip(storm.losses, bounds[1:], strict=True):
        gap_s = max(
            _longest_gap(v, storm, loss.at_s - _LATENCY_S, end_s - _LATENCY_S)
            for v in storm.viewings
        )
        seen = [_between(v.drawn_s, loss.at_s, end_s) for v in storm.viewings]
        missed = (sent - loss.sent) - sum(seen) / max(1, len(seen))
        found.append((loss, gap_s, max(0, round(missed))))
    return found


def _by_kind(storm: Storm) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    every = costs(storm)
    for kind in Kind:
        mine = [cost for cost in every if cost[0].kind is kind]
        if mine:
            back = [loss.back_s for loss, _, _ in mine if loss.back_s is not None]
            found[kind.value] = {
                "restarts": len(back),
                "gap_median_s": round(statistics.median(gap_s for _, gap_s, _ in mine), 2),
                "gap_worst_s": round(max(gap_s for _, gap_s, _ in mine), 2),
                "missed_median": round(statistics.median(missed for _, _, missed in mine)),
                "back_median_s": round(statistics.median(back), 2) if back else None,
            }
    return found


def _longest_gap(viewing: Viewing, storm: Storm, begin_s: float, end_s: float) -> float:
    """The longest time without a new picture that begins between the two."""
    times = [storm.begin_s, *viewing.decoded_s]
    ended = max(times[-1], storm.end_s)
    gaps = (b - a for a, b in pairwise([*times, ended]) if begin_s <= a < end_s)
    return max(gaps, default=0.0)


def _between(times: Sequence[float], begin_s: float, end_s: float) -> int:
    ordered = sorted(times)
    return bisect_left(ordered, end_s) - bisect_left(ordered, begin_s)
