"""Which ports a program may listen on, where a firewall lets only some through.

In: the environment variable UMBEL_PORT_RANGE (`FIRST-LAST`, both included), which the control plane
sets for functions of a node with a range. Out: ports to try, in a random order.
"""

import os
import random
from collections.abc import Iterator

VARIABLE = "UMBEL_PORT_RANGE"


def candidates(wanted: int = 0) -> Iterator[int]:
    """The wanted port alone; for 0 those of the range, or 0 where there is none: any free one."""
    text = os.environ.get(VARIABLE, "")
    if wanted or not text:
        yield wanted
        return
    first, _, last = text.partition("-")
    yield from within((int(first), int(last)))


def within(allowed: tuple[int, int]) -> Iterator[int]:
    """The ports from the first to the last, in a random order: neighbours seldom try the same."""
    first, last = allowed
    yield from random.sample(range(first, last + 1), last - first + 1)
