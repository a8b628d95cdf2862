"""Which viewers' tokens of a stream are revoked, kept up to date from what is read of the store.

In: what was revoked since the last read, once in each run for a stream. Out: all its revoked
sessions whose tokens have not expired, under a number that changes when there are more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from umbel.media.model import MOST_REVOKED

log = structlog.get_logger(__name__)

_OVERLAP_S = 30.0
"""How far back each look goes: by so much clocks of instances differ and commits are late."""


@dataclass(frozen=True, kw_only=True)
class Revoked:
    """Sessions with the time (epoch seconds) at which their tokens expire. `number` is 0 at first
    and grows with each addition; it means nothing to another instance."""

    number: int = 0
    sessions: Mapping[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Revocations:
    """What was read, by stream."""

    _known: dict[str, Revoked] = field(default_factory=dict)
    _read_s: dict[str, float] = field(default_factory=dict)

    def since_s(self, stream: str) -> float:
        """From when on the next read is to have the stream's revoked sessions."""
        return max(self._read_s.get(stream, float("-inf")) - _OVERLAP_S, 0.0)

    def read(self, stream: str, rows: Iterable[tuple[str, float]], now_s: float) -> Revoked:
        """The stream's revoked sessions, by the rows since `since_s` that a read found that began
        at `now_s`; at most MOST_REVOKED, those that were revoked last."""
        known = self._known.get(stream, Revoked())
        self._read_s[stream] = now_s
        new = {id_: expires_s for id_, expires_s in rows if id_ not in known.sessions}
        if not new:
            return known
        sessions = {s: e for s, e in {**known.sessions, **new}.items() if e > now_s}
        if len(sessions) > MOST_REVOKED:
            log.warning("more revoked sessions than edges keep", stream=stream, count=len(sessions))
            sessions = dict(list(sessions.items())[-MOST_REVOKED:])
        known = self._known[stream] = Revoked(number=known.number + 1, sessions=sessions)
        return known

    def forget(self, stream: str) -> None:
        """The stream is over."""
        self._known.pop(stream, None)
        self._read_s.pop(stream, None)
