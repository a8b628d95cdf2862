"""Attendance as rows: an event's minutes, its places and its sums, and how far the journal was
counted. In: a connection of a read or write unit. Out: values of `model`."""

from typing import Any

import sqlalchemy as sa

from umbel.delivery.attendance.model import (
    MOST_MINUTES,
    Attendance,
    Gathered,
    Minute,
    NodeAttendance,
    ProtocolAttendance,
    Share,
)
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given


def _sums() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("watched_s", sa.Float, nullable=False),
        sa.Column("peak", sa.Integer, nullable=False),
    )


minutes = sa.Table(
    "attendance_minutes",
    metadata,
    sa.Column("event_id", sa.String(64), primary_key=True),
    sa.Column("at_s", sa.BigInteger, primary_key=True),
    *_sums(),
)
places = sa.Table(
    "attendance_places",
    metadata,
    sa.Column("event_id", sa.String(64), primary_key=True),
    sa.Column("access_node", sa.String(64), primary_key=True),
    sa.Column("edge_node", sa.String(64), primary_key=True),
    *_sums(),
)
protocols = sa.Table(
    "attendance_protocols",
    metadata,
    sa.Column("event_id", sa.String(64), primary_key=True),
    sa.Column("protocol", sa.String(16), primary_key=True),
    *_sums(),
)
totals = sa.Table(
    "attendance_totals",
    metadata,
    sa.Column("event_id", sa.String(64), primary_key=True),
    *_sums(),
)
counted = sa.Table(
    "attendance_counted",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

_NAME = "journal"
_EVENT = given("of")
_SUMS = ("opened", "watched_s", "peak")


def _share(table: sa.Table, *keys: str) -> tuple[Query[Share], Command, Command]:
    """How a row is read, changed and added."""
    where = sa.and_(*(table.c[key] == given(f"its_{key}") for key in keys))
    return (
        Query(sa.select(*(table.c[name] for name in _SUMS)).where(where), Share),
        Command(sa.update(table).where(where), _SUMS),
        Command(sa.insert(table)),
    )


_MINUTE = _share(minutes, "event_id", "at_s")
_PLACE = _share(places, "event_id", "access_node", "edge_node")
_PROTOCOL = _share(protocols, "event_id", "protocol")
_TOTAL = _share(totals, "event_id")
_MINUTES = Query(
    sa.select(minutes.c.at_s, *(minutes.c[name] for name in _SUMS))
    .where(minutes.c.event_id == _EVENT)
    .order_by(minutes.c.at_s),
    lambda *, at_s, **sums: Minute(at_s=at_s, share=Share(**sums)),
)
_PLACES = Query(
    sa.select(places.c.access_node, places.c.edge_node, *(places.c[name] for name in _SUMS))
    .where(places.c.event_id == _EVENT)
    .order_by(places.c.watched_s.desc(), places.c.access_node, places.c.edge_node),
    lambda *, access_node, edge_node, **sums: NodeAttendance(
        access_node=access_node, edge_node=edge_node, share=Share(**sums)
    ),
)
_PROTOCOLS = Query(
    sa.select(protocols.c.protocol, *(protocols.c[name] for name in _SUMS))
    .where(protocols.c.event_id == _EVENT)
    .order_by(protocols.c.watched_s.desc(), protocols.c.protocol),
    lambda *, protocol, **sums: ProtocolAttendance(protocol=protocol, share=Share(**sums)),
)
_COUNT = Scalar(
    sa.select(sa.func.count()).select_from(minutes).where(minutes.c.event_id == _EVENT), int
)
_SEQ = Scalar(sa.select(counted.c.seq).where(counted.c.name == sa.literal(_NAME)), int)
_SET_SEQ = Command(sa.update(counted).where(counted.c.name == sa.literal(_NAME)), ["seq"])
_ADD_SEQ = Command(sa.insert(counted))


def seq(connection: Connection) -> int | None:
    """Up to which entry the journal was counted; None before the first time."""
    return connection.scalar(_SEQ)


def add(connection: Connection, gathered: Gathered, upto: int) -> None:
    """Add what was gathered from entries up to that one."""
    for event_id, share in gathered.events.items():
        _put(connection, _TOTAL, {"event_id": event_id}, share)
    for (event_id, access_node, edge_node), share in gathered.places.items():
        keys = {"event_id": event_id, "access_node": access_node, "edge_node": edge_node}
        _put(connection, _PLACE, keys, share)
    for (event_id, protocol), share in gathered.protocols.items():
        _put(connection, _PROTOCOL, {"event_id": event_id, "protocol": protocol}, share)
    room: dict[str, int] = {}
    for (event_id, at_s), share in sorted(gathered.minutes.items()):
        if event_id not in room:
            room[event_id] = MOST_MINUTES - (connection.scalar(_COUNT, of=event_id) or 0)
        keys_ = {"event_id": event_id, "at_s": at_s}
        room[event_id] -= _put(connection, _MINUTE, keys_, share, may_add=room[event_id] > 0)
    if not connection.run(_SET_SEQ, seq=upto):
        connection.run(_ADD_SEQ, name=_NAME, seq=upto)


def attendance(connection: Connection, event_id: str, reservations: int) -> Attendance:
    """All that is kept of the event."""
    return Attendance(
        event_id=event_id,
        whole=connection.first(_TOTAL[0], its_event_id=event_id) or Share(),
        minutes=tuple(connection.all(_MINUTES, of=event_id)),
        places=tuple(connection.all(_PLACES, of=event_id)),
        protocols=tuple(connection.all(_PROTOCOLS, of=event_id)),
        reservations=reservations,
    )


def _put(
    connection: Connection,
    statements: tuple[Query[Share], Command, Command],
    keys: dict[str, Any],
    share: Share,
    *,
    may_add: bool = True,
) -> bool:
    """Add to a row; whether a new one was needed."""
    read, change, insert = statements
    named = {f"its_{key}": value for key, value in keys.items()}
    before = connection.first(read, **named)
    if before is not None:
        connection.run(change, **vars(before.plus(share)), **named)
    elif may_add:
        connection.run(insert, **keys, **vars(share))
        return True
    return False
