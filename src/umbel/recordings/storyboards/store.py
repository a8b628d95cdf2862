"""Pictures of captures as rows. In: a connection of a read or write unit. Out: values of
`recordings.model`."""

from dataclasses import asdict

import sqlalchemy as sa

from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, given
from umbel.recordings.model import Picture
from umbel.recordings.store import captures

capture_pictures = sa.Table(
    "capture_pictures",
    metadata,
    sa.Column("capture_id", sa.ForeignKey(captures.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("position_s", sa.Float, nullable=False),
)

_ID = given("id_")
_COLUMNS = [column for column in capture_pictures.c if column.name != "capture_id"]
_ROWS = sa.select(*_COLUMNS).where(capture_pictures.c.capture_id == _ID)
_ALL = Query(_ROWS.order_by(capture_pictures.c.number), Picture)
_LAST = Query(_ROWS.order_by(capture_pictures.c.number.desc()).limit(1), Picture)
_ADD = Command(sa.insert(capture_pictures))


def every(connection: Connection, capture_id: str) -> list[Picture]:
    """The capture's pictures in order."""
    return connection.all(_ALL, id_=capture_id)


def last(connection: Connection, capture_id: str) -> Picture | None:
    """The newest one."""
    return connection.first(_LAST, id_=capture_id)


def add(connection: Connection, capture_id: str, new: Picture) -> None:
    """One more. Raises ConstraintViolated where there is one of that number."""
    connection.run(_ADD, capture_id=capture_id, **asdict(new))
