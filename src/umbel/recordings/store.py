"""Captures, their segments and maps as rows. In: a connection of a read or write unit. Out: values
of `model`. Neighbour: kept/store.py has what viewers keep of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.model import OVER, EventState
from umbel.catalogue.store import events
from umbel.kit.db import expect_one, metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.recordings.model import Capture, CaptureState, Segment

captures = sa.Table(
    "captures",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("event_id", sa.ForeignKey(events.c.id), nullable=False, index=True),
    sa.Column("stream", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("boot", sa.String(64), nullable=False),
    sa.Column("after", sa.Integer, nullable=False),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("item_parts", sa.Integer, nullable=False),
    sa.Column("segments", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("run_zero_s", sa.Float, nullable=False),
    sa.Column("dropped", sa.Integer, nullable=False),
    sa.Column("problem", sa.String(500), nullable=False),
    sa.Column("started_s", sa.Float, nullable=False),
    sa.Column("over_s", sa.Float, nullable=True),
    sa.Column("version", sa.Integer, nullable=False),
)
capture_maps = sa.Table(
    "capture_maps",
    metadata,
    sa.Column("capture_id", sa.ForeignKey(captures.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
capture_segments = sa.Table(
    "capture_segments",
    metadata,
    sa.Column("capture_id", sa.ForeignKey(captures.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("map_number", sa.Integer, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("position_s", sa.Float, nullable=False),
    sa.Column("base_s", sa.Float, nullable=False),
    sa.Column("began_s", sa.Float, nullable=False),
    sa.Column("is_break", sa.Boolean, nullable=False),
    sa.Column("wall_s", sa.Float, nullable=False),
)


def _capture(*, state: str, **row: Any) -> Capture:
    return Capture(state=CaptureState(state), **row)


_ID, _STREAM, _EVENT = given("id_"), given("stream_"), given("event_")
_ROWS = sa.select(captures)
_BY_ID = Query(_ROWS.where(captures.c.id == _ID), _capture)
_BY_STREAM = Query(_ROWS.where(captures.c.stream == _STREAM), _capture)
_RUNNING = Query(_ROWS.where(captures.c.state == CaptureState.RUNNING.value), _capture)
_ADD = Command(sa.insert(captures))
_CHANGE = Command(
    sa.update(captures).where((captures.c.id == _ID) & (captures.c.version == given("before"))),
    [column.name for column in captures.c],
)
_DROP = Command(sa.delete(captures).where(captures.c.id == _ID))
_ADD_SEGMENT = Command(sa.insert(capture_segments))
_OF_THIS = capture_segments.c.capture_id == _ID
_COLUMNS = [column for column in capture_segments.c if column.name != "capture_id"]
_SEGMENTS = Query(
    sa.select(*_COLUMNS)
    .where(_OF_THIS & (capture_segments.c.number >= given("first")))
    .order_by(capture_segments.c.number),
    Segment,
)
_ITEMS = Scalar(sa.select(capture_segments.c.item).where(_OF_THIS).distinct(), str)
_ADD_MAP = Command(sa.insert(capture_maps))
_MAPS = Query(
    sa.select(capture_maps.c.number, capture_maps.c.body).where(capture_maps.c.capture_id == _ID),
    lambda *, number, body: (int(number), bytes(body)),
)
_EVENT_STATE = Scalar(sa.select(events.c.state).where(events.c.id == _EVENT), str)


def by_id(connection: Connection, capture_id: str) -> Capture | None:
    """That capture."""
    return connection.first(_BY_ID, id_=capture_id)


@cache
def _among(length: int) -> Scalar[str]:
    named = [given(f"id_{number}") for number in range(length)]
    return Scalar(sa.select(captures.c.id).where(captures.c.id.in_(named)), str)


def missing(connection: Connection, capture_ids: Sequence[str]) -> tuple[str, ...]:
    """Those of these captures that are deleted."""
    if not capture_ids:
        return ()
    # A few lengths, so that few statements are compiled: the last id fills up.
    length = 1 << (len(capture_ids) - 1).bit_length()
    filled = [*capture_ids, *[capture_ids[-1]] * (length - len(capture_ids))]
    values = {f"id_{number}": id_ for number, id_ in enumerate(filled)}
    there = set(connection.scalars(_among(length), **values))
    return tuple(id_ for id_ in capture_ids if id_ not in there)


def by_stream(connection: Connection, stream: str) -> Capture | None:
    """The stream's capture."""
    return connection.first(_BY_STREAM, stream_=stream)


def running(connection: Connection) -> list[Capture]:
    """Every capture that more is to come to."""
    return connection.all(_RUNNING)


def add(connection: Connection, capture: Capture) -> None:
    """A new capture. Raises ConstraintViolated where the stream has one."""
    connection.run(_ADD, **_row(capture))


def change(connection: Connection, before: Capture, after: Capture) -> Capture:
    """Raises VersionMismatch where somebody else changed it."""
    new = replace(after, version=before.version + 1)
    count = connection.run(_CHANGE, id_=before.id, before=before.version, **_row(new))
    expect_one(count, before.id)
    return new


def drop(connection: Connection, capture_id: str) -> None:
    """With its segments and maps."""
    connection.run(_DROP, id_=capture_id)


def add_segments(connection: Connection, capture_id: str, new: Sequence[Segment]) -> None:
    """Segments that come after all others."""
    connection.run_many(_ADD_SEGMENT, [{"capture_id": capture_id, **asdict(one)} for one in new])


def segments(connection: Connection, capture_id: str, first: int = 0) -> list[Segment]:
    """The capture's segments from that number on, in order."""
    return connection.all(_SEGMENTS, id_=capture_id, first=first)


def items(connection: Connection, capture_id: str) -> list[str]:
    """The items of the repository that have the capture's bytes."""
    return connection.scalars(_ITEMS, id_=capture_id)


def add_map(connection: Connection, capture_id: str, number: int, body: bytes) -> None:
    """An initialisation section of its segments."""
    connection.run(_ADD_MAP, capture_id=capture_id, number=number, body=body)


def maps(connection: Connection, capture_id: str) -> Mapping[int, bytes]:
    """The initialisation sections by number."""
    return dict(connection.all(_MAPS, id_=capture_id))


def is_over(connection: Connection, event_id: str) -> bool:
    """Whether nothing more can come of the event."""
    state = connection.scalar(_EVENT_STATE, event_=event_id)
    return state is None or EventState(state) in OVER


def _row(capture: Capture) -> dict[str, Any]:
    return asdict(capture) | {"state": capture.state.value}
