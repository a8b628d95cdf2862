"""The changes of an event that several entries make, each with what the journal says of it.

In: a write unit. Out: events as they are stored. Neighbours: `service` for one event and `series`
for many call these; `store` has the statements.
"""

from dataclasses import asdict

from umbel.catalogue import store
from umbel.catalogue.model import Event, EventDraft
from umbel.catalogue.reservations.store import wake_event
from umbel.catalogue.store import Unit
from umbel.catalogue.visibility.service import settle
from umbel.kit.ids import new_id


def add(unit: Unit, clean: EventDraft, hashed: str | None, *, series_id: str = "") -> Event:
    """A new event of a draft that was checked. Raises NoSuchProvider, Unprocessable."""
    owner = store.hold_provider(unit.connection, clean.provider_id)
    new = Event(id=new_id("ev"), provider_name=owner.name, series_id=series_id, **asdict(clean))
    store.add_event(unit.connection, new)
    settle(unit, new, hashed)
    journal(unit, "added", new)
    return new


def change(unit: Unit, before: Event, changed: Event, hashed: str | None = None) -> Event:
    """The event after the change. Raises Unprocessable, VersionMismatch."""
    after = store.change_event(unit.connection, changed)
    settle(unit, after, hashed)
    if after.starts_s != before.starts_s:
        wake_event(unit.connection, after.id)
    journal(unit, "changed", after)
    return after


def journal(unit: Unit, what: str, event: Event) -> None:
    """Tell the readers who may know."""
    body = {
        "what": what,
        "state": event.state.value,
        "title": event.title,
        "provider_id": event.provider_id,
        "visibility": event.visibility.value,
        "version": event.version,
    }
    unit.journal("event", event.id, body)
