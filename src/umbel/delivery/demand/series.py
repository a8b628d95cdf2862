"""The demand series: expected viewers of an event by access node and time. Pure.

In: reservations by access node, and what became of the provider's earlier events. Out: a
`Prediction`, the most of it in a time, and what of it is not there yet. An event's time has 55 bins
(`edges`): ten minutes before its start, its first quarter of an hour by the minute, twenty equal
parts of the rest, and ten minutes after its end. So events of any length teach each other.

With R accounts that reserved event i, P its most viewers at once, x its viewers in bin b:

    show_up  = (k * 0.6 + sum min(P, R)) / (k + sum R)      k = 10 reservations
    walk_ins = sum max(0, P - R) / number of events
    shape[b] = (k * prior[b] + sum x[b]) / (k + sum P)      k = 10 viewers
    viewers[node] = show_up * (known[node] + unknown * share[node]) + walk_ins * share[node]

`known` are reservations of accounts with a known access node, `unknown` all others. `share` is the
node's part of the watch time of earlier events; without any, its part of the known reservations;
without these, each node has the same.
"""

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from umbel.delivery.attendance.model import MINUTE_S, Attendance
from umbel.delivery.demand.model import History, Point, Prediction, Profile

EARLY_S = 600.0
HEAD_S = 900.0
AFTER_S = 600.0
_EARLY, _HEAD, _BODY, _AFTER = 10, 15, 20, 10
BINS = _EARLY + _HEAD + _BODY + _AFTER
SHOW_UP = 0.6
_RESERVATIONS_WEIGHT = 10.0
_VIEWERS_WEIGHT = 10.0
LEAST_VIEWERS = 0.3
"""Fewer expected viewers of an access node than this are not worth an edge in advance."""
_WHOLE = 1e-9
_SHORTEST_S = 60.0


def _prior() -> tuple[float, ...]:
    """Without history: 0.3 of the peak at the start, all of it ten minutes later, 0.7 at the end,
    nobody three minutes after it."""
    early = [0.3 * (i + 1) / _EARLY for i in range(_EARLY)]
    head = [min(1.0, 0.3 + 0.07 * (i + 1)) for i in range(_HEAD)]
    body = [1.0 - 0.3 * i / (_BODY - 1) for i in range(_BODY)]
    after = [max(0.0, 0.7 * (1 - (i + 1) / 3)) for i in range(_AFTER)]
    return (*early, *head, *body, *after)


PRIOR = _prior()


def edges(starts_s: float, ends_s: float) -> tuple[float, ...]:
    """Where the event's bins begin, and the end of the last one."""
    lasts_s = max(_SHORTEST_S, ends_s - starts_s)
    head_s = min(HEAD_S, lasts_s / 2)
    parts = (
        (starts_s - EARLY_S, EARLY_S, _EARLY),
        (starts_s, head_s, _HEAD),
        (starts_s + head_s, lasts_s - head_s, _BODY),
        (starts_s + lasts_s, AFTER_S, _AFTER),
    )
    begins = [at_s + span_s * i / count for at_s, span_s, count in parts for i in range(count)]
    return (*begins, starts_s + lasts_s + AFTER_S)


def present(attendance: Attendance, starts_s: float, ends_s: float) -> tuple[float, ...]:
    """Viewers on average in each bin: a minute's watch time counts for the bins that it overlaps,
    as if it were spread evenly."""
    ends = edges(starts_s, ends_s)
    watched_s = [0.0] * BINS
    for minute in attendance.minutes:
        until_s = minute.at_s + MINUTE_S
        first = max(0, bisect_right(ends, minute.at_s) - 1)
        for number in range(first, BINS):
            if ends[number] >= until_s:
                break
            overlap_s = min(until_s, ends[number + 1]) - max(minute.at_s, ends[number])
            watched_s[number] += minute.share.watched_s * max(0.0, overlap_s) / MINUTE_S
    return tuple(s / (b - a) for s, (a, b) in zip(watched_s, pairwise(ends), strict=True))


