"""Whether a provider's service level was kept: what viewers asked for, and what they got.

In: the level, the journal's session entries of the provider's events, and who watches now. Out: a
`ServiceReport`. Neighbours: catalogue has the levels; the portal shows the reports.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from umbel.catalogue.model import OVER
from umbel.catalogue.service import MOST_LISTED, Catalogue
from umbel.catalogue.service_levels.model import ServiceLevel
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import renditions
from umbel.kit.clock import Clock
from umbel.kit.journal import Change, Journal

Part = Literal["viewers", "quality", "availability"]
_REFUSED = frozenset({"refused", "turned-away"})
"""No edge had room, or none was ready in time."""
_OVER = frozenset(state.value for state in OVER)


@dataclass(frozen=True, kw_only=True)
class ServiceReport:
    """A level and how it was kept from `since_s` to `until_s` (epoch seconds). Sessions are
    counted: `opened` ones, those `refused`, of these those whom the level promised a place
    (`refused_promised`), and of these those who asked for a smaller rendition."""

    level: ServiceLevel
    since_s: float
    until_s: float
    watching: int
    peak_viewers: int
    opened: int
    refused: int
    refused_promised: int
    refused_quality: int

    @property
    def availability(self) -> float:
        """The share served of those whom the level promised a place, or who were served anyway; 1
        where nobody asked."""
        asked = self.opened + self.refused_promised
        return self.opened / asked if asked else 1.0

    @property
    def kept(self) -> dict[Part, bool]:
        """Whether each part was kept."""
        return {
            "viewers": not self.refused_promised,
            "quality": not self.refused_quality,
            "availability": self.availability >= self.level.availability,
        }


@dataclass(frozen=True, kw_only=True)
class ServiceReports:
    """Makes reports of what the database says."""

    catalogue: Catalogue
    store: DeliveryStore
    journal: Journal
    clock: Clock

    async def report(self, provider_id: str, period_s: float) -> ServiceReport:
        """The level, and how it was kept in the last `period_s` seconds. Raises NoSuchProvider."""
        level = await self.catalogue.service_levels.level(provider_id)
        events = await self.catalogue.events(
            provider_ids=[provider_id], most=MOST_LISTED, listed=False
        )
        now_s = self.clock.now_s()
        theirs = {event.id for event in events}
        changes, since_s = await self.journal.of_kinds(("session", "event"), now_s - period_s)
        stored = await self.store.sessions()
        watching = {s.id: renditions.event_of(s.stream) for s in stored}
        return summary(
            level,
            [change for change in changes if _event_of(change) in theirs],
            {id_: event for id_, event in watching.items() if event in theirs},
            since_s=since_s,
            until_s=now_s,
        )


def summary(
    level: ServiceLevel,
    changes: Iterable[Change],
    watching: Mapping[str, str],
    *,
    since_s: float,
    until_s: float,
) -> ServiceReport:
    """What the entries of the provider's sessions and events say, oldest first. `watching` are the
    sessions there are now, with their events: those that no entry opened were there from the
    beginning."""
    changes = list(changes)
    opened = {c.subject for c in changes if c.body.get("what") == "opened"}
    ended = {c.subject: _event_of(c) for c in changes if c.kind == "session" and _is_end(c)}
    before = {id_: of for id_, of in {**ended, **watching}.items() if id_ not in opened}
    tally = _Tally(level=level, here=before)
    for change in changes:
        tally.take(change)
    return ServiceReport(
        level=level,
        since_s=since_s,
        until_s=until_s,
        watching=len(watching),
        peak_viewers=tally.peak,
        opened=tally.opened,
        refused=tally.refused,
        refused_promised=tally.refused_promised,
        refused_quality=tally.refused_quality,
    )


@dataclass(kw_only=True)
class _Tally:
    """Counts entry by entry; `here` are the sessions at this moment, with their events."""

    level: ServiceLevel
    here: dict[str, str]
    peak: int = field(init=False)
    opened: int = 0
    refused: int = 0
    refused_promised: int = 0
    refused_quality: int = 0

    def __post_init__(self) -> None:
        self.peak = len(self.here)

    def take(self, change: Change) -> None:
        """The next entry."""
        what = change.body.get("what")
        if change.kind == "event":
            if change.body.get("state") in _OVER:  # the ends of its sessions have no entries
                self.here = {id_: of for id_, of in self.here.items() if of != change.subject}
            return
        if what == "opened":
            self.here[change.subject] = _event_of(change)
            self.opened += 1
            self.peak = max(self.peak, len(self.here))
            return
        self.here.pop(change.subject, None)
        if what == "refused":  # it was opened first, and nothing became ready
            self.opened -= 1
        if what in _REFUSED:
            self._refuse(renditions.height_of(str(change.body["stream"])))

    def _refuse(self, height: int) -> None:
        self.refused += 1
        is_covered = not self.level.height or height <= self.level.height
        if is_covered and len(self.here) < self.level.viewers:
            self.refused_promised += 1
            self.refused_quality += height > 0


def _event_of(change: Change) -> str:
    if change.kind == "event":
        return change.subject
    return renditions.event_of(str(change.body.get("stream", "")))


def _is_end(change: Change) -> bool:
    return change.body.get("what") not in {"opened", "turned-away"}
