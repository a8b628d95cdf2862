"""S3-FIFO: three queues, small, main and ghost (Yang et al., SOSP 2023).

New objects enter the small queue; what is asked for twice more there moves to main, the rest
leaves and is remembered in the ghost queue, from where a return goes straight to main. Main gives
an object another round for each time it was asked for, three at most.
"""

from umbel.caches.ports import HIT, PASSED_BY, Answer, Key, checked_capacity, checked_size
from umbel.caches.queues import Queue

SMALL_SHARE = 0.1
GHOST_SHARE = 0.9
MOST_ROUNDS = 3
TO_MAIN = 2


class S3Fifo:
    """Simple, scalable, three static FIFO queues."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = checked_capacity(capacity_bytes)
        self._small_bytes = int(capacity_bytes * SMALL_SHARE)
        self._ghost_bytes = int(capacity_bytes * GHOST_SHARE)
        self._small, self._main, self._ghost = Queue(), Queue(), Queue()
        self._asked: dict[Key, int] = {}
        self._was_full = False

    def request(self, key: Key, size_bytes: int, now_s: float) -> Answer:
        checked_size(size_bytes)
        if key in self._asked:
            self._asked[key] = min(self._asked[key] + 1, MOST_ROUNDS)
            return HIT
        if size_bytes > self.capacity_bytes:
            return PASSED_BY
        known = key in self._ghost
        if known:
            self._ghost.remove(key)
        evicted: list[Key] = []
        while self.used_bytes + size_bytes > self.capacity_bytes:
            self._was_full = True
            self._evict(evicted)
        # Until the cache is full for the first time there is nothing to protect main from.
        fills = not self._was_full and self._small.used_bytes >= self._small_bytes
        queue = self._main if known or fills else self._small
        queue.push(key, size_bytes)
        self._asked[key] = 0
        return Answer(hit=False, admitted=True, evicted=tuple(evicted))

    def _evict(self, evicted: list[Key]) -> None:
        """Let one object leave, after as many rounds as it takes."""
        main_bytes = self.capacity_bytes - self._small_bytes
        if not self._small or self._main.used_bytes > main_bytes:
            evicted.append(self._evict_main())
            return
        while self._small:
            key, size_bytes = self._small.pop()
            if self._asked[key] < TO_MAIN:
                del self._asked[key]
                self._remember(key, size_bytes)
                evicted.append(key)
                return
            self._asked[key] = 0
            self._main.push(key, size_bytes)

    def _evict_main(self) -> Key:
        key, size_bytes = self._main.pop()
        while self._asked[key]:
            self._asked[key] -= 1
            self._main.push(key, size_bytes)
            key, size_bytes = self._main.pop()
        del self._asked[key]
        return key

    def _remember(self, key: Key, size_bytes: int) -> None:
        if size_bytes <= self._ghost_bytes:
            self._ghost.push(key, size_bytes)
            while self._ghost.used_bytes > self._ghost_bytes:
                self._ghost.pop()

    def __contains__(self, key: Key) -> bool:
        return key in self._asked

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def used_bytes(self) -> int:
        return self._small.used_bytes + self._main.used_bytes
