"""Plans, for operators: ask, watch, look at, cancel, and ask why."""

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, Field, model_validator

from umbel.kit.clock import to_rfc3339
from umbel.planner.problem import Variant
from umbel.plans.model import PlanJob, PlanRequest, PlanState
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given

router = Resource(prefix="/api/v1/plans", tags=["plans"])

MOST_POINTS = 100
MOST_TIME_S = 600.0
LIVE = "live"
_PNG = "image/png"
Row = dict[str, float | str | bool | None]


class PlanIn(Given):
    """A request. Without `network` it is of this platform's own; `demand` is `live` or bundles.
    `gamma` or `qoe` for a plan, `points` for a Pareto front."""

    network: dict[str, Any] | None = None
    demand: Annotated[str, Field(pattern=f"^{LIVE}$")] | list[Row] = LIVE
    gamma: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    qoe: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d{1,9})?%?$")] | None = None
    variant: Variant = Variant.VIRCA
    points: Annotated[int, Field(ge=0, le=MOST_POINTS)] = 0
    time_s: Annotated[float, Field(gt=0.01, le=MOST_TIME_S, allow_inf_nan=False)] = 30.0
    gap_share: Annotated[float, Field(gt=1e-6, le=1, allow_inf_nan=False)] = 0.005

    @model_validator(mode="after")
    def _one_goal(self) -> "PlanIn":
        if self.points and not (self.gamma is None and self.qoe is None):
            raise ValueError("a Pareto front has neither gamma nor qoe")
        if self.gamma is not None and self.qoe is not None:
            raise ValueError("gamma or qoe, not both")
        return self


class PlanOut(BaseModel):
    """A request and how far it is. `progress` has `stage`, and where known `done` of `of` points
    and the `gap` in W; `result` is there once `state` is `done`, `reason` once it is `failed`."""

    id: str
    state: PlanState
    requested_by: str
    requested_at: str
    summary: dict[str, Any]
    progress: dict[str, Any]
    reason: str
    result: dict[str, Any] | None = None


class WhyOut(BaseModel):
    """Reasons: a node with what it is on for, or an end's host and the paths of its traffic."""

    node: dict[str, Any] | None
    host: str | None
    flows: list[dict[str, Any]]


@router.get("")
async def list_plans(system: auth.SystemDep, _operator: auth.Operator) -> list[PlanOut]:
    """List recent requests, the newest first, without results."""
    return [_out(job) for job in await system.plans.plans()]


@router.post("", status_code=202)
async def create_plan(system: auth.SystemDep, operator: auth.Operator, given: PlanIn) -> PlanOut:
    """Request a plan or a Pareto front. Separate processes solve a few requests at a time."""
    is_live = isinstance(given.demand, str)
    plain = not given.points and given.gamma is None and given.qoe is None
    asked = PlanRequest(
        document=given.network,
        rows=() if isinstance(given.demand, str) else tuple(given.demand),
        gamma=1.0 if plain else given.gamma,
        qoe=given.qoe,
        variant=given.variant.value,
        points=given.points,
        time_s=given.time_s,
        gap_share=given.gap_share,
    )
    job = await system.plans.submit(
        asked, by=operator.username, of_platform=given.network is None, from_live=is_live
    )
    return _out(job)


@router.get("/{plan_id}")
async def get_plan(system: auth.SystemDep, _operator: auth.Operator, plan_id: str) -> PlanOut:
    """Get a request, with its result when it is ready. `/api/v1/state` reports every step."""
    return _out(await system.plans.plan(plan_id))


@router.get("/{plan_id}/why")
async def explain_plan(
    system: auth.SystemDep,
    _operator: auth.Operator,
    plan_id: str,
    node: Annotated[str, Query(max_length=64, description="why is it on, or off")] = "",
    end: Annotated[str, Query(max_length=64, description="why does its traffic come so")] = "",
) -> WhyOut:
    """Explain why a node is on, or why these paths lead to an end."""
    return WhyOut.model_validate(await system.plans.why(plan_id, node=node, end=end))


@router.get(
    "/{plan_id}/picture",
    response_class=Response,
    responses={200: {"description": "PNG", "content": {_PNG: {}}}},
)
async def draw_plan(system: auth.SystemDep, _operator: auth.Operator, plan_id: str) -> Response:
    """Get a picture: the plan on the network, or a plot of the front."""
    return Response(await system.plans.picture(plan_id), media_type=_PNG)


@router.delete("/{plan_id}", status_code=204)
async def cancel_plan(system: auth.SystemDep, _operator: auth.Operator, plan_id: str) -> None:
    """Cancel a request, or delete one that has finished."""
    await system.plans.cancel(plan_id)


def _out(job: PlanJob) -> PlanOut:
    return PlanOut(
        id=job.id,
        state=job.state,
        requested_by=job.asked_by,
        requested_at=to_rfc3339(job.asked_s),
        summary=dict(job.summary),
        progress=dict(job.progress),
        reason=job.reason,
        result=dict(job.result) if job.result is not None else None,
    )
