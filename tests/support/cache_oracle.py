"""A program of its own around libCacheSim, which is under the GPL: cases as JSON on stdin, hits
as JSON on stdout. Tests start it as a process and never import it.
"""

import json
import sys

import libcachesim

NAMES = {
    "lru": "LRU",
    "fifo": "FIFO",
    "lfu": "LFU",
    "w-tinylfu": "WTinyLFU",
    "s3-fifo": "S3FIFO",
    "sieve": "Sieve",
}


def hits(policy: str, capacity: int, keys: list[int], sizes: list[int]) -> int:
    """How many requests of a trace a policy answers; `sizes` by key."""
    cache = getattr(libcachesim, NAMES[policy])(capacity, hashpower=16)
    request = libcachesim.Request()
    found = 0
    for key in keys:
        request.obj_id, request.obj_size = key, sizes[key]
        found += cache.get(request)
    return found


if __name__ == "__main__":
    json.dump([hits(**case) for case in json.load(sys.stdin)], sys.stdout)
