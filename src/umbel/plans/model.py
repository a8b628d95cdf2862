"""What is asked of the planner and what became of it. They come and are kept as JSON, so requests
and results are mappings of plain values; their keys are listed in docs/reference/rest.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from umbel.kit.states import Table

Json = Mapping[str, object]


class PlanState(StrEnum):
    """Where a request is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PlanEvent(StrEnum):
    """What happens to it."""

    START = "start"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"


PLAN_STATES: Table[PlanState, PlanEvent] = Table(
    {
        (PlanState.WAITING, PlanEvent.START): PlanState.RUNNING,
        (PlanState.WAITING, PlanEvent.CANCEL): PlanState.CANCELLED,
        (PlanState.WAITING, PlanEvent.FAIL): PlanState.FAILED,
        (PlanState.RUNNING, PlanEvent.FINISH): PlanState.DONE,
        (PlanState.RUNNING, PlanEvent.FAIL): PlanState.FAILED,
        (PlanState.RUNNING, PlanEvent.CANCEL): PlanState.CANCELLED,
    }
)
ACTIVE = frozenset({PlanState.WAITING, PlanState.RUNNING})


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """A request for a plan, or with `points` for a Pareto front of so many.

    `document` is a network file's content, `rows` are bundles as in a demand file. One of `gamma`
    and `qoe` is the goal of a plan: `qoe` is a floor, a share of the whole demand at its best with
    `%` behind it. `time_s` is for each plan solved, `gap_share` of the power with everything on.
    """

    document: object
    rows: tuple[Mapping[str, object], ...]
    gamma: float | None = None
    qoe: str | None = None
    variant: str = "virca"
    points: int = 0
    time_s: float = 30.0
    gap_share: float = 0.005


@dataclass(frozen=True, kw_only=True)
class PlanJob:
    """An accepted request: who made it, how far it is, and what came of it.

    `progress` has `stage`, and where known `done` of `of`, and `gap_w`. `result` is there once it
    is done, `reason` once it failed.
    """

    id: str
    asked_by: str
    asked_s: float
    seen_s: float
    state: PlanState
    summary: Json
    progress: Json = field(default_factory=dict)
    result: Json | None = None
    reason: str = ""
