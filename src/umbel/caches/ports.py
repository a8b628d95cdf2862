"""What a cache is to those who ask it: a request in, an Answer out. Neighbours: the policies."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from umbel.kit.errors import Invalid

Key = Hashable


class BadCache(Invalid):
    """The cache size is not valid."""

    code = "umbel.bad_cache"


class BadObject(Invalid):
    """An object must have at least one byte."""

    code = "umbel.bad_object"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request did. A miss is admitted or passed by; `evicted` left the cache for it.

    An admission policy may let the requested object in and out again at once: then it is neither
    admitted nor evicted. An object larger than the cache evicts nothing.
    """

    hit: bool
    admitted: bool = False
    evicted: tuple[Key, ...] = ()


HIT = Answer(hit=True)
PASSED_BY = Answer(hit=False)


class Cache(Protocol):
    """A cache of whole objects. An object keeps the size that it was admitted with."""

    def request(self, key: Key, size_bytes: int, now_s: float) -> Answer:
        """Ask for an object; time never runs backwards. Raises BadObject."""
        ...

    def __contains__(self, key: Key, /) -> bool:
        """Whether it is held; asks nothing, changes nothing."""
        ...

    def __len__(self) -> int:
        """How many objects are held."""
        ...

    @property
    def used_bytes(self) -> int:
        """The sizes of all that is held, never more than the capacity."""
        ...

    @property
    def capacity_bytes(self) -> int:
        """The most it holds."""
        ...


def checked_capacity(capacity_bytes: int) -> int:
    """The capacity, if it is one. Raises BadCache."""
    if capacity_bytes < 0:
        raise BadCache(f"{capacity_bytes} bytes is not a capacity", capacity_bytes=capacity_bytes)
    return capacity_bytes


def checked_size(size_bytes: int) -> int:
    """The size, if it is one. Raises BadObject."""
    if size_bytes < 1:
        raise BadObject(f"{size_bytes} bytes is not a size", size_bytes=size_bytes)
    return size_bytes
