"""Requests for plans as rows: what was requested, how far it is, what came of it.

The row's state is the truth between instances: the solver looks at it now and then, so a
request may be cancelled anywhere, and the first instance that sees
one whose solver is gone fails it.
"""

from typing import Any

import sqlalchemy as sa

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Exhausted, NotFound
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.plans.model import ACTIVE, PLAN_STATES, Json, PlanEvent, PlanJob, PlanState

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("asked_by", sa.String(64), nullable=False),
    sa.Column("asked_s", sa.Float, nullable=False),
    sa.Column("seen_s", sa.Float, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("summary", sa.JSON, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON, nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_plans_asked_s", "asked_s"),
)

_GONE = "who solved it ended before it was done"


class NoSuchPlan(NotFound):
    """There is no plan with that id: it was deleted, or it never existed."""

    code = "umbel.no_such_plan"


class TooManyPlans(Exhausted):
    """Too many plans wait for the solver; try again when some are done."""

    code = "umbel.too_many_plans"
    retry_after_s = 30


def _job(*, state: str, **row: Any) -> PlanJob:
    return PlanJob(state=PlanState(state), **row)


_ID = given("id_")
_ACTIVE = plans.c.state.in_([sa.literal(state.value) for state in ACTIVE])
_NEWEST = sa.select(plans.c.id).order_by(plans.c.asked_s.desc()).limit(given("keep", sa.Integer))
_SHORT = [column for column in plans.c if column.name != "result"]
_LEFT = _ACTIVE & (plans.c.seen_s < given("unseen_since_s"))

_COUNT_ACTIVE = Scalar(sa.select(sa.func.count()).where(_ACTIVE), int)
_ADD = Command(sa.insert(plans))
_TRIM = Command(sa.delete(plans).where(~_ACTIVE & plans.c.id.not_in(_NEWEST)))
_PLAN = Query(sa.select(plans).where(plans.c.id == _ID), _job)
_PLANS = Query(sa.select(*_SHORT).order_by(plans.c.asked_s.desc(), plans.c.id), _job)
_STATE = Scalar(sa.select(plans.c.state).where(plans.c.id == _ID).with_for_update(), str)
_SET = Command(sa.update(plans).where(plans.c.id == _ID), ["state", "seen_s", "reason"])
_SET_RESULT = Command(sa.update(plans).where(plans.c.id == _ID), ["result"])
_TOUCH = Command(sa.update(plans).where((plans.c.id == _ID) & _ACTIVE), ["seen_s"])
_SET_PROGRESS = Command(sa.update(plans).where(plans.c.id == _ID), ["progress"])
_ABANDONED = Scalar(sa.select(plans.c.id).where(_LEFT), str)
_FAIL = Command(sa.update(plans).where((plans.c.id == _ID) & _ACTIVE), ["state", "reason"])
_FORGET = Command(sa.delete(plans).where((plans.c.id == _ID) & ~_ACTIVE))


class PlanStore:
    """The queries of plans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: PlanJob, *, most_active: int, keep: int) -> None:
        """Store a request, and forget all but the newest `keep`. Raises TooManyPlans when so many
        are being solved or wait for it."""

        def add(connection: Connection) -> None:
            if (connection.scalar(_COUNT_ACTIVE) or 0) >= most_active:
                raise TooManyPlans
            connection.run(_ADD, **_row(job))
            connection.run(_TRIM, keep=keep)
            _journal_plan(connection, job.id, job.state, {}, job.asked_s)

        await self._database.write(add)

    async def plan(self, plan_id: str) -> PlanJob:
        """The request with its result. Raises NoSuchPlan."""
        found = await self._database.read(lambda c: c.first(_PLAN, id_=plan_id))
        if found is None:
            raise NoSuchPlan(plan=plan_id)
        return found

    async def plans(self) -> list[PlanJob]:
        """All requests without their results, the newest first."""
        return await self._database.read(lambda c: c.all(_PLANS))

    async def transition(
        self,
        plan_id: str,
        event: PlanEvent,
        *,
        at_s: float,
        result: Json | None = None,
        reason: str = "",
    ) -> PlanState:
        """Move the plan to its next state. Raises NoSuchPlan, IllegalTransition."""

        def change(connection: Connection) -> PlanState:
            state = connection.scalar(_STATE, id_=plan_id)
            if state is None:
                raise NoSuchPlan(plan=plan_id)
            after = PLAN_STATES.next(PlanState(state), event)
            connection.run(_SET, id_=plan_id, state=after.value, seen_s=at_s, reason=reason)
            if result is not None:
                connection.run(_SET_RESULT, id_=plan_id, result=dict(result))
            _journal_plan(connection, plan_id, after, {"reason": reason} if reason else {}, at_s)
            return after

        return await self._database.write(change)

    async def touch(self, plan_id: str, *, at_s: float, progress: Json | None = None) -> bool:
        """Mark it as still cared for, and how far it is. False where it is over, or forgotten."""

        def touch(connection: Connection) -> bool:
            if not connection.run(_TOUCH, id_=plan_id, seen_s=at_s):
                return False
            if progress is not None:
                connection.run(_SET_PROGRESS, id_=plan_id, progress=dict(progress))
                _journal_plan(connection, plan_id, PlanState.RUNNING, progress, at_s)
            return True

        return await self._database.write(touch)

    async def fail_abandoned(self, *, unseen_since_s: float, at_s: float) -> None:
        """Fail those without an owner that renews them."""
        since_s = unseen_since_s
        if not await self._database.read(lambda c: c.scalars(_ABANDONED, unseen_since_s=since_s)):
            return

        def fail(connection: Connection) -> None:
            for plan_id in connection.scalars(_ABANDONED, unseen_since_s=since_s):
                failed = PlanState.FAILED
                if connection.run(_FAIL, id_=plan_id, state=failed.value, reason=_GONE):
                    _journal_plan(connection, plan_id, failed, {"reason": _GONE}, at_s)

        await self._database.write(fail)

    async def forget(self, plan_id: str) -> None:
        """Delete one that is over; one that is not, or not there, stays as it is."""
        await self._database.write(lambda c: c.run(_FORGET, id_=plan_id))


def _row(job: PlanJob) -> dict[str, Any]:
    names = ("id", "asked_by", "asked_s", "seen_s", "reason")
    return {
        **{name: getattr(job, name) for name in names},
        "state": job.state.value,
        "summary": dict(job.summary),
        "progress": dict(job.progress),
        "result": None if job.result is None else dict(job.result),
    }


def _journal_plan(
    connection: Connection, plan_id: str, state: PlanState, more: Json, at_s: float
) -> None:
    body = {**more, "state": state.value}
    journal.record(connection, at_s=at_s, kind="plan", subject=plan_id, body=body)
