"""Which links live, by what switches say of tunnels' ends. No I/O; time is an argument.

In: events of tunnels' ends, with the time. Out: the links that count as dead now, and when that may
change by itself. An event costs the same however many links there are.
"""

import heapq
from collections import Counter
from dataclasses import dataclass

from umbel.network.model import Pair, pair


@dataclass(frozen=True, kw_only=True)
class LivenessTimers:
    """A link that came back counts as dead for `hold_down_s` yet, and a new tunnel as alive for
    `grace_s` before its first sign of life."""

    hold_down_s: float = 5.0
    grace_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class TunnelEndSeen:
    """A tunnel's end at `node`, toward `neighbour`, is live or not; `new`: it was just made."""

    node: str
    neighbour: str
    live: bool
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class TunnelEndRemoved:
    """There is no tunnel any more at `node` toward `neighbour`."""

    node: str
    neighbour: str


TunnelEvent = TunnelEndSeen | TunnelEndRemoved


@dataclass(frozen=True, kw_only=True)
class _End:
    """A tunnel's end: it counts as `live` from `at_s` on, as the opposite before."""

    live: bool
    at_s: float

    def is_live(self, now_s: float) -> bool:
        return self.live if now_s >= self.at_s else not self.live


class Liveness:
    """What is known of all tunnels' ends, by (node, neighbour)."""

    def __init__(self, timers: LivenessTimers | None = None) -> None:
        self._timers = timers or LivenessTimers()
        self._ends: dict[Pair, _End] = {}
        self._dead_ends: set[Pair] = set()
        self._dead: Counter[Pair] = Counter()  # how many ends of a link count as dead
        self._due: list[tuple[float, Pair]] = []
        self._answer: frozenset[Pair] | None = frozenset()

    def observe(self, event: TunnelEvent, now_s: float) -> None:
        """What a switch says of a tunnel's end. A loss counts at once."""
        key = (event.node, event.neighbour)
        if isinstance(event, TunnelEndRemoved):
            self._ends.pop(key, None)
            self._count(key, is_dead=False)
            return
        end = self._end(event, self._ends.get(key), now_s)
        self._ends[key] = end
        self._count(key, is_dead=not end.is_live(now_s))
        if end.at_s > now_s:
            heapq.heappush(self._due, (end.at_s, key))

    def dead(self, now_s: float) -> frozenset[Pair]:
        """The links with an end that counts as dead, by `pair`; the same object as long as they
        are the same."""
        while self._due and self._due[0][0] <= now_s:
            _, key = heapq.heappop(self._due)
            end = self._ends.get(key)
            if end is not None:
                self._count(key, is_dead=not end.is_live(now_s))
        if self._answer is None:
            self._answer = frozenset(self._dead)
        return self._answer

    def next_at_s(self, now_s: float) -> float | None:
        """When `dead` may answer something new."""
        while self._due and not self._is_due(*self._due[0], now_s):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _is_due(self, at_s: float, key: Pair, now_s: float) -> bool:
        end = self._ends.get(key)
        return end is not None and end.at_s == at_s and at_s > now_s

    def _count(self, key: Pair, *, is_dead: bool) -> None:
        if is_dead == (key in self._dead_ends):
            return
        link, before = pair(*key), self._dead[pair(*key)]
        if is_dead:
            self._dead_ends.add(key)
            self._dead[link] += 1
        else:
            self._dead_ends.discard(key)
            self._dead[link] -= 1
        if not self._dead[link]:
            del self._dead[link]
        if bool(before) != (link in self._dead):
            self._answer = None

    def _end(self, event: TunnelEndSeen, before: _End | None, now_s: float) -> _End:
        if before is None:
            wait_s = self._timers.grace_s if event.new and not event.live else 0.0
            return _End(live=event.live, at_s=now_s + wait_s)
        if before.live == event.live:
            return before
        if before.is_live(now_s) == event.live or not event.live:
            return _End(live=event.live, at_s=now_s)
        return _End(live=True, at_s=now_s + self._timers.hold_down_s)
