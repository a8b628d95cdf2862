"""Predictions as rows: the last one that was made before an event's start is kept, also after the
event. In: a connection of a read or write unit. Out: values of `model`."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.delivery.demand.model import Prediction
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, given

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("event_id", sa.String(64), primary_key=True),
    sa.Column("starts_s", sa.Float, nullable=False),
    sa.Column("ends_s", sa.Float, nullable=False),
    sa.Column("made_s", sa.Float, nullable=False),
    sa.Column("reservations", sa.Integer, nullable=False),
    sa.Column("show_up", sa.Float, nullable=False),
    sa.Column("walk_ins", sa.Float, nullable=False),
    sa.Column("earlier", sa.Integer, nullable=False),
    sa.Column("viewers", sa.JSON, nullable=False),
    sa.Column("shape", sa.JSON, nullable=False),
    sa.Column("yields_until_s", sa.Float, nullable=False),
)

_OF = given("of")
_THE = predictions.c.event_id == _OF


def _prediction(*, shape: list[float], **row: Any) -> Prediction:
    return Prediction(shape=tuple(shape), **row)


_ONE = Query(sa.select(predictions).where(_THE), _prediction)
_PUT = (
    "starts_s",
    "ends_s",
    "made_s",
    "reservations",
    "show_up",
    "walk_ins",
    "earlier",
    "viewers",
    "shape",
)
_CHANGE = Command(sa.update(predictions).where(_THE), _PUT)
_ADD = Command(sa.insert(predictions))
_YIELD = Command(sa.update(predictions).where(_THE), ["yields_until_s"])


def prediction(connection: Connection, event_id: str) -> Prediction | None:
    """The event's; None where none was made."""
    return connection.first(_ONE, of=event_id)


def put(connection: Connection, new: Prediction) -> None:
    """Store it in place of the event's other one, which goes on yielding if it does."""
    row = {**asdict(new), "viewers": dict(new.viewers), "shape": list(new.shape)}
    changed = {name: row[name] for name in _PUT}
    if not connection.run(_CHANGE, of=new.event_id, **changed):
        connection.run(_ADD, **row)


def those(connection: Connection, event_ids: Collection[str]) -> dict[str, Prediction]:
    """The predictions of these events, by event."""
    found = (prediction(connection, event_id) for event_id in event_ids)
    return {one.event_id: one for one in found if one is not None}


def give_way(connection: Connection, event_ids: Collection[str], until_s: float) -> None:
    """Nothing is made in advance for these events until then."""
    connection.run_many(
        _YIELD, ({"of": event_id, "yields_until_s": until_s} for event_id in sorted(event_ids))
    )
