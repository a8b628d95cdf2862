"""Every cache policy by its name: a name and a capacity in, a Cache out."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from umbel.caches.lfu import Lfu
from umbel.caches.ports import Cache
from umbel.caches.queues import Fifo, Lru
from umbel.caches.s3fifo import S3Fifo
from umbel.caches.sieve import Sieve
from umbel.caches.tinylfu import WTinyLfu


class Policy(StrEnum):
    """Who leaves when room is short."""

    LRU = "lru"
    FIFO = "fifo"
    LFU = "lfu"
    W_TINYLFU = "w-tinylfu"
    S3_FIFO = "s3-fifo"
    SIEVE = "sieve"


POLICIES: Final[Mapping[Policy, Callable[[int], Cache]]] = MappingProxyType(
    {
        Policy.LRU: Lru,
        Policy.FIFO: Fifo,
        Policy.LFU: Lfu,
        Policy.W_TINYLFU: WTinyLfu,
        Policy.S3_FIFO: S3Fifo,
        Policy.SIEVE: Sieve,
    }
)


def make(policy: Policy, capacity_bytes: int) -> Cache:
    """An empty cache. Raises BadCache."""
    return POLICIES[policy](capacity_bytes)
