"""Whether the process is up, whether it can work, and its meters."""

import asyncio

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from umbel.kit.errors import UmbelError, Unavailable
from umbel.portal import auth

router = APIRouter(tags=["health"])

_PATIENCE_S = 2.0
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class NotReady(Unavailable):
    """The database does not answer in time, or its changes are not followed."""

    code = "umbel.not_ready"


class Health(BaseModel):
    """All is well, else there is a Problem instead."""

    status: str


@router.get("/healthz")
async def is_up() -> Health:
    """The process is up."""
    return Health(status="ok")


@router.get("/readyz")
async def is_ready(request: Request, system: auth.SystemDep) -> Health:
    """The database answers and the task that follows it runs."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await system.journal.head()
    except (TimeoutError, UmbelError) as error:
        raise NotReady(database=False, feed=request.app.state.feed.following) from error
    if not request.app.state.feed.following:
        raise NotReady(database=True, feed=False)
    return Health(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Meters", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def read_metrics(request: Request, system: auth.SystemDep) -> Response:
    """Meters for Prometheus."""
    return Response(await request.app.state.metrics.text(system), media_type=_PROMETHEUS)
