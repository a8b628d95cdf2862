"""Devices as rows. In: a connection of a read or write unit. Out: values of `model`. An endpoint is
one browser's: it is in one row, of the account that subscribed last."""

from dataclasses import asdict

import sqlalchemy as sa

from umbel.catalogue import rules
from umbel.catalogue.devices.model import Device
from umbel.catalogue.store import users
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

push_devices = sa.Table(
    "push_devices",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column(
        "username",
        sa.ForeignKey(users.c.username, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("endpoint", sa.String(1024), nullable=False),
    sa.Column("endpoint_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("p256dh", sa.String(128), nullable=False),
    sa.Column("auth", sa.String(32), nullable=False),
    sa.Column("label", sa.String(128), nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
)

_OF = given("of")
_ALL = Query(
    sa.select(*(column for column in push_devices.c if column.name != "endpoint_hash"))
    .where(push_devices.c.username == _OF)
    .order_by(push_devices.c.created_s, push_devices.c.id),
    Device,
)
_IDS = Scalar(sa.select(push_devices.c.id).where(push_devices.c.username == _OF), str)
_ADD = Command(sa.insert(push_devices))
_DROP = Command(
    sa.delete(push_devices).where(
        (push_devices.c.id == given("id_")) & (push_devices.c.username == _OF)
    )
)
_DROP_ENDPOINT = Command(
    sa.delete(push_devices).where(push_devices.c.endpoint_hash == given("hash_"))
)
_DROP_ANY = Command(sa.delete(push_devices).where(push_devices.c.id == given("id_")))


def every(connection: Connection, username: str) -> list[Device]:
    """The account's, the oldest first."""
    return connection.all(_ALL, of=username)


def ids(connection: Connection, username: str) -> list[str]:
    """The ids of the account's."""
    return connection.scalars(_IDS, of=username)


def add(connection: Connection, new: Device) -> None:
    """Store it. Raises ConstraintViolated where its endpoint is in a row."""
    connection.run(_ADD, endpoint_hash=rules.key_hash(new.endpoint), **asdict(new))


def drop(connection: Connection, username: str, device_id: str) -> bool:
    """Delete the account's. False where it has none of that id."""
    return connection.run(_DROP, of=username, id_=device_id) == 1


def drop_endpoint(connection: Connection, endpoint: str) -> None:
    """Delete whatever row has the endpoint."""
    connection.run(_DROP_ENDPOINT, hash_=rules.key_hash(endpoint))


def forget(connection: Connection, device_id: str) -> None:
    """Delete it, whatever account it is of."""
    connection.run(_DROP_ANY, id_=device_id)
