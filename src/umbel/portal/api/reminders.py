"""When and how one is reminded: of all reservations, or of one."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool

from umbel.catalogue.choices import model
from umbel.catalogue.choices.model import AccountChoice, Choice
from umbel.portal import auth
from umbel.portal.api import reservations
from umbel.portal.api.reservations import ReservationOut
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given
from umbel.portal.ports import System

router = Resource(prefix="/api/v1", tags=["reminders"])


class Channel(StrEnum):
    """How a reminder comes."""

    MAIL = "mail"
    PUSH = "push"
    PAGE = "page"


_Lead = Annotated[int, Field(ge=model.SHORTEST_LEAD_S, le=model.LONGEST_LEAD_S)]
_Leads = Annotated[
    list[_Lead],
    Field(max_length=model.MOST_LEADS, description="seconds before the event begins; empty: none"),
]
_Channels = Annotated[list[Channel], Field(max_length=len(Channel), description="empty: none")]


class RemindersIn(Given):
    """When and how to be reminded of one reservation."""

    leads_s: _Leads
    channels: _Channels


class AccountRemindersIn(RemindersIn):
    """When and how to be reminded of all reservations that have no reminders of their own; the IANA
    zone of times in letters; and whether to hear of events that go live."""

    time_zone: Annotated[str, Field(max_length=100)] = "UTC"
    live: StrictBool = True


class AccountRemindersOut(BaseModel):
    """The same, as it is."""

    leads_s: list[int]
    channels: list[Channel]
    time_zone: str
    live: bool


@router.get("/me/reminders")
async def get_reminders(system: auth.SystemDep, user: auth.SignedIn) -> AccountRemindersOut:
    """Get when and how one is reminded."""
    return _response(await system.catalogue.reminders.choice(user.username))


@router.put("/me/reminders")
async def choose_reminders(
    system: auth.SystemDep, user: auth.SignedIn, given: AccountRemindersIn
) -> AccountRemindersOut:
    """Choose when and how to be reminded. What was due before is not made up for."""
    new = AccountChoice(
        choice=_choice(system, given),
        time_zone=model.time_zone(given.time_zone),
        live=given.live,
    )
    await system.catalogue.reminders.choose(user.username, new)
    return _response(new)


@router.put("/me/reservations/{event_id}/reminders")
async def choose_reservation_reminders(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str, given: RemindersIn
) -> ReservationOut:
    """Have reminders of its own for one reservation."""
    own = _choice(system, given)
    return reservations.response(
        await system.catalogue.reservations.choose(user.username, event_id, own)
    )


@router.delete("/me/reservations/{event_id}/reminders")
async def reset_reservation_reminders(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str
) -> ReservationOut:
    """Have the account's reminders for this reservation again."""
    return reservations.response(
        await system.catalogue.reservations.choose(user.username, event_id, None)
    )


def exported(of: AccountChoice) -> dict[str, object]:
    """As a part of the file with one's data."""
    return _response(of).model_dump(mode="json")


def _choice(system: System, given: RemindersIn) -> Choice:
    channels = [model.Channel(one.value) for one in given.channels]
    return model.choice(given.leads_s, channels, now_s=system.clock.now_s())


def _response(of: AccountChoice) -> AccountRemindersOut:
    return AccountRemindersOut(
        leads_s=list(of.choice.leads_s),
        channels=[one for one in Channel if model.Channel(one.value) in of.choice.channels],
        time_zone=of.time_zone,
        live=of.live,
    )
