"""Events: what is on, what will be, and their providers' hand on them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Header, Query
from starlette.responses import Response

from umbel.catalogue.model import Event, EventDraft, EventEvent, EventPatch, EventState, User
from umbel.catalogue.series.model import Repeat
from umbel.catalogue.service import MOST_LISTED
from umbel.kit.db import VersionMismatch
from umbel.kit.errors import Unprocessable
from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import EventChange, EventIn, EventOut, Problem, SavedEventOut
from umbel.portal.ports import System

router = Resource(prefix="/api/v1/events", tags=["events"])

_CARRIED = frozenset({EventState.OPEN, EventState.LIVE})
_JPEG = "image/jpeg"
# Browsers and caches on the way keep a picture so long.
_THUMBNAIL_S = 10
_ETAG = re.compile(r'"([1-9][0-9]{0,9})"')
CHANGED: dict[int | str, dict[str, Any]] = {
    412: {"model": Problem, "description": "The event is not the one that `If-Match` names"}
}
_STATES = "|".join(state.value for state in EventState)


class EventChanged(VersionMismatch):
    """The event was changed after it was read: compare, then repeat the change."""

    code = "umbel.event_changed"
    http_status = 412


@router.get("")
async def list_events(
    system: auth.SystemDep,
    user: auth.OptionalUser,
    state: Annotated[
        str, Query(pattern=rf"^(({_STATES})(,({_STATES}))*)?$", description="e.g. live,open")
    ] = "",
    provider_id: Annotated[str, Query(max_length=64)] = "",
    mine: Annotated[bool, Query(description="those that one runs, also hidden ones")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
) -> list[EventOut]:
    """Events by start time; of more than `limit` the latest. Without `mine` only public ones."""
    states = {EventState(name) for name in state.split(",") if name}
    chosen = {provider_id} if provider_id else set()
    if mine:
        by = auth.watcher_of(user)
        chosen = {id_ for id_ in chosen if by.runs(id_)} if chosen else set(by.provider_ids)
        if not chosen and (provider_id or not by.runs_all):
            return []
    found = await system.catalogue.events(
        states=states, provider_ids=chosen, most=limit, listed=not mine
    )
    return [await _response(system, one) for one in found]


@router.post("", status_code=201)
async def add_event(system: auth.SystemDep, user: auth.SignedIn, given: EventIn) -> SavedEventOut:
    """Schedule an event. The answer names others of the provider that are on at the same time."""
    auth.may_run(user, given.provider_id)
    draft = EventDraft(
        provider_id=given.provider_id,
        title=given.title,
        description=given.description,
        starts_s=given.starts_at.timestamp(),
        ends_s=given.ends_at.timestamp(),
        vp8=given.vp8,
        visibility=given.visibility,
        time_zone=given.time_zone,
    )
    if given.repeat is None:
        return await saved(system, await system.catalogue.add_event(draft, given.pass_phrase))
    repeat = Repeat(**given.repeat.model_dump())
    made = await system.catalogue.series.add(draft, repeat, given.pass_phrase)
    return await saved(system, made[0])


@router.get("/{event_id}")
async def get_event(
    system: auth.SystemDep, by: auth.Watching, event_id: str, response: Response
) -> EventOut:
    """One event, for those who may watch it. The ETag is its version, for `If-Match`."""
    event = await system.catalogue.audiences.event(event_id, by)
    response.headers["ETag"] = f'"{event.version}"'
    return await _response(system, event)


@router.get(
    "/{event_id}/thumbnail",
    response_class=Response,
    responses={
        200: {"description": "JPEG, at most 640 x 360", "content": {_JPEG: {}}},
        304: {"description": "The caller has this picture already"},
    },
)
async def get_thumbnail(
    system: auth.SystemDep,
    by: auth.Watching,
    event_id: str,
    if_none_match: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """A small picture of a live event, renewed every 10 seconds while somebody asks for it. The
    first request has the first one made: 404 until then. Every reader of the event may see it."""
    event = await system.catalogue.audiences.event(event_id, by)
    found = await system.delivery.thumbnail(event_id)
    tag = f'"{sha256(found.jpeg).hexdigest()[:16]}"'
    kept_by = "public" if event.is_listed else "private"
    headers = {"Cache-Control": f"{kept_by}, max-age={_THUMBNAIL_S}", "ETag": tag}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(found.jpeg, headers=headers, media_type=_JPEG)


@router.patch("/{event_id}", responses=CHANGED)
async def change_event(
    system: auth.SystemDep,
    user: auth.SignedIn,
    event_id: str,
    given: EventChange,
    if_match: Annotated[str, Header(max_length=100)] = "",
) -> SavedEventOut:
    """Change the given fields, if the event still has the version that was read. Else it is 409, or
    412 with `If-Match`, and `details.current` is the event as it is now."""
    event = await theirs(system, user, event_id)
    version = version_read(event, given.version, if_match)
    async with shows_current(system, event_id, has_etag=bool(if_match)):
        changed = await system.catalogue.change_event(
            event_id, version, patch_of(given), given.pass_phrase
        )
    return await saved(system, changed)


@router.post("/{event_id}/end")
async def end_event(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> EventOut:
    """End the event now: the stream stops, and its functions are removed."""
    return await _close(system, user, event_id, EventEvent.END)


@router.post("/{event_id}/cancel")
async def cancel_event(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> EventOut:
    """Cancel the event, unless it is live."""
    return await _close(system, user, event_id, EventEvent.CANCEL)


async def theirs(system: System, user: User, event_id: str) -> Event:
    """The event, if the user may run it. Raises NoSuchEvent, Forbidden."""
    by = auth.watcher_of(user)
    event = await system.catalogue.audiences.event_to_run(event_id, by)
    auth.may_run(user, event.provider_id)
    return event


def patch_of(given: EventChange) -> EventPatch:
    """What is to be changed."""
    return EventPatch(
        title=given.title,
        description=given.description,
        starts_s=given.starts_at.timestamp() if given.starts_at else None,
        ends_s=given.ends_at.timestamp() if given.ends_at else None,
        vp8=given.vp8,
        visibility=given.visibility,
        time_zone=given.time_zone,
    )


@asynccontextmanager
async def shows_current(system: System, event_id: str, *, has_etag: bool) -> AsyncIterator[None]:
    """Has the refusal to overwrite a version that the caller has not seen show it."""
    try:
        yield
    except VersionMismatch as error:
        current = await _response(system, await system.catalogue.event(event_id))
        kind = EventChanged if has_etag else VersionMismatch
        raise kind(error.message, current=current.model_dump(mode="json")) from error


def version_read(event: Event, version: int | None, if_match: str) -> int:
    """The version that the caller has seen. Raises Unprocessable."""
    if not if_match:
        if version is None:
            wanted = "the version that was read, here or in If-Match"
            fields = [{"field": "version", "message": wanted}]
            raise Unprocessable(f"version: {wanted}", fields=fields)
        return version
    if if_match.strip() == "*":
        return event.version
    named = _ETAG.fullmatch(if_match.strip())
    if named is None or (version is not None and version != int(named[1])):
        fields = [{"field": "If-Match", "message": "the ETag of the event"}]
        raise Unprocessable('If-Match: the ETag of the event, such as "3"', fields=fields)
    return int(named[1])


async def saved(system: System, event: Event) -> SavedEventOut:
    """The event with its overlaps."""
    out = await _response(system, event)
    others = await system.catalogue.overlapping(event)
    return SavedEventOut(**out.model_dump(), overlaps=[shapes.overlap(one) for one in others])


async def _close(system: System, user: User, event_id: str, how: EventEvent) -> EventOut:
    await theirs(system, user, event_id)
    over = await system.catalogue.transition(event_id, how)
    await system.delivery.end(event_id)
    return await _response(system, over)


async def _response(system: System, event: Event) -> EventOut:
    carried = event.state in _CARRIED
    return shapes.event(event, await system.delivery.stream(event) if carried else None)
