"""SIEVE: a queue whose hand passes over what was asked for since it last came by (Zhang et al.,
NSDI 2024). New objects enter at the head, the hand moves from the tail towards them, and a hit
only sets a mark: objects never move.
"""

from dataclasses import dataclass

from umbel.caches.ports import HIT, PASSED_BY, Answer, Key, checked_capacity, checked_size


@dataclass(slots=True, eq=False)
class _Entry:
    key: Key
    size_bytes: int
    asked: bool = False
    older: "_Entry | None" = None
    newer: "_Entry | None" = None


class Sieve:
    """Lazy promotion, quick demotion."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = checked_capacity(capacity_bytes)
        self.used_bytes = 0
        self._entries: dict[Key, _Entry] = {}
        self._oldest: _Entry | None = None
        self._newest: _Entry | None = None
        self._hand: _Entry | None = None

    def request(self, key: Key, size_bytes: int, now_s: float) -> Answer:
        checked_size(size_bytes)
        entry = self._entries.get(key)
        if entry is not None:
            entry.asked = True
            return HIT
        if size_bytes > self.capacity_bytes:
            return PASSED_BY
        evicted = []
        while self.used_bytes + size_bytes > self.capacity_bytes:
            evicted.append(self._evict())
        self._push(_Entry(key, size_bytes))
        return Answer(hit=False, admitted=True, evicted=tuple(evicted))

    def _push(self, entry: _Entry) -> None:
        entry.older = self._newest
        if self._newest is None:
            self._oldest = entry
        else:
            self._newest.newer = entry
        self._newest = entry
        self._entries[entry.key] = entry
        self.used_bytes += entry.size_bytes

    def _evict(self) -> Key:
        hand = self._hand or self._oldest
        assert hand is not None, "something is held when room is short"
        while hand.asked:
            hand.asked = False
            hand = hand.newer or self._oldest
            assert hand is not None, "a queue with one entry has an oldest"
        self._hand = hand.newer
        self._unlink(hand)
        return hand.key

    def _unlink(self, entry: _Entry) -> None:
        if entry.older is None:
            self._oldest = entry.newer
        else:
            entry.older.newer = entry.newer
        if entry.newer is None:
            self._newest = entry.older
        else:
            entry.newer.older = entry.older
        del self._entries[entry.key]
        self.used_bytes -= entry.size_bytes

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)
