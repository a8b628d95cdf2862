"""Moves of functions between nodes, for operators: try, start, watch, cancel."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from umbel.kit.clock import to_rfc3339
from umbel.mobility.choice import MoveQuestion
from umbel.mobility.model import Migration, MigrationKind, MigrationState, Terms
from umbel.mobility.service import Request
from umbel.planner.moves.check import MOST_FUNCTIONS, MOST_HOSTS
from umbel.planner.moves.model import MoveGoal
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/migrations", tags=["migrations"])

_MOST_S = 7 * 24 * 3600.0
_DEFAULT = Terms()
Seconds = Annotated[float, Field(gt=0, le=_MOST_S, allow_inf_nan=False)]


class MigrationIn(Given):
    """A function and the node it is to go to. Without a `kind` it is copied where its VIM can do
    that, else replaced. The function may not answer for `max_gap_s`, and the copy may take
    `max_duration_s`; viewers may stay as long at one that is replaced. `dirty_mbps` is how fast the
    function writes its memory, where you know it. A migration that is not admitted at once waits
    for `wait_s`, then it is aborted with the reason."""

    function: Annotated[str, Field(min_length=1, max_length=128)]
    target: NodeName
    kind: MigrationKind | None = None
    max_gap_s: Seconds = _DEFAULT.max_gap_s
    max_duration_s: Seconds = _DEFAULT.max_duration_s
    dirty_mbps: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = _DEFAULT.dirty_mbps
    wait_s: Annotated[float, Field(ge=0, le=_MOST_S, allow_inf_nan=False)] = 0.0


class PredictionOut(BaseModel):
    """What the admission reckons with: seconds in all, of which the function does not answer for
    `gap_s`; MiB on the way, of which `disk_mb` of its disk, and the rounds they go in; the rate
    that was free, and how fast the function writes its memory. `moves` earlier copies of the kind
    corrected the model."""

    free_mbps: float
    dirty_mbps: float
    disk_mb: float
    duration_s: float
    gap_s: float
    copied_mb: float
    rounds: int
    fits: bool
    moves: int


class ProgressOut(BaseModel):
    """How far the copy is, in MiB, as far as the VIM says; `mbps` is its rate, `dirty_mbps` how
    fast the function writes its memory. Of a replacement, how many `viewers` have not left the old
    function yet."""

    copied_mb: float | None = None
    total_mb: float | None = None
    mbps: float | None = None
    dirty_mbps: float | None = None
    viewers: int | None = None


class AchievedOut(BaseModel):
    """What it took: seconds from the copy's begin until the copy at the target served, of which the
    function did not run for `gap_s`, and MiB that were copied, of which `disk_mb` of its disk, as
    far as the VIM says."""

    duration_s: float
    gap_s: float | None = None
    copied_mb: float | None = None
    disk_mb: float | None = None


class MigrationOut(BaseModel):
    """A migration. `reason` says why it waits, or why it was aborted; `cancelled_by` who wants it
    aborted."""

    id: str
    function: str
    owner: str
    source: str
    target: str
    kind: MigrationKind
    state: MigrationState
    reason: str
    requested_by: str
    requested_at: str
    changed_at: str
    cancelled_by: str
    predicted: PredictionOut | None
    progress: ProgressOut
    achieved: AchievedOut | None


class MoveQuestionIn(Given):
    """Nodes to empty (`drain`), or what the moves are for: by default balance. At most `most_moves`
    functions and `most_mb` MB go."""

    drain: Annotated[list[NodeName], Field(max_length=MOST_HOSTS)] = Field(default=[])
    goal: MoveGoal | None = None
    most_moves: Annotated[int | None, Field(ge=0, le=MOST_FUNCTIONS)] = None
    most_mb: Annotated[float | None, Field(ge=0, le=1e12, allow_inf_nan=False)] = None

    def question(self, user: str) -> MoveQuestion:
        """As a value, of who asks."""
        return MoveQuestion(
            user=user,
            drained=frozenset(self.drain),
            goal=self.goal or (MoveGoal.DRAIN if self.drain else MoveGoal.BALANCE),
            most_moves=self.most_moves,
            most_mb=self.most_mb,
        )


class MoveOut(BaseModel):
    """A function and where it is to go; `mb` travel, in `seconds` at the rate that is free."""

    function: str
    source: str
    target: str
    mb: float
    seconds: float


class StayingOut(BaseModel):
    """A function of a node to empty that cannot be moved, and why."""

    function: str
    reason: str


class MoveChoiceOut(BaseModel):
    """Moves in an order in which each target has room when its turn comes. `fullest` is the largest
    share of cores or memory of a node that is used, before and after; so are `watts`, of nodes with
    known watts. `gap` is how far from the best the choice may be, as a share."""

    moves: list[MoveOut]
    staying: list[StayingOut]
    fullest_before: float
    fullest_after: float
    watts_before: float
    watts_after: float
    gap: float


class MigrationCheckOut(BaseModel):
    """Whether the migration would be admitted now; if not, everything that is against it."""

    admitted: bool
    reasons: list[str]
    source: str
    kind: MigrationKind
    predicted: PredictionOut | None


@router.get("")
async def list_migrations(system: auth.SystemDep, _operator: auth.Operator) -> list[MigrationOut]:
    """List migrations, the newest first. The oldest that are over are forgotten."""
    return [_out(one) for one in await system.mobility.list()]


@router.post("", status_code=202)
async def start_migration(
    system: auth.SystemDep, operator: auth.Operator, given: MigrationIn
) -> MigrationOut:
    """Move a function to another node while it serves. `/api/v1/state` reports every step."""
    return _out(await system.mobility.start(_request(given), by=operator.username))


@router.post("/check")
async def check_migration(
    system: auth.SystemDep, operator: auth.Operator, given: MigrationIn
) -> MigrationCheckOut:
    """Find out whether a migration would be admitted, and what it would cost. Nothing begins."""
    planned, verdict = await system.mobility.check(_request(given), by=operator.username)
    found = verdict.prediction
    return MigrationCheckOut(
        admitted=verdict.is_admitted,
        reasons=list(verdict.reasons),
        source=planned.source,
        kind=planned.kind,
        predicted=None
        if found is None
        else PredictionOut.model_validate(found, from_attributes=True),
    )


@router.post("/choice")
async def choose_moves(
    system: auth.SystemDep, operator: auth.Operator, given: MoveQuestionIn
) -> MoveChoiceOut:
    """Choose which running functions to move where, with few bytes. Nothing begins."""
    made = await system.choosing.choose(given.question(operator.username))
    before, after = made.plan.before, made.plan.after
    return MoveChoiceOut(
        moves=[MoveOut.model_validate(one, from_attributes=True) for one in made.plan.moves],
        staying=[StayingOut(function=name, reason=why) for name, why in made.staying.items()],
        fullest_before=before.fullest,
        fullest_after=after.fullest,
        watts_before=before.watts,
        watts_after=after.watts,
        gap=made.plan.gap,
    )


@router.get("/{migration_id}")
async def get_migration(
    system: auth.SystemDep, _operator: auth.Operator, migration_id: str
) -> MigrationOut:
    """Get one migration."""
    return _out(await system.mobility.get(migration_id))


@router.post("/{migration_id}/cancel", status_code=202)
async def cancel_migration(
    system: auth.SystemDep, operator: auth.Operator, migration_id: str
) -> MigrationOut:
    """Abort a migration: the function stays where it is. It is too late once the copy at the
    target serves."""
    return _out(await system.mobility.cancel(migration_id, by=operator.username))


def _request(given: MigrationIn) -> Request:
    terms = Terms(
        max_gap_s=given.max_gap_s,
        max_duration_s=given.max_duration_s,
        dirty_mbps=given.dirty_mbps,
    )
    return Request(
        function=given.function,
        target=given.target,
        kind=given.kind,
        terms=terms,
        wait_s=given.wait_s,
    )


def _out(of: Migration) -> MigrationOut:
    known: dict[str, Any] = {"predicted": of.predicted or None, "achieved": of.achieved or None}
    return MigrationOut(
        id=of.id,
        function=of.function,
        owner=of.owner,
        source=of.source,
        target=of.target,
        kind=of.kind,
        state=of.state,
        reason=of.reason,
        requested_by=of.requested_by,
        requested_at=to_rfc3339(of.requested_s),
        changed_at=to_rfc3339(of.changed_s),
        cancelled_by=of.cancelled_by,
        progress=ProgressOut.model_validate(of.progress),
        **known,
    )
