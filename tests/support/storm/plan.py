"""Which kind of process dies when. Pure: a seed in, a list of deaths out."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

SHORTEST_S, LONGEST_S = 4.0, 6.0


class Kind(StrEnum):
    """What is killed."""

    CONTROL_PLANE = "control plane"
    ACQUIRER = "acquirer"
    FORWARDER = "forwarder"
    EDGE = "edge"
    WORKER = "worker"
    ENCODER = "encoder"


@dataclass(frozen=True, kw_only=True)
class Death:
    """One kill: seconds after the storm's start, and a draw (0 to 1) that picks among several
    processes of the kind."""

    at_s: float
    kind: Kind
    draw: float


def drawn(seed: int, seconds: float) -> list[Death]:
    """A death every 4 to 6 s; intervals and kinds are drawn."""
    rng, kinds = random.Random(seed), list(Kind)
    return _deaths(rng, iter(lambda: rng.choice(kinds), None), seconds)


def in_order(seed: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Death]:
    """Each kind once, one after another."""
    return _deaths(random.Random(seed), iter(kinds), LONGEST_S * (len(kinds) + 1))


def _deaths(rng: random.Random, kinds: Iterator[Kind], seconds: float) -> list[Death]:
    found: list[Death] = []
    at_s = 0.0
    for kind in kinds:
        at_s += rng.uniform(SHORTEST_S, LONGEST_S)
        if at_s >= seconds:
            break
        found.append(Death(at_s=at_s, kind=kind, draw=rng.random()))
    return found
