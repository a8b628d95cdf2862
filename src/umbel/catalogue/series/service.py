"""The only entry to events that are scheduled together: made, changed and cancelled with those that
follow.

In: calls of the portal. Out: events, each of its own: it has its own key, reservations and end. All
of a call happens in one write unit, or none of it.
"""

from dataclasses import replace

from umbel.catalogue import event_units, rules, store
from umbel.catalogue.model import (
    EVENT_LIFE,
    Event,
    EventDraft,
    EventEvent,
    EventOver,
    EventPatch,
    NoSuchEvent,
    NoSuchProvider,
)
from umbel.catalogue.series import rules as repeating
from umbel.catalogue.series.model import NotInSeries, Repeat
from umbel.catalogue.series.store import following
from umbel.catalogue.store import Unit
from umbel.catalogue.units import Units
from umbel.catalogue.visibility.service import Audiences
from umbel.kit.clock import Clock
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.ids import new_id


class SeriesService:
    """Events in series."""

    def __init__(self, database: Database, clock: Clock, audiences: Audiences) -> None:
        self._clock = clock
        self._audiences = audiences
        self._write = Units(database, clock).write

    async def add(
        self, draft: EventDraft, repeat: Repeat, pass_phrase: str | None = None
    ) -> list[Event]:
        """Schedule the event and its repetitions. Raises Unprocessable, NoSuchProvider,
        TooManySignIns."""
        if not rules.is_name(draft.provider_id):
            raise NoSuchProvider
        now_s = self._clock.now_s()
        clean = rules.drafted(draft, now_s=now_s)
        lasts_s = clean.ends_s - clean.starts_s
        drafts = [
            replace(clean, starts_s=starts_s, ends_s=starts_s + lasts_s)
            for starts_s in repeating.starts(clean.starts_s, clean.time_zone, repeat)
        ]
        for one in drafts:
            rules.schedule(one.starts_s, one.ends_s, now_s=now_s)
        hashed = await self._audiences.hashed(pass_phrase)
        series_id = new_id("sr")

        def add(unit: Unit) -> list[Event]:
            return [event_units.add(unit, one, hashed, series_id=series_id) for one in drafts]

        return await self._write(add)

    async def change(
        self, event_id: str, version: int, patch: EventPatch, pass_phrase: str | None = None
    ) -> list[Event]:
        """Change the event at `version` and those of its series that follow, as far as they are
        still scheduled: what is given, and their times by as much on the clock. Raises NoSuchEvent,
        NotInSeries, EventOver, Unprocessable, VersionMismatch, TooManySignIns."""
        now_s, hashed = self._clock.now_s(), await self._audiences.hashed(pass_phrase)

        def change(unit: Unit) -> list[Event]:
            before, later = _from(unit, event_id)
            if before.version != version:
                raise VersionMismatch(f"event {event_id} is at version {before.version}")
            changed = rules.patched(before, patch, now_s=now_s)
            by, lasts_s = repeating.moves_by(before, changed), changed.ends_s - changed.starts_s
            pairs = [(before, changed)]
            for one in later:
                starts_s, ends_s = repeating.moved(
                    one, by=by, lasts_s=lasts_s, zone=changed.time_zone
                )
                own = replace(patch, starts_s=starts_s, ends_s=ends_s)
                pairs.append((one, rules.patched(one, own, now_s=now_s)))
            return [event_units.change(unit, old, new, hashed) for old, new in pairs]

        return await self._write(change)

    async def cancel(self, event_id: str) -> list[Event]:
        """Cancel the event and those of its series that follow, as far as they are still scheduled.
        Raises NoSuchEvent, NotInSeries, EventOver, IllegalTransition."""

        def cancel(unit: Unit) -> list[Event]:
            first, later = _from(unit, event_id)
            return [_cancelled(unit, one) for one in (first, *later)]

        return await self._write(cancel)


def _from(unit: Unit, event_id: str) -> tuple[Event, list[Event]]:
    """The event, and the later ones that are still scheduled."""
    if not rules.is_name(event_id):
        raise NoSuchEvent
    first = store.event(unit.connection, event_id, for_update=True)
    if not first.series_id:
        raise NotInSeries
    if first.is_over:
        raise EventOver
    return first, following(unit.connection, first)


def _cancelled(unit: Unit, event: Event) -> Event:
    state = EVENT_LIFE.next(event.state, EventEvent.CANCEL)
    after = store.change_event(unit.connection, replace(event, state=state))
    event_units.journal(unit, EventEvent.CANCEL.value, after)
    return after
