"""Counts viewers by protocol from what edges see. Pure.

In: what functions do with streams, every few seconds. Out: what was gathered since the last time.
Edges alone know the protocol: a player may change it in one session.
"""

from collections import defaultdict
from collections.abc import Mapping

from umbel.delivery.attendance.model import Share
from umbel.delivery.trees import renditions
from umbel.media.model import StreamState

WHEP, HLS = "whep", "hls"
_LONGEST_S = 30.0
"""After a longer pause nothing is known of the time in between."""

Sessions = Mapping[tuple[str, str], frozenset[str]]
"""The sessions by event and protocol."""


def present(functions: Mapping[str, Mapping[str, StreamState]]) -> Sessions:
    """Who watches now, by what each function says of its streams."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for streams in functions.values():
        for stream, state in streams.items():
            event, over_hls = renditions.event_of(stream), set(state.hls_viewers)
            found[event, HLS] |= over_hls
            found[event, WHEP] |= set(state.viewers) - over_hls
    return {key: frozenset(sessions) for key, sessions in found.items() if sessions}


class ProtocolCounter:
    """Who watched how, since the sample before."""

    def __init__(self) -> None:
        self._before: tuple[Sessions, float] | None = None

    def sample(self, now: Sessions, now_s: float) -> dict[tuple[str, str], Share]:
        """Those who watch now have done so since the sample before; at the first one, nobody has.
        A session that goes over to the protocol is opened there."""
        before, self._before = self._before, (now, now_s)
        if before is None:
            return {key: Share(peak=len(sessions)) for key, sessions in now.items()}
        span_s = now_s - before[1]
        known_s = span_s if span_s <= _LONGEST_S else 0.0
        return {
            key: Share(
                opened=len(sessions - before[0].get(key, frozenset())),
                watched_s=len(sessions) * known_s,
                peak=len(sessions),
            )
            for key, sessions in now.items()
        }
