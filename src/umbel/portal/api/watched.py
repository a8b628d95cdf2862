"""What one watched while signed in: for the calendar, and to forget."""

from pydantic import BaseModel

from umbel.catalogue.watched.model import Watched
from umbel.kit.clock import to_rfc3339
from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import EventOut

router = Resource(prefix="/api/v1/me/watched", tags=["reservations"])


class WatchedOut(BaseModel):
    """An event as it is now, and when one watched it. `seconds` counts while a player of the web
    app played. `stream` of an event is null here."""

    event: EventOut
    first_at: str
    last_at: str
    seconds: int


@router.get("")
async def list_watched(system: auth.SystemDep, user: auth.SignedIn) -> list[WatchedOut]:
    """List what one watched, the latest first."""
    return [_response(one) for one in await system.catalogue.watched.every(user.username)]


@router.put("/{event_id}", status_code=204)
async def go_on_watching(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> None:
    """Say that one still watches: players do so each minute while they play. The time since the
    last sign counts, up to 90 seconds."""
    await system.catalogue.watched.go_on(user.username, event_id)


@router.delete("/{event_id}", status_code=204)
async def forget_watched(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> None:
    """Forget that one watched an event. One that was not watched is not an error."""
    await system.catalogue.watched.forget(user.username, event_id)


@router.delete("", status_code=204)
async def forget_all_watched(system: auth.SystemDep, user: auth.SignedIn) -> None:
    """Forget all that one watched."""
    await system.catalogue.watched.forget_all(user.username)


def exported(watched: list[Watched]) -> list[dict[str, object]]:
    """As rows of the file with one's data."""
    return [
        {
            "event_id": one.event.id,
            "title": one.event.title,
            "first_at": to_rfc3339(one.first_s),
            "last_at": to_rfc3339(one.last_s),
            "seconds": int(one.seconds),
        }
        for one in watched
    ]


def _response(of: Watched) -> WatchedOut:
    return WatchedOut(
        event=shapes.event(of.event, None),
        first_at=to_rfc3339(of.first_s),
        last_at=to_rfc3339(of.last_s),
        seconds=int(of.seconds),
    )
