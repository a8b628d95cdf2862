"""Counts viewers by protocol from what edges see. Pure.

In: what functions do with streams, every few seconds. Out: what was gathered since the last time.
Edges alone know the protocol: a player may change it in one session. What was gathered is kept
until it is said to be stored.
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
    """Who watched how, since what was gathered was stored last."""

    def __init__(self) -> None:
        self._before: tuple[Sessions, float] | None = None
        self._gathered: dict[tuple[str, str], Share] = {}

    def sample(self, now: Sessions, now_s: float) -> dict[tuple[str, str], Share]:
        """What was gathered, with this sample. Those who watch now have done so since the sample
        before; at the first one, nobody has. A session that goes over to the protocol is opened
        there."""
        before, self._before = self._before, (now, now_s)
        for key, sessions in now.items():
            share = Share(peak=len(sessions))
            if before is not None:
                span_s = now_s - before[1]
                share = Share(
                    opened=len(sessions - before[0].get(key, frozenset())),
                    watched_s=len(sessions) * (span_s if span_s <= _LONGEST_S else 0.0),
                    peak=len(sessions),
                )
            self._gathered[key] = self._gathered.get(key, Share()).plus(share)
        return dict(self._gathered)

    def stored(self) -> None:
        """What was gathered is in the database."""
        self._gathered.clear()
