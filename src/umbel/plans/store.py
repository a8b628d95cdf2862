"""Requests for plans as rows: what was asked, how far it is, what came of it.

The row's state is the truth between instances: the solver looks at it now and then, so a
request may be cancelled anywhere, and the first instance that sees
one whose solver is gone fails it.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Exhausted, NotFound
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

_SHORT = [column for column in plans.c if column.name != "result"]
_GONE = "who solved it ended before it was done"


class NoSuchPlan(NotFound):
    """No plan has that id: it was forgotten, or never asked for."""

    code = "umbel.no_such_plan"


class TooManyPlans(Exhausted):
    """Other plans are waiting to be solved; try again when some of them are done."""

    code = "umbel.too_many_plans"
    retry_after_s = 30


class PlanStore:
    """The queries of plans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: PlanJob, *, most_active: int, keep: int) -> None:
        """Store a request, and forget all but the newest `keep`. Raises TooManyPlans when so many
        are being solved or wait for it."""
        active = sa.select(sa.func.count()).where(plans.c.state.in_(_texts(ACTIVE)))
        newest = sa.select(plans.c.id).order_by(plans.c.asked_s.desc()).limit(keep)
        async with self._database.write() as connection:
            if (await connection.scalar(active) or 0) >= most_active:
                raise TooManyPlans
            await connection.execute(sa.insert(plans).values(_row(job)))
            kept = [row[0] for row in await connection.execute(newest)]
            over = plans.c.state.not_in(_texts(ACTIVE)) & plans.c.id.not_in(kept)
            await connection.execute(sa.delete(plans).where(over))
            await _told(connection, job.id, job.state, {}, job.asked_s)

    async def plan(self, plan_id: str) -> PlanJob:
        """The request with its result. Raises NoSuchPlan."""
        async with self._database.read() as connection:
            query = sa.select(plans).where(plans.c.id == plan_id)
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NoSuchPlan(plan=plan_id)
        return _job(row)

    async def plans(self) -> list[PlanJob]:
        """All requests without their results, the newest first."""
        async with self._database.read() as connection:
            query = sa.select(*_SHORT).order_by(plans.c.asked_s.desc(), plans.c.id)
            rows = (await connection.execute(query)).mappings().all()
        return [_job(row) for row in rows]

    async def fire(
        self,
        plan_id: str,
        event: PlanEvent,
        *,
        at_s: float,
        result: Json | None = None,
        reason: str = "",
    ) -> PlanState:
        """Let it happen. Raises NoSuchPlan, IllegalTransition."""
        async with self._database.write() as connection:
            query = sa.select(plans.c.state).where(plans.c.id == plan_id).with_for_update()
            state = await connection.scalar(query)
            if state is None:
                raise NoSuchPlan(plan=plan_id)
            after = PLAN_STATES.next(PlanState(state), event)
            values: dict[str, Any] = {"state": after.value, "seen_s": at_s, "reason": reason}
            if result is not None:
                values |= {"result": dict(result)}
            await connection.execute(sa.update(plans).where(plans.c.id == plan_id).values(values))
            await _told(connection, plan_id, after, {"reason": reason} if reason else {}, at_s)
        return after

    async def touch(self, plan_id: str, *, at_s: float, progress: Json | None = None) -> bool:
        """Mark it as still cared for, and how far it is. False where it is over, or forgotten."""
        values: dict[str, object] = {"seen_s": at_s}
        if progress is not None:
            values["progress"] = dict(progress)
        active = (plans.c.id == plan_id) & plans.c.state.in_(_texts(ACTIVE))
        async with self._database.write() as connection:
            update = sa.update(plans).where(active).values(values)
            if not (await connection.execute(update)).rowcount:
                return False
            if progress is not None:
                await _told(connection, plan_id, PlanState.RUNNING, progress, at_s)
        return True

    async def bury(self, *, unseen_since_s: float, at_s: float) -> None:
        """Fail those that nobody cares for any more."""
        left = plans.c.state.in_(_texts(ACTIVE)) & (plans.c.seen_s < unseen_since_s)
        async with self._database.read() as connection:
            if not (await connection.execute(sa.select(plans.c.id).where(left))).all():
                return
        values = {"state": PlanState.FAILED.value, "reason": _GONE}
        async with self._database.write() as connection:
            found = [row[0] for row in await connection.execute(sa.select(plans.c.id).where(left))]
            await connection.execute(sa.update(plans).where(plans.c.id.in_(found)).values(values))
            for plan_id in found:
                await _told(connection, plan_id, PlanState.FAILED, {"reason": _GONE}, at_s)

    async def forget(self, plan_id: str) -> None:
        """Delete one that is over; one that is not, or not there, stays as it is."""
        over = (plans.c.id == plan_id) & plans.c.state.not_in(_texts(ACTIVE))
        async with self._database.write() as connection:
            await connection.execute(sa.delete(plans).where(over))


def _texts(states: Collection[PlanState]) -> list[str]:
    return [state.value for state in states]


def _row(job: PlanJob) -> dict[str, Any]:
    names = ("id", "asked_by", "asked_s", "seen_s", "reason")
    return {
        **{name: getattr(job, name) for name in names},
        "state": job.state.value,
        "summary": dict(job.summary),
        "progress": dict(job.progress),
        "result": None if job.result is None else dict(job.result),
    }


def _job(row: Mapping[Any, Any]) -> PlanJob:
    job = PlanJob(**{str(name): value for name, value in row.items()})
    return replace(job, state=PlanState(row["state"]))


async def _told(
    connection: AsyncConnection, plan_id: str, state: PlanState, more: Json, at_s: float
) -> None:
    body = {**more, "state": state.value}
    await journal.record(connection, at_s=at_s, kind="plan", subject=plan_id, body=body)
