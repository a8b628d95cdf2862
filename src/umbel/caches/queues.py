"""LRU and FIFO, and the queue of objects with sizes that the other policies are made of."""

from collections import OrderedDict

from umbel.caches.ports import HIT, PASSED_BY, Answer, Key, checked_capacity, checked_size


class Queue:
    """Keys with sizes, in order; the head is the next to leave."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[Key, int] = OrderedDict()
        self.used_bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def push(self, key: Key, size_bytes: int) -> None:
        """Put a key that is not in the queue at its tail."""
        self._sizes[key] = size_bytes
        self.used_bytes += size_bytes

    def pop(self) -> tuple[Key, int]:
        """Take the head."""
        key, size_bytes = self._sizes.popitem(last=False)
        self.used_bytes -= size_bytes
        return key, size_bytes

    def head(self) -> tuple[Key, int]:
        """Look at the head."""
        return next(iter(self._sizes.items()))

    def remove(self, key: Key) -> int:
        """Take a key from anywhere; its size."""
        size_bytes = self._sizes.pop(key)
        self.used_bytes -= size_bytes
        return size_bytes

    def touch(self, key: Key) -> None:
        """Move a key to the tail."""
        self._sizes.move_to_end(key)


class Fifo:
    """First in, first out: a hit changes nothing."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = checked_capacity(capacity_bytes)
        self._queue = Queue()

    def request(self, key: Key, size_bytes: int, now_s: float) -> Answer:
        checked_size(size_bytes)
        if key in self._queue:
            self._hit(key)
            return HIT
        if size_bytes > self.capacity_bytes:
            return PASSED_BY
        evicted = []
        while self._queue.used_bytes + size_bytes > self.capacity_bytes:
            evicted.append(self._queue.pop()[0])
        self._queue.push(key, size_bytes)
        return Answer(hit=False, admitted=True, evicted=tuple(evicted))

    def _hit(self, key: Key) -> None:
        """What being asked for does to an object's turn: nothing."""

    def __contains__(self, key: Key) -> bool:
        return key in self._queue

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def used_bytes(self) -> int:
        return self._queue.used_bytes


class Lru(Fifo):
    """Least recently used leaves first: what ViRCA's caches do."""

    def _hit(self, key: Key) -> None:
        self._queue.touch(key)
