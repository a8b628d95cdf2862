"""Events that not everybody may watch: grants for who knows the pass phrase, and invitations."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import BaseModel, Field

from umbel.catalogue.visibility.model import MOST_INVITED
from umbel.kit.clock import to_rfc3339
from umbel.kit.tokens import EVENT, Claims
from umbel.portal import auth
from umbel.portal.api.events import theirs
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, PassPhrase, Username

router = Resource(prefix="/api/v1/events/{event_id}", tags=["events"])

GRANT_S = 12 * 3_600.0
"""How long a grant is good: longer than most events, and no more than a day at the screen."""


class GrantIn(Given):
    """The event's pass phrase."""

    pass_phrase: PassPhrase


class GrantOut(BaseModel):
    """What lets its holder watch the event until then, or until the phrase is changed: a token to
    send as `X-Event-Grant`."""

    token: str
    expires_at: str


class Invitations(Given):
    """The only accounts that may watch."""

    usernames: Annotated[list[Username], Field(max_length=MOST_INVITED)]


@router.post("/grants", status_code=201)
async def grant_access(
    system: auth.SystemDep,
    by: auth.Watching,
    request: Request,
    response: Response,
    event_id: str,
    given: GrantIn,
) -> GrantOut:
    """Give the pass phrase of an event, for a grant to watch it. Attempts are limited."""
    address = auth.caller(request)
    phrase = await system.catalogue.audiences.unlock(event_id, given.pass_phrase, by, address)
    expires_s = system.clock.now_s() + GRANT_S
    claims = Claims(subject=event_id, scope="watch", expires_s=expires_s, generation=phrase)
    response.headers["Cache-Control"] = "no-store"
    return GrantOut(token=system.signer.sign(claims, EVENT), expires_at=to_rfc3339(expires_s))


@router.get("/invitations")
async def get_invitations(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str
) -> Invitations:
    """List the accounts that are invited, for those who run the event."""
    await theirs(system, user, event_id)
    return Invitations(usernames=await system.catalogue.audiences.invited(event_id))


@router.put("/invitations")
async def set_invitations(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str, given: Invitations
) -> Invitations:
    """Invite these accounts and no others to an event with the visibility `invited`."""
    await theirs(system, user, event_id)
    return Invitations(usernames=await system.catalogue.audiences.invite(event_id, given.usernames))
