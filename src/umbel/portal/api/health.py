"""Whether the process is up, whether it can work, and its meters."""

import asyncio
import hmac

from fastapi import Request, Response
from pydantic import BaseModel

from umbel.kit.config import Settings
from umbel.kit.errors import UmbelError, Unauthenticated, Unavailable
from umbel.kit.tokens import TokenMissing
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.errors import NoSuchPath

router = Resource(tags=["health"])

_PATIENCE_S = 2.0
_LATE_S = 60.0
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class NotReady(Unavailable):
    """The database does not answer in time, its changes are not followed, or a loop is stuck."""

    code = "umbel.not_ready"


class Health(BaseModel):
    """All is well, else there is a Problem instead."""

    status: str


class LoopPace(BaseModel):
    """How a loop behind the front end does: seconds since its last run, and how late it is."""

    ran_s_ago: float | None
    late_s: float


class Readiness(Health):
    """Also how the loops behind the front end do, by name."""

    loops: dict[str, LoopPace]


@router.get("/healthz")
async def is_up() -> Health:
    """The process is up."""
    return Health(status="ok")


@router.get("/readyz")
async def is_ready(request: Request, system: auth.SystemDep) -> Readiness:
    """The database answers, the task that follows it runs, and no loop is late by a minute."""
    paces = system.loops_pace()
    loops = {name: LoopPace(ran_s_ago=ran, late_s=late) for name, (ran, late) in paces.items()}
    stuck = [name for name, pace in loops.items() if pace.late_s > _LATE_S]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await system.journal.head()
    except (TimeoutError, UmbelError) as error:
        raise NotReady(database=False, feed=request.app.state.feed.following) from error
    if not request.app.state.feed.following:
        raise NotReady(database=True, feed=False)
    if stuck:
        raise NotReady(database=True, feed=True, stuck=stuck)
    return Readiness(status="ready", loops=loops)


class MetricsTokenWrong(Unauthenticated):
    """This is not the token in UMBEL_METRICS_TOKEN."""

    code = "umbel.metrics_token_wrong"


def _admit(settings: Settings, token: str | None) -> None:
    if settings.metrics == "off":
        raise NoSuchPath
    if settings.metrics == "on":
        return
    if token is None:
        raise TokenMissing
    if not hmac.compare_digest(token.encode(), settings.metrics_token.encode()):
        raise MetricsTokenWrong


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Meters", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def read_metrics(request: Request, system: auth.SystemDep, token: auth.Token) -> Response:
    """Meters for Prometheus, where the settings say who may read them."""
    _admit(system.settings, token)
    return Response(await request.app.state.metrics.text(system), media_type=_PROMETHEUS)
