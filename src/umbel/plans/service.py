"""Plans on request: accepts them, solves a few at a time, reports, cancels.

In: requests. Out: jobs as rows, reported in the journal. One task owns each job of this instance;
the solving itself is `child`'s. Neighbours: the portal above, `store` and `child` next to it.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import Conflict, NotFound, UmbelError, Unavailable
from umbel.kit.ids import new_id
from umbel.kit.journal import Journal
from umbel.kit.states import IllegalTransition
from umbel.plans import child, requests
from umbel.plans.model import Json, PlanEvent, PlanJob, PlanRequest, PlanState
from umbel.plans.store import NoSuchPlan, PlanStore

log = structlog.get_logger(__name__)

MOST_ACTIVE = 16
KEEP = 100
_BEAT_S = 2.0
_TOLD_EVERY_S = 0.5
_UNSEEN_S = 30.0
_STOPPED = "the control plane was stopped"


class PlanNotReady(Conflict):
    """The plan has no result: it is being solved, or it failed."""

    code = "umbel.plan_not_ready"


class NotInPlan(NotFound):
    """The plan has no node or end with that name."""

    code = "umbel.not_in_plan"


class Solver(Protocol):
    """`child.run`, or what stands for it."""

    def __call__(
        self, request: PlanRequest, on_progress: child.OnProgress
    ) -> Awaitable[dict[str, object]]:
        """The result. Raises what `child.run` raises."""


@dataclass(kw_only=True)
class Plans:
    """Everything the portal may ask about plans."""

    store: PlanStore
    journal: Journal
    clock: Clock
    platform: Callable[[], object]
    watched: Callable[[], Awaitable[tuple[Mapping[str, object], ...]]]
    at_once: int = 1
    solver: Solver = child.run
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.at_once)
        self._drawing = asyncio.Semaphore(1)

    async def submit(
        self,
        request: PlanRequest,
        *,
        by: str,
        of_platform: bool = False,
        from_live: bool = False,
    ) -> PlanJob:
        """Take a request: of this platform's own network, for what is watched now, if so wished.

        Raises BadPlanRequest with every problem, TooManyPlans.
        """
        if of_platform:
            request = replace(request, document=self.platform())
        if from_live:
            request = replace(request, rows=await self.watched())
        requests.problem_of(request)
        now_s = self.clock.now_s()
        await self.store.fail_abandoned(unseen_since_s=now_s - _UNSEEN_S, at_s=now_s)
        job = PlanJob(
            id=new_id("pl"),
            asked_by=by,
            asked_s=now_s,
            seen_s=now_s,
            state=PlanState.WAITING,
            summary=requests.summary(request) | {"from_live": from_live},
        )
        await self.store.add(job, most_active=MOST_ACTIVE, keep=KEEP)
        task = asyncio.create_task(self._supervise(job.id, request), name=f"plan {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))
        return job

    async def plan(self, plan_id: str) -> PlanJob:
        """The job with its result. Raises NoSuchPlan."""
        await self._fail_abandoned()
        return await self.store.plan(plan_id)

    async def plans(self) -> list[PlanJob]:
        """Every job that is remembered, the newest first, without results."""
        await self._fail_abandoned()
        return await self.store.plans()

    async def cancel(self, plan_id: str) -> None:
        """Stop solving it; forget one that is over. Raises NoSuchPlan."""
        try:
            await self.store.transition(plan_id, PlanEvent.CANCEL, at_s=self.clock.now_s())
        except IllegalTransition:
            await self.store.forget(plan_id)
        task = self._tasks.get(plan_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def why(self, plan_id: str, *, node: str = "", end: str = "") -> dict[str, object]:
        """The reasons for a node's state, or for the paths to an end.

        Raises NoSuchPlan, PlanNotReady, NotInPlan.
        """
        job = await self.plan(plan_id)
        made = job.result.get("plan") if job.result is not None else None
        if not isinstance(made, dict):
            raise PlanNotReady(state=job.state.value)
        nodes = [one for one in made["nodes"] if one["name"] == (node or end)]
        if not nodes:
            raise NotInPlan(name=node or end)
        flows = [one for one in made["flows"] if end and one["end"] == end]
        return {
            "node": nodes[0] if node else None,
            "host": made["hosts"].get(end) if end else None,
            "flows": flows,
        }

    async def picture(self, plan_id: str) -> bytes:
        """The plan or the front as PNG. Raises NoSuchPlan, PlanNotReady, PlannerCrashed."""
        job = await self.plan(plan_id)
        made = job.result or {}
        if "front" not in made and made.get("plan") is None:
            raise PlanNotReady(state=job.state.value)
        with tempfile.TemporaryDirectory(prefix="umbel-plan-") as folder:
            async with self._drawing:
                (path,) = await child.draw(made, Path(folder))
            return await asyncio.to_thread(path.read_bytes)

    async def close(self) -> None:
        """Stop every job of this instance."""
        tasks = dict(self._tasks)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        for plan_id in tasks:
            await self._transition(plan_id, PlanEvent.FAIL, reason=_STOPPED)

    async def _fail_abandoned(self) -> None:
        now_s = self.clock.now_s()
        await self.store.fail_abandoned(unseen_since_s=now_s - _UNSEEN_S, at_s=now_s)

    # -- one job ----------------------------------------------------------------------------

    async def _supervise(self, plan_id: str, request: PlanRequest) -> None:
        """From waiting to the end."""
        solving = asyncio.create_task(self._solve(plan_id, request))
        beating = asyncio.create_task(self._heartbeat(plan_id, solving))
        try:
            await solving
        finally:
            beating.cancel()
            solving.cancel()
            await asyncio.gather(beating, solving, return_exceptions=True)

    async def _solve(self, plan_id: str, request: PlanRequest) -> None:
        async with self._room:
            if not await self._transition(plan_id, PlanEvent.START):
                return
            try:
                result = await self.solver(request, self._progress_writer(plan_id))
            except UmbelError as error:
                await self._transition(plan_id, PlanEvent.FAIL, reason=_reason(error))
            else:
                await self._transition(plan_id, PlanEvent.FINISH, result=result)

    def _progress_writer(self, plan_id: str) -> child.OnProgress:
        """Tells progress, but not every bit of it."""
        told_s = -_TOLD_EVERY_S

        async def on_progress(progress: Mapping[str, object]) -> None:
            nonlocal told_s
            now_s = self.clock.monotonic_s()
            if now_s - told_s < _TOLD_EVERY_S:
                return
            told_s = now_s
            try:
                await self.store.touch(plan_id, at_s=self.clock.now_s(), progress=progress)
            except Unavailable as error:
                log.warning("progress not stored", plan=plan_id, reason=error.message)

        return on_progress

    async def _heartbeat(self, plan_id: str, solving: asyncio.Task[None]) -> None:
        """Show that it is cared for; stop when it was cancelled elsewhere."""
        while True:
            await asyncio.sleep(_BEAT_S)
            try:
                if not await self.store.touch(plan_id, at_s=self.clock.now_s()):
                    solving.cancel()
            except Unavailable as error:
                log.warning("plan not marked", plan=plan_id, reason=error.message)

    async def _transition(
        self, plan_id: str, event: PlanEvent, *, result: Json | None = None, reason: str = ""
    ) -> bool:
        """Whether it happened; a database that is away for good leaves it to `fail_abandoned`."""
        try:
            now_s = self.clock.now_s()
            await self.store.transition(plan_id, event, at_s=now_s, result=result, reason=reason)
        except (IllegalTransition, NoSuchPlan):
            return False
        except Unavailable as error:
            log.warning("plan not stored", plan=plan_id, change=event.value, reason=error.message)
            return False
        return True


def _reason(error: UmbelError) -> str:
    problems = error.details.get("problems")
    more = [str(one) for one in problems] if isinstance(problems, list) else []
    return ": ".join([error.message, "; ".join(more)] if more else [error.message])
