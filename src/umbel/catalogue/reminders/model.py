"""A reservation that it is time to look at, and what is to be sent of it. Pure; epoch seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from umbel.catalogue.choices.model import Channel, Choice, due_lead, next_due_s
from umbel.catalogue.model import EventState
from umbel.catalogue.outbox.model import MessageKind, Planned
from umbel.catalogue.reservations.model import Purpose

_AHEAD = (EventState.SCHEDULED, EventState.OPEN)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A reservation, its event, what was chosen, and where letters go."""

    username: str
    event_id: str
    purpose: Purpose
    state: EventState
    starts_s: float
    reserved_s: float
    choice: Choice
    has_email: bool
    is_verified: bool


def look(
    of: Candidate, devices: Callable[[], Sequence[str]], *, now_s: float, verified: bool
) -> tuple[list[Planned], float | None]:
    """The messages that remind of it now, and when to look again. `devices` reads the account's;
    `verified` leaves out addresses that wait to be confirmed. Pages remind by themselves."""
    if not of.purpose.is_to_watch or of.starts_s <= now_s:
        return [], None
    again_s = next_due_s(of.choice, of.starts_s, now_s=now_s)
    lead_s = due_lead(of.choice, of.starts_s, since_s=of.reserved_s, now_s=now_s)
    # What is live or over may come back to its plan; only its later lead times count then.
    if lead_s is None or of.state not in _AHEAD:
        return [], again_s
    channels = of.choice.channels
    can_mail = of.has_email and (of.is_verified or not verified)
    wanted = [(Channel.MAIL, "")] if can_mail and Channel.MAIL in channels else []
    if Channel.PUSH in channels:
        wanted += [(Channel.PUSH, device_id) for device_id in devices()]
    return [
        Planned(
            username=of.username,
            event_id=of.event_id,
            kind=MessageKind.REMINDER,
            channel=channel,
            target=target,
            starts_s=of.starts_s,
            lead_s=lead_s,
            expires_s=of.starts_s,
        )
        for channel, target in wanted
    ], again_s
