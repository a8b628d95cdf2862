"""A provider that somebody follows, and an event that went live. Times are epoch seconds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from umbel.catalogue.choices.model import AccountChoice, Channel
from umbel.catalogue.model import Event
from umbel.catalogue.outbox.model import MessageKind, Planned
from umbel.kit.errors import Conflict

MOST_FOLLOWS = 500
"""Of one account."""
FRESH_S = 3_600.0
"""For how long after its start somebody wants to hear that an event is live."""


class TooManyFollows(Conflict):
    """The account follows as many providers as it may; stop following some."""

    code = "umbel.too_many_follows"


@dataclass(frozen=True, kw_only=True)
class Follow:
    """A provider, and since when."""

    provider_id: str
    provider_name: str
    since_s: float


@dataclass(frozen=True, kw_only=True)
class WentLive:
    """An event that is to be announced: when it went live first, and the last account, by name,
    that was looked at."""

    event_id: str
    at_s: float
    cursor: str


@dataclass(frozen=True, kw_only=True)
class Listener:
    """An account that may want to hear of it, with where its messages go."""

    username: str
    choice: AccountChoice
    email: str
    is_verified: bool
    devices: Sequence[str]


def planned(of: Listener, event: Event, at_s: float, *, verified: bool) -> list[Planned]:
    """The messages that tell it. `verified` leaves out addresses that wait to be confirmed."""
    if not of.choice.live:
        return []
    channels = of.choice.choice.channels
    can_mail = of.email and (of.is_verified or not verified)
    targets = [(Channel.MAIL, "")] if can_mail and Channel.MAIL in channels else []
    if Channel.PUSH in channels:
        targets += [(Channel.PUSH, device_id) for device_id in of.devices]
    return [
        Planned(
            username=of.username,
            event_id=event.id,
            kind=MessageKind.LIVE,
            channel=channel,
            target=target,
            starts_s=event.starts_s,
            expires_s=min(event.ends_s, at_s + FRESH_S),
        )
        for channel, target in targets
    ]
