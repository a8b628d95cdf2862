"""A viewer's way in: a place at an edge and the token that opens it. Viewers may be anonymous."""

from typing import Annotated

import structlog
from fastapi import Body, Request
from pydantic import BaseModel

from umbel.catalogue.visibility.rules import watch_right
from umbel.delivery.model import Session
from umbel.delivery.trees import renditions
from umbel.kit.clock import to_rfc3339
from umbel.kit.connections import source_of
from umbel.kit.errors import TooSoon, UmbelError
from umbel.kit.token_buckets import TokenBuckets
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName, Quality
from umbel.portal.ports import System

log = structlog.get_logger(__name__)
router = Resource(prefix="/api/v1", tags=["sessions"])


class TooManySessions(TooSoon):
    """This address opened many sessions within a minute: wait, then try again."""

    code = "umbel.too_many_sessions"


class SessionIn(Given):
    """Where the viewer is; left out, its address tells. And which quality it wants of those that
    the event's stream tells; left out, the source's."""

    access_node: NodeName | None = None
    quality: Quality = renditions.SOURCE


# Without a title of its own, FastAPI's title of each such body is the argument's name.
MaybeSession = Annotated[SessionIn | None, Body(title="SessionRequest")]


class TicketOut(BaseModel):
    """Where to watch, and the token to send there. `hls` is null in the quality `vp8`, which is for
    WebRTC only. `hls_subtitled` is the same 12 s later, with captions as subtitles; null where no
    speech is recognised."""

    id: str
    quality: str
    edge: str
    whep: str
    hls: str | None
    hls_subtitled: str | None
    token: str
    expires_at: str


class SessionOut(BaseModel):
    """A session."""

    id: str
    event_id: str
    quality: str
    edge: str
    access_node: str
    opened_at: str
    seen_at: str
    expires_at: str


@router.post("/events/{event_id}/sessions", status_code=201)
async def open_session(
    system: auth.SystemDep,
    by: auth.Watching,
    request: Request,
    event_id: str,
    given: MaybeSession = None,
) -> TicketOut:
    """Open a viewer's session at the edge that the policy chooses, for those who may watch. Of a
    viewer who is signed in it is noted that they watched; of others nothing is."""
    given = given or SessionIn()
    address = auth.caller(request)
    opened: TokenBuckets = request.app.state.sessions_opened
    wait_s = opened.take(source_of(address), system.clock.monotonic_s())
    if wait_s > 0:
        raise TooManySessions(wait_s)
    event = await system.catalogue.audiences.event(event_id, by)
    right = watch_right(event, by)
    access_node = given.access_node
    if access_node is None:
        access_node = await system.delivery.access_node_for(address)
    is_captioned = await _is_captioned(system, event_id)
    ticket = await system.delivery.open_session(event_id, access_node, given.quality, right)
    if by.username:
        seen_at = given.access_node or await system.delivery.known_access_node(address)
        await _note(system, by.username, event_id, seen_at)
    return TicketOut(
        id=ticket.session.id,
        quality=renditions.quality_of(ticket.session.stream),
        edge=ticket.session.edge_node,
        whep=ticket.whep,
        hls=ticket.hls,
        hls_subtitled=ticket.hls_subtitled if is_captioned else None,
        token=ticket.token,
        expires_at=to_rfc3339(ticket.session.expires_s),
    )


@router.get("/sessions/{session_id}")
async def get_session(
    system: auth.SystemDep, proof: auth.MaybeProof, session_id: str
) -> SessionOut:
    """The session, for its holder or an operator."""
    await auth.may_hold(system, session_id, proof)
    return _response(await system.delivery.session(session_id))


@router.delete("/sessions/{session_id}", status_code=204)
async def close_session(system: auth.SystemDep, proof: auth.MaybeProof, session_id: str) -> None:
    """Close the session."""
    await auth.may_hold(system, session_id, proof)
    await system.delivery.close_session(session_id)


async def _is_captioned(system: System, event_id: str) -> bool:
    """Whether speech is recognised in the event now."""
    if not system.settings.captions_engine:
        return False
    return await system.catalogue.captions.policy(event_id) is not None


async def _note(system: System, username: str, event_id: str, access_node: str) -> None:
    """A note that cannot be written keeps nobody from watching."""
    try:
        await system.catalogue.watched.begin(username, event_id)
        if access_node:
            await system.catalogue.demand.note_node(username, access_node)
    except UmbelError as error:
        log.warning("watched event not noted", code=error.code)


def _response(session: Session) -> SessionOut:
    return SessionOut(
        id=session.id,
        event_id=renditions.event_of(session.stream),
        quality=renditions.quality_of(session.stream),
        edge=session.edge_node,
        access_node=session.access_node,
        opened_at=to_rfc3339(session.opened_s),
        seen_at=to_rfc3339(session.seen_s),
        expires_at=to_rfc3339(session.expires_s),
    )
