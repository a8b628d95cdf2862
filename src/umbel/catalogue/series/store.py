"""Events of a series as rows. In: a connection of a write unit. Out: values of the catalogue."""

import sqlalchemy as sa

from umbel.catalogue.model import Event, EventState
from umbel.catalogue.store import event_of, events, providers
from umbel.kit.sql import Connection, Query, given

_SCHEDULED = events.c.state == sa.literal(EventState.SCHEDULED.value)
_FOLLOWING = Query(
    sa.select(events, providers.c.name.label("provider_name"))
    .join_from(events, providers)
    .where(events.c.series_id == given("series"))
    .where(_SCHEDULED & (events.c.starts_s >= given("from_s")) & (events.c.id != given("id_")))
    .order_by(events.c.starts_s, events.c.id)
    .with_for_update(of=events),
    event_of,
)


def following(connection: Connection, of: Event) -> list[Event]:
    """The later events of the series that are still scheduled, by their start, held still."""
    return connection.all(_FOLLOWING, series=of.series_id, from_s=of.starts_s, id_=of.id)
