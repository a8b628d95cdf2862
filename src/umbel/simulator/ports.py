"""What the parts of a run are to each other: engines, admission, controllers, and what passes
between them. Neighbours: `reference` and `compiled` are engines, `controllers` decide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from umbel.planner.admission import Admitted, Ask, Guide, Ledger, Rejected, Room
from umbel.planner.linear import Floats, Ints
from umbel.planner.result import Infrastructure, Plan
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.world import Path

# An outcome is a step of Algorithm 2, or below zero the code of a reason: admission.CODES.
STEPS: Mapping[str, int] = {"bundle": 1, "end": 2, "any": 3}


@dataclass(frozen=True, kw_only=True, eq=False)
class SteeringPlan:
    """What steers admissions until the next plan.

    `labels` give each content's number in `names`, the contents that the guide knows; -1 is like
    none. `fills` are the lit paths from the PoP to each node that may fetch, the best first.
    `plan` is None without a planner.
    """

    why: str
    guide: Guide
    infrastructure: Infrastructure
    fills: Mapping[str, tuple[Path, ...]]
    names: tuple[str, ...]
    labels: Ints
    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """What became of each request, by number: `outcome` (see STEPS), path and rate if served, the
    vCPUs it takes, its label then, whether the serving cache had it, the path it is fetched along
    (-1: none) and at what rate, and how long the player waited for its first picture.

    `departed` are the numbers of those who left since, in order.
    """

    outcome: Ints
    label: Ints
    path: Ints
    mbps: Floats
    vcpus: Floats
    hit: Ints
    fill: Ints
    fill_mbps: Floats
    delay_s: Floats
    departed: Ints

    def __len__(self) -> int:
        return len(self.outcome)


def blank(requests: int) -> Outcomes:
    """Columns to be filled in; none departed."""

    def ints() -> Ints:
        return np.full(requests, -1, dtype=np.int64)

    def floats() -> Floats:
        return np.zeros(requests)

    return Outcomes(
        outcome=ints(),
        label=ints(),
        path=ints(),
        mbps=floats(),
        vcpus=floats(),
        hit=ints(),
        fill=ints(),
        fill_mbps=floats(),
        delay_s=floats(),
        departed=np.zeros(0, dtype=np.int64),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What a controller sees: all requests so far with their outcomes, since the run began."""

    now_s: float
    catalogue: Catalogue
    requests: Requests
    outcomes: Outcomes


class Admission(Protocol):
    """Algorithm 2, or another answer to the same question."""

    def __call__(
        self, ask: Ask, guide: Guide, ledger: Ledger, room: Room
    ) -> Admitted | Rejected: ...


class Engine(Protocol):
    """Runs arrivals and departures in order of time; at one time departures go first."""

    def install(self, steering: SteeringPlan) -> None:
        """Admit by this plan from now on. Those who are served stay as they are."""
        ...

    def advance(self, requests: Requests, until_s: float) -> Outcomes:
        """Run all events before `until_s`; the requests follow those given before."""
        ...


class Controller(Protocol):
    """Decides on steering plans."""

    def begin(self) -> SteeringPlan:
        """The plan at time 0."""
        ...

    def decision_times(self, until_s: float) -> Iterator[float]:
        """When it wants to look, rising, up to a time."""
        ...

    def decide(self, view: View) -> SteeringPlan | None:
        """A new plan, or None to stay."""
        ...
