"""What happens when: a seed in, a Plan out. Pure.

A step names what happens, for how long and to whom: `pick` and `size` in [0, 1) choose among those
that are there at that moment, so that a shorter plan is the same story with an earlier end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

FAULTS_S = 20.0
MOST_STEPS = 22

WEIGHTS: Mapping[str, int] = MappingProxyType(
    {
        # people
        "event": 2,
        "viewers": 8,
        "leave": 3,
        "end": 1,
        "silence": 1,
        # functions and nodes
        "kill": 5,
        "hang": 2,
        "node lost": 2,
        "rest": 1,
        # channels
        "slow": 2,
        "lost answers": 3,
        "unreliable notifications": 2,
        "outage": 2,
        "partition": 3,
        "link lost": 3,
        # control planes
        "control plane killed": 2,
        "control plane restarted": 1,
        "control plane paused": 2,
    }
)
"""What may happen, and how often beside the others."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that happens `at_s` seconds after the start and, if it lasts, for `for_s`."""

    number: int
    at_s: float
    kind: str
    for_s: float
    pick: float
    size: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole run. `skews_s` are the control planes' clocks, one of each."""

    seed: int
    policy: str
    copies: bool
    skews_s: tuple[float, ...]
    steps: tuple[Step, ...]


def plan(seed: int, most_steps: int = MOST_STEPS) -> Plan:
    """The seed's plan; of its steps the first `most_steps`."""
    random = Random(f"{seed}/plan")
    planes = random.choice((1, 2, 2))
    policy = random.choices(("sls", "consolidation", "virca"), (6, 3, 1))[0]
    copies = random.random() < 0.25
    skews_s = tuple(round(random.uniform(-0.25, 0.25), 3) for _ in range(planes))
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    # Something to break must be there first.
    begin = ["event", "viewers", *(["event", "viewers"] if random.random() < 0.3 else [])]
    drawn = begin + random.choices(kinds, weights, k=MOST_STEPS - len(begin))
    times = sorted(random.uniform(3.0, FAULTS_S) for _ in range(MOST_STEPS - len(begin)))
    at_s = [0.5 * number for number in range(len(begin))] + times
    steps = [
        Step(
            number=number,
            at_s=round(when_s, 3),
            kind=kind,
            for_s=round(random.choice((0.5, 2.0, 5.0, 10.0)) * random.uniform(0.5, 1.5), 3),
            pick=random.random(),
            size=random.random(),
        )
        for number, (when_s, kind) in enumerate(zip(at_s, drawn, strict=True), 1)
    ]
    return Plan(
        seed=seed,
        policy=policy,
        copies=copies,
        skews_s=skews_s,
        steps=tuple(steps[:most_steps]),
    )