def profile(
    attendance: Attendance, starts_s: float, ends_s: float, reservations: int
) -> Profile | None:
    """What became of an event; None where nobody ever watched, which says nothing: most such
    events never went on air."""
    if not attendance.whole.opened:
        return None
    peak = max(1, attendance.whole.peak)
    watched_s: dict[str, float] = {}
    for place in attendance.places:
        before_s = watched_s.get(place.access_node, 0.0)
        watched_s[place.access_node] = before_s + place.share.watched_s
    return Profile(
        reservations=reservations,
        peak=peak,
        curve=tuple(min(float(peak), x) for x in present(attendance, starts_s, ends_s)),
        watched_s=watched_s,
    )


def learned(profiles: Iterable[Profile]) -> History:
    """What the events teach together; without any, what is believed at first."""
    every = list(profiles)
    reserved = sum(one.reservations for one in every)
    came = sum(min(one.peak, one.reservations) for one in every)
    surplus = sum(max(0, one.peak - one.reservations) for one in every)
    peaks = sum(one.peak for one in every)
    watched_s: dict[str, float] = {}
    for one in every:
        for node, seconds in one.watched_s.items():
            watched_s[node] = watched_s.get(node, 0.0) + seconds
    return History(
        events=len(every),
        show_up=(_RESERVATIONS_WEIGHT * SHOW_UP + came) / (_RESERVATIONS_WEIGHT + reserved),
        walk_ins=surplus / len(every) if every else 0.0,
        shape=tuple(
            (_VIEWERS_WEIGHT * PRIOR[b] + sum(one.curve[b] for one in every))
            / (_VIEWERS_WEIGHT + peaks)
            for b in range(BINS)
        ),
        shares=_parts(watched_s, watched_s),
    )


def viewers(
    reserved: Mapping[str, int], history: History, nodes: Collection[str]
) -> dict[str, float]:
    """Expected viewers at the peak by access node, of those `nodes`. A reservation whose node is
    none of them counts as unknown."""
    if not nodes:
        return {}
    known = {node: float(reserved.get(node, 0)) for node in sorted(nodes)}
    unknown = sum(reserved.values()) - sum(known.values())
    even = dict.fromkeys(known, 1.0)
    share = _parts(history.shares, known) or _parts(known, known) or _parts(even, even)
    spread = history.show_up * unknown + history.walk_ins
    found = {n: history.show_up * k + spread * share.get(n, 0.0) for n, k in known.items()}
    return {node: count for node, count in found.items() if count > 0}


def most_expected(prediction: Prediction, from_s: float, until_s: float) -> dict[str, float]:
    """The most that are expected at once from a moment until another one, by access node."""
    ends = edges(prediction.starts_s, prediction.ends_s)
    spans = zip(prediction.shape, pairwise(ends), strict=True)
    share = max((x for x, (a, b) in spans if a <= until_s and b > from_s), default=0.0)
    return {node: count * share for node, count in prediction.viewers.items()}


def missing(wanted: Mapping[str, float], there: Mapping[str, int]) -> dict[str, int]:
    """The expected viewers who are not there yet, by access node: whole ones. A viewer who came
    at another node than expected is not expected any more: nodes with few give way first."""
    whole = {
        node: math.ceil(count - _WHOLE) for node, count in wanted.items() if count >= LEAST_VIEWERS
    }
    rest = {node: count - there.get(node, 0) for node, count in whole.items()}
    rest = {node: count for node, count in rest.items() if count > 0}
    surplus = sum(rest.values()) - max(0, sum(whole.values()) - sum(there.values()))
    for node in sorted(rest, key=lambda one: (rest[one], one)):
        less = min(rest[node], max(0, surplus))
        rest[node] -= less
        surplus -= less
    return {node: count for node, count in sorted(rest.items()) if count > 0}


def points(prediction: Prediction, attendance: Attendance, now_s: float) -> tuple[Point, ...]:
    """Predicted next to actual, by bin; what is actual is None from now on."""
    total = sum(prediction.viewers.values())
    there = present(attendance, prediction.starts_s, prediction.ends_s)
    ends = edges(prediction.starts_s, prediction.ends_s)
    return tuple(
        Point(at_s=a, expected=total * x, present=y if b <= now_s else None)
        for x, y, (a, b) in zip(prediction.shape, there, pairwise(ends), strict=True)
    )


def _parts(of: Mapping[str, float], nodes: Collection[str]) -> dict[str, float]:
    """What each of the nodes has of what they have together; nothing where they have none."""
    here = {node: of[node] for node in nodes if of.get(node, 0.0) > 0}
    whole = sum(here.values())
    return {node: count / whole for node, count in here.items()}
