"""When and by which channels a viewer is reminded: for all reservations, or for one. Pure.

Lead times are whole seconds before an event begins. They are time that passes, so that changes of
the clocks do not matter.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from umbel.kit import time_zones
from umbel.kit.errors import Unprocessable

MOST_LEADS = 5
SHORTEST_LEAD_S = 60
LONGEST_LEAD_S = 7 * 86_400


class Channel(Enum):
    """How a notice comes: by mail, by web push, or in an open page."""

    MAIL = "mail"
    PUSH = "push"
    PAGE = "page"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """When and how; no lead time, or no channel, is no reminder. `changed_s` is when it was made:
    what was due before is not made up for."""

    leads_s: tuple[int, ...] = (86_400, 3_600, 300)
    channels: frozenset[Channel] = frozenset(Channel)
    changed_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AccountChoice:
    """An account's choice for all its reservations, the IANA zone of times in its letters, and
    whether it hears of events that go live, where it reserved them or follows their provider."""

    choice: Choice = Choice()
    time_zone: str = "UTC"
    live: bool = True


def choice(leads_s: Iterable[int], channels: Collection[Channel], *, now_s: float) -> Choice:
    """The choice, the longest lead time first. Raises Unprocessable."""
    leads = tuple(sorted(set(leads_s), reverse=True))
    if len(leads) > MOST_LEADS:
        raise _bad("leads_s", f"at most {MOST_LEADS} lead times")
    if not all(SHORTEST_LEAD_S <= lead_s <= LONGEST_LEAD_S for lead_s in leads):
        raise _bad("leads_s", f"each from {SHORTEST_LEAD_S} to {LONGEST_LEAD_S} seconds")
    return Choice(leads_s=leads, channels=frozenset(channels), changed_s=now_s)


def time_zone(name: str) -> str:
    """The zone's name. Raises Unprocessable."""
    if time_zones.find(name) is None:
        raise _bad("time_zone", "an IANA name such as Europe/Rome")
    return name


def due_lead(of: Choice, starts_s: float, *, since_s: float, now_s: float) -> int | None:
    """Which lead time to remind by now: of those that have come since then, the shortest, so that
    what was missed is not sent late together with what follows it."""
    since_s = max(since_s, of.changed_s)
    come = [lead for lead in of.leads_s if since_s <= starts_s - lead <= now_s < starts_s]
    return min(come, default=None)


def next_due_s(of: Choice, starts_s: float, *, now_s: float) -> float | None:
    """When the next lead time comes; None when none does."""
    return min((starts_s - lead for lead in of.leads_s if starts_s - lead > now_s), default=None)


def _bad(field: str, wanted: str) -> Unprocessable:
    return Unprocessable(f"{field}: {wanted}", fields=[{"field": field, "message": wanted}])
