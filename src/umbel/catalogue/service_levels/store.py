"""Service levels as rows. In: a connection of a read or write unit. Out: values of `model`."""

from dataclasses import asdict, replace

import sqlalchemy as sa

from umbel.catalogue.model import EventState
from umbel.catalogue.service_levels.model import Commitment, ServiceLevel
from umbel.catalogue.store import events, providers
from umbel.kit.db import VersionMismatch, expect_one, metadata
from umbel.kit.sql import Command, Connection, ConstraintViolated, Query, given

service_levels = sa.Table(
    "service_levels",
    metadata,
    sa.Column("provider_id", sa.ForeignKey(providers.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("viewers", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("availability", sa.Float, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

_OF = service_levels.c.provider_id == given("of")
_ALL = Query(sa.select(service_levels).order_by(service_levels.c.provider_id), ServiceLevel)
_ONE = Query(sa.select(service_levels).where(_OF), ServiceLevel)
_ADD = Command(sa.insert(service_levels))
_CHANGE = Command(
    sa.update(service_levels).where(_OF & (service_levels.c.version == given("before"))),
    ["priority", "viewers", "height", "availability", "version"],
)
_WATCHABLE = [sa.literal(state.value) for state in (EventState.OPEN, EventState.LIVE)]
_EVENTS = Query(
    sa.select(events.c.provider_id, events.c.id)
    .where(events.c.state.in_(_WATCHABLE))
    .where(events.c.provider_id.in_(sa.select(service_levels.c.provider_id)))
    .order_by(events.c.id),
    lambda *, provider_id, id: (str(provider_id), str(id)),  # noqa: A006 -- the column's name
)


def level(connection: Connection, provider_id: str) -> ServiceLevel:
    """The provider's level; one of version 0 where nothing was promised."""
    return connection.first(_ONE, of=provider_id) or ServiceLevel(provider_id=provider_id)


def commitments(connection: Connection) -> list[Commitment]:
    """Every level with the provider's events that viewers may come to."""
    levels = connection.all(_ALL)
    watchable = connection.all(_EVENTS) if levels else []
    return [
        Commitment(
            level=level, events=tuple(id_ for owner, id_ in watchable if owner == level.provider_id)
        )
        for level in levels
    ]


def save(connection: Connection, changed: ServiceLevel) -> ServiceLevel:
    """Store it in place of that version. Raises VersionMismatch."""
    saved = replace(changed, version=changed.version + 1)
    row = asdict(saved)
    what = f"the service level of {saved.provider_id}"
    if changed.version == 0:
        try:
            connection.run(_ADD, **row)
        except ConstraintViolated as error:
            raise VersionMismatch(f"{what} was set in the meantime") from error
        return saved
    of = row.pop("provider_id")
    expect_one(connection.run(_CHANGE, of=of, before=changed.version, **row), what)
    return saved
