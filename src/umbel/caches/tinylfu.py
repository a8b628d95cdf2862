"""W-TinyLFU: a small LRU window before a segmented LRU that lets in only what is asked for more
often than what would leave (Einziger, Friedman, Manes, ACM TOS 2017).

Frequencies come from a count-min sketch of four rows. It halves itself each time it has counted
so many requests for each object it is made for, so old fame fades.
"""

import zlib
from array import array

from umbel.caches.ports import HIT, PASSED_BY, Answer, Key, checked_capacity, checked_size
from umbel.caches.queues import Queue

WINDOW_SHARE = 0.01
PROTECTED_SHARE = 0.8
MOST_COUNT = 255
REQUESTS_PER_OBJECT = 32
COUNTERS_PER_OBJECT = 8
_ROWS = 4
_LEAST_OBJECTS = 64
_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1
_HALVES = bytes(value // 2 for value in range(256))


class Sketch:
    """How often was each key asked for lately? Never too few, rarely too many, 255 at most."""

    def __init__(self, objects: int) -> None:
        self._objects = max(_LEAST_OBJECTS, 1 << max(0, objects - 1).bit_length())
        self._width = self._objects * COUNTERS_PER_OBJECT
        self._rows = [array("B", bytes(self._width)) for _ in range(_ROWS)]
        self._counted = 0

    def add(self, key: Key) -> None:
        """Count a request: only the smallest of the key's counters grow."""
        places = self._places(key)
        least = min(row[place] for row, place in zip(self._rows, places, strict=True))
        if least < MOST_COUNT:
            for row, place in zip(self._rows, places, strict=True):
                if row[place] == least:
                    row[place] += 1
        self._counted += 1
        if self._counted >= self._objects * REQUESTS_PER_OBJECT:
            self._age()

    def count(self, key: Key) -> int:
        """The estimate."""
        return min(row[place] for row, place in zip(self._rows, self._places(key), strict=True))

    def grow(self, objects: int) -> None:
        """Make room for so many objects; a wider sketch starts with what the old one knew."""
        while self._objects < objects:
            self._objects *= 2
            self._width *= 2
            # A key's place modulo the old width stays, so both halves start as the old row.
            self._rows = [row + row for row in self._rows]

    def _places(self, key: Key) -> list[int]:
        first = _mixed(key)
        second = (first >> 32) | 1
        return [((first + row * second) & _WORD) % self._width for row in range(_ROWS)]

    def _age(self) -> None:
        self._rows = [array("B", row.tobytes().translate(_HALVES)) for row in self._rows]
        self._counted //= 2


def _mixed(key: Key) -> int:
    """64 bits that do not change from one process to the next, as text's own hash does."""
    if isinstance(key, str):
        word = zlib.crc32(key.encode()) | (zlib.adler32(key.encode()) << 32)
    else:
        word = hash(key) & _WORD
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _WORD
    return (word ^ (word >> 31)) + _MIX & _WORD


class WTinyLfu:
    """A window of 1 %, then probation and, for four fifths of the rest, protection.

    `remembers` is how many objects' frequencies are worth a counter; when more are held, they are.
    """

    def __init__(self, capacity_bytes: int, remembers: int = 0) -> None:
        self.capacity_bytes = checked_capacity(capacity_bytes)
        self._window_bytes = int(capacity_bytes * WINDOW_SHARE)
        self._main_bytes = capacity_bytes - self._window_bytes
        self._protected_bytes = int(self._main_bytes * PROTECTED_SHARE)
        self._window, self._probation, self._protected = Queue(), Queue(), Queue()
        self._sketch = Sketch(remembers)

    def request(self, key: Key, size_bytes: int, now_s: float) -> Answer:
        checked_size(size_bytes)
        self._sketch.add(key)
        if self._hit(key):
            return HIT
        if size_bytes > self._main_bytes:
            return PASSED_BY
        self._window.push(key, size_bytes)
        evicted: list[Key] = []
        while self._window.used_bytes > self._window_bytes:
            evicted += self._admit(*self._window.pop())
        self._sketch.grow(len(self))
        admitted = key not in evicted
        return Answer(
            hit=False, admitted=admitted, evicted=tuple(old for old in evicted if old != key)
        )

    def _hit(self, key: Key) -> bool:
        if key in self._window:
            self._window.touch(key)
        elif key in self._protected:
            self._protected.touch(key)
        elif key in self._probation:
            self._protect(key)
        else:
            return False
        return True

    def _protect(self, key: Key) -> None:
        self._protected.push(key, self._probation.remove(key))
        while self._protected.used_bytes > self._protected_bytes:
            self._probation.push(*self._protected.pop())

    def _admit(self, key: Key, size_bytes: int) -> list[Key]:
        """What leaves: those who make room for the candidate, or the candidate itself."""
        left: list[Key] = []
        count = self._sketch.count(key)
        while self._probation.used_bytes + self._protected.used_bytes + size_bytes > (
            self._main_bytes
        ):
            queue = self._probation or self._protected
            if count <= self._sketch.count(queue.head()[0]):
                return [*left, key]
            left.append(queue.pop()[0])
        self._probation.push(key, size_bytes)
        return left

    def __contains__(self, key: Key) -> bool:
        return key in self._window or key in self._probation or key in self._protected

    def __len__(self) -> int:
        return len(self._window) + len(self._probation) + len(self._protected)

    @property
    def used_bytes(self) -> int:
        queues = (self._window, self._probation, self._protected)
        return sum(queue.used_bytes for queue in queues)
