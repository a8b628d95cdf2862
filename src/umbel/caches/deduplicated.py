"""A cache that keeps one copy of what many addresses show: addresses in, Answers on contents out.

Wraps any policy; `dictionary` says which content an address shows. An address that was not learnt
yet stands for itself.
"""

from collections.abc import Callable

from umbel.caches.ports import Answer, Cache, Key


class Deduplicated:
    """A Cache asked by address and filled by content.

    `content_of` is a Dictionary's. What is evicted is reported as the wrapped cache knows it: by
    `content_key`, or by address for one that was not learnt.
    """

    def __init__(self, cache: Cache, content_of: Callable[[str], int | None]) -> None:
        self._cache = cache
        self._content_of = content_of

    def request(self, key: str, size_bytes: int, now_s: float) -> Answer:
        return self._cache.request(self._key(key), size_bytes, now_s)

    def _key(self, address: str) -> Key:
        content = self._content_of(address)
        return address if content is None else content_key(content)

    def __contains__(self, key: str) -> bool:
        return self._key(key) in self._cache

    def __len__(self) -> int:
        return len(self._cache)

    @property
    def used_bytes(self) -> int:
        return self._cache.used_bytes

    @property
    def capacity_bytes(self) -> int:
        return self._cache.capacity_bytes


def content_key(content: int) -> Key:
    """What a content is called inside: never equal to an address."""
    return ("content", content)
