"""Files that are events' sources: chosen, started, stopped."""

from typing import Annotated

from fastapi import Body, Response
from pydantic import BaseModel, Field, StrictBool

from umbel.playout.model import Playout
from umbel.playout.service import PlayoutOptions
from umbel.portal import auth
from umbel.portal.api.events import theirs
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given
from umbel.portal.ports import System

router = Resource(prefix="/api/v1/events/{event_id}/playout", tags=["files"])

_LONGEST_S = 7 * 86_400.0


class PlayoutIn(Given):
    """The file. With `on_schedule` it starts when the event begins, at once where it has begun;
    with `loop` it begins again at its end; with `ends_event` the event ends with it."""

    file_id: Annotated[str, Field(min_length=1, max_length=64)]
    on_schedule: StrictBool = True
    loop: StrictBool = False
    ends_event: StrictBool = False


class PlayoutStart(Given):
    """From where to send. Left out: from where it was stopped, else from the beginning."""

    position_s: Annotated[float, Field(ge=0, le=_LONGEST_S, allow_inf_nan=False)] | None = None


class PlayoutOut(BaseModel):
    """An event's file. `state` is `waiting`, `playing`, `stopped`, `ended` or `failed`;
    `position_s` is what was sent of `duration_s`; `problem` says what is wrong now."""

    event_id: str
    file_id: str
    file_name: str
    state: str
    on_schedule: bool
    loop: bool
    ends_event: bool
    position_s: float
    duration_s: float
    problem: str


@router.get("")
async def get_playout(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> PlayoutOut:
    """The file that the event streams."""
    await theirs(system, user, event_id)
    return await _response(system, await system.playouts.get(event_id))


@router.put("")
async def set_playout(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str, given: PlayoutIn
) -> PlayoutOut:
    """Have the event stream this file of its provider's."""
    event = await theirs(system, user, event_id)
    options = PlayoutOptions(**given.model_dump())
    return await _response(system, await system.playouts.put(event, options))


@router.delete("", status_code=204, response_class=Response)
async def delete_playout(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> Response:
    """Have the event stream no file. The file stays."""
    await theirs(system, user, event_id)
    await system.playouts.delete(event_id)
    return Response(status_code=204)


@router.post("/start")
async def start_playout(
    system: auth.SystemDep,
    user: auth.SignedIn,
    event_id: str,
    given: Annotated[PlayoutStart | None, Body(title="OptionalPlayoutStart")] = None,
) -> PlayoutOut:
    """Send the file now. One that is being sent goes on."""
    event = await theirs(system, user, event_id)
    from_s = None if given is None else given.position_s
    return await _response(system, await system.playouts.start(event, from_s=from_s))


@router.post("/stop")
async def stop_playout(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> PlayoutOut:
    """Stop sending the file, or do not begin at the event's start."""
    await theirs(system, user, event_id)
    return await _response(system, await system.playouts.stop(event_id))


async def _response(system: System, playout: Playout) -> PlayoutOut:
    file = await system.files.find(playout.file_id)
    return PlayoutOut(
        event_id=playout.event_id,
        file_id=playout.file_id,
        file_name="" if file is None else file.name,
        state=playout.state.value,
        on_schedule=playout.on_schedule,
        loop=playout.loop,
        ends_event=playout.ends_event,
        position_s=round(system.playouts.position_s(playout), 1),
        duration_s=0.0 if file is None else file.facts.duration_s,
        problem=playout.problem,
    )
