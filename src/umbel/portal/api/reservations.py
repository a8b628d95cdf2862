"""A viewer's calendar: events that are reserved, and its address for calendar programs."""

import asyncio
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from umbel.catalogue.reservations.model import Purpose, Reservation
from umbel.kit.clock import to_rfc3339
from umbel.portal import addresses, auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import EventOut, Given

router = Resource(prefix="/api/v1", tags=["reservations"])

_CALENDAR = "text/calendar"


class ReservationIn(Given):
    """What the event is reserved for."""

    purpose: Purpose = Purpose.WATCH


class ReservationRemindersOut(BaseModel):
    """How many seconds before the event begins one is reminded of it, and by what: `mail`, `push`,
    `page`. `is_own`: it was chosen for this reservation, not for all."""

    leads_s: list[int]
    channels: list[str]
    is_own: bool


class ReservationOut(BaseModel):
    """A reservation with its event as it is now; a cancelled event has that state. `stream` of an
    event is null here."""

    event: EventOut
    purpose: Purpose
    reserved_at: str
    reminders: ReservationRemindersOut


class FeedOut(BaseModel):
    """Since when one's calendar has an address; null when it has none."""

    created_at: str | None


class NewFeedOut(BaseModel):
    """The calendar's address. It is shown once; anyone who has it can read the calendar."""

    url: str


@router.get("/me/reservations")
async def list_reservations(
    system: auth.SystemDep,
    user: auth.SignedIn,
    month: Annotated[str, Query(max_length=7, description="e.g. 2027-03; empty: all")] = "",
    time_zone: Annotated[str, Query(max_length=100, description="IANA name")] = "UTC",
) -> list[ReservationOut]:
    """One's reservations by the events' start: all, or of events that are on in a month of a time
    zone."""
    reservations = system.catalogue.reservations
    if not month:
        return [response(one) for one in await reservations.every(user.username)]
    return [response(one) for one in await reservations.in_month(user.username, month, time_zone)]


@router.put("/me/reservations/{event_id}")
async def reserve(
    system: auth.SystemDep,
    user: auth.SignedIn,
    by: auth.Watching,
    request: Request,
    event_id: str,
    given: ReservationIn,
) -> ReservationOut:
    """Reserve an event that one may watch and that has not begun; to be recorded, also one that is
    on air. By one's address the platform knows near which node viewers are expected."""
    await system.catalogue.audiences.event(event_id, by)
    made = await system.catalogue.reservations.reserve(user.username, event_id, given.purpose)
    if seen_at := await system.delivery.known_access_node(auth.caller(request)):
        await system.catalogue.demand.note_node(user.username, seen_at)
    return response(made)


@router.delete("/me/reservations/{event_id}", status_code=204)
async def cancel_reservation(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> None:
    """Cancel a reservation. One that there is not, is not an error."""
    await system.catalogue.reservations.cancel(user.username, event_id)


@router.get("/me/calendar-feed")
async def get_calendar_feed(system: auth.SystemDep, user: auth.SignedIn) -> FeedOut:
    """Get whether one's calendar has an address for calendar programs. The address itself is shown
    only when it is made."""
    created_s = await system.catalogue.reservations.feed_created_s(user.username)
    return FeedOut(created_at=None if created_s is None else to_rfc3339(created_s))


@router.post("/me/calendar-feed", status_code=201)
async def make_calendar_feed(
    system: auth.SystemDep, user: auth.SignedIn, request: Request
) -> NewFeedOut:
    """Give one's calendar a new address; the one of before is revoked."""
    secret = await system.catalogue.reservations.new_feed(user.username)
    return NewFeedOut(
        url=f"{addresses.of(system, request).base}/api/v1/calendar-feeds/{secret}.ics"
    )


@router.delete("/me/calendar-feed", status_code=204)
async def revoke_calendar_feed(system: auth.SystemDep, user: auth.SignedIn) -> None:
    """Revoke the address of one's calendar."""
    await system.catalogue.reservations.revoke_feed(user.username)


@router.get(
    "/calendar-feeds/{secret}.ics",
    response_class=Response,
    responses={200: {"description": "iCalendar (RFC 5545)", "content": {_CALENDAR: {}}}},
)
async def read_calendar_feed(system: auth.SystemDep, request: Request, secret: str) -> Response:
    """Get a calendar by its secret address: reserved events, with those that were cancelled."""
    found = await system.catalogue.reservations.feed(secret)
    body = await asyncio.to_thread(
        _serialized, found, system.clock.now_s(), addresses.of(system, request).base
    )
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": 'inline; filename="umbel.ics"',
    }
    return Response(body, headers=headers, media_type=f"{_CALENDAR}; charset=utf-8")


def _serialized(found: list[Reservation], now_s: float, url: str) -> bytes:
    from umbel.portal import ics  # noqa: PLC0415 -- loads slowly

    return ics.serialize(found, now_s=now_s, url=url)


def exported(reservations: list[Reservation]) -> list[dict[str, object]]:
    """As rows of the file with one's data."""
    return [
        {
            "event_id": one.event.id,
            "title": one.event.title,
            "starts_at": to_rfc3339(one.event.starts_s),
            "purpose": one.purpose.value,
            "reserved_at": to_rfc3339(one.reserved_s),
            "reminders": _own(one),
        }
        for one in reservations
    ]


def _own(of: Reservation) -> dict[str, object] | None:
    if not of.has_own_reminders:
        return None
    return {
        "leads_s": list(of.reminders.leads_s),
        "channels": sorted(one.value for one in of.reminders.channels),
    }


def response(of: Reservation) -> ReservationOut:
    """The reservation as its user sees it."""
    return ReservationOut(
        event=shapes.event(of.event, None),
        purpose=of.purpose,
        reserved_at=to_rfc3339(of.reserved_s),
        reminders=ReservationRemindersOut(
            leads_s=list(of.reminders.leads_s),
            channels=sorted(one.value for one in of.reminders.channels),
            is_own=of.has_own_reminders,
        ),
    )
