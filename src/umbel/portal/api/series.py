"""Events that were scheduled together: change or cancel one with those that follow it."""

from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from umbel.portal import auth
from umbel.portal.api.events import (
    CHANGED,
    patch_of,
    saved,
    shows_current,
    theirs,
    version_read,
)
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import EventChange, SavedEventOut

router = Resource(prefix="/api/v1/events/{event_id}/following", tags=["events"])


class FollowingOut(BaseModel):
    """The event, and how many were changed with it."""

    event: SavedEventOut
    changed: int


@router.patch("", responses=CHANGED)
async def change_following(
    system: auth.SystemDep,
    user: auth.SignedIn,
    event_id: str,
    given: EventChange,
    if_match: Annotated[str, Header(max_length=100)] = "",
) -> FollowingOut:
    """Change the event and those of its series that follow and are still scheduled: the given
    fields, and their times by as much on the clock. The version is that of the named event."""
    event = await theirs(system, user, event_id)
    version = version_read(event, given.version, if_match)
    async with shows_current(system, event_id, has_etag=bool(if_match)):
        changed = await system.catalogue.series.change(
            event_id, version, patch_of(given), given.pass_phrase
        )
    return FollowingOut(event=await saved(system, changed[0]), changed=len(changed) - 1)


@router.post("/cancel")
async def cancel_following(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str
) -> FollowingOut:
    """Cancel the event, unless it is live, and those of its series that follow."""
    await theirs(system, user, event_id)
    over = await system.catalogue.series.cancel(event_id)
    for one in over:
        await system.delivery.end(one.id)
    return FollowingOut(event=await saved(system, over[0]), changed=len(over) - 1)
