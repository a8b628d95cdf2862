"""What an account watched: an event, from when to when, for how long. Times are epoch seconds."""

from dataclasses import dataclass

from umbel.catalogue.model import Event
from umbel.kit.errors import NotFound

MOST_WATCHED = 1_000
"""Of one account; those watched longest ago are forgotten for others."""

LONGEST_GAP_S = 90.0
"""Between two signs of a viewer who watches on. Who comes back later has not watched since."""


class NotWatching(NotFound):
    """The account has not watched this event: open a session first."""

    code = "umbel.not_watching"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """An event as it is now, and when the account watched it."""

    event: Event
    first_s: float
    last_s: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Spell:
    """The times alone."""

    first_s: float
    last_s: float
    seconds: float


def seen_again(before: Spell, now_s: float) -> Spell:
    """The same, with a viewer who watches now. Clocks that go back take nothing away."""
    gap_s = now_s - before.last_s
    watched_s = gap_s if 0.0 < gap_s <= LONGEST_GAP_S else 0.0
    return Spell(
        first_s=before.first_s,
        last_s=max(before.last_s, now_s),
        seconds=before.seconds + watched_s,
    )
