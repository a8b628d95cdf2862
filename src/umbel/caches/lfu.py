"""LFU: who was asked for least while held leaves first; among equals, the least recent.

Counts are of the time in the cache alone. All operations take constant time: one queue a count.
"""

from umbel.caches.ports import HIT, PASSED_BY, Answer, Key, checked_capacity, checked_size
from umbel.caches.queues import Queue


class Lfu:
    """Least frequently used."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = checked_capacity(capacity_bytes)
        self.used_bytes = 0
        self._counts: dict[Key, int] = {}
        self._queues: dict[int, Queue] = {}
        self._least = 1

    def request(self, key: Key, size_bytes: int, now_s: float) -> Answer:
        checked_size(size_bytes)
        if key in self._counts:
            self._promote(key)
            return HIT
        if size_bytes > self.capacity_bytes:
            return PASSED_BY
        evicted = []
        while self.used_bytes + size_bytes > self.capacity_bytes:
            evicted.append(self._evict())
        self._counts[key] = self._least = 1
        self._queues.setdefault(1, Queue()).push(key, size_bytes)
        self.used_bytes += size_bytes
        return Answer(hit=False, admitted=True, evicted=tuple(evicted))

    def _promote(self, key: Key) -> None:
        count = self._counts[key]
        self._counts[key] = count + 1
        size_bytes = self._queues[count].remove(key)
        self._queues.setdefault(count + 1, Queue()).push(key, size_bytes)
        if self._dropped(count) and count == self._least:
            self._least = count + 1

    def _evict(self) -> Key:
        if self._least not in self._queues:
            # Only a run of evictions without an admission between them comes here.
            self._least = min(self._queues)
        key, size_bytes = self._queues[self._least].pop()
        del self._counts[key]
        self.used_bytes -= size_bytes
        self._dropped(self._least)
        return key

    def _dropped(self, count: int) -> bool:
        """Whether a queue was empty, and is gone."""
        if self._queues[count]:
            return False
        del self._queues[count]
        return True

    def __contains__(self, key: Key) -> bool:
        return key in self._counts

    def __len__(self) -> int:
        return len(self._counts)
