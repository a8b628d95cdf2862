"""Predictions as rows: the last one that was made before an event's start is kept, also after the
event. In: a connection of a read or write unit. Out: values of `model`."""

from collections.abc import Collection, Iterable
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
    sa.Column("yields", sa.JSON, nullable=False),
    sa.Index("ix_predictions_starts_s", "starts_s"),
)

_OF = given("of")
_THE = predictions.c.event_id == _OF


def _prediction(*, shape: list[float], **row: Any) -> Prediction:
    return Prediction(shape=tuple(shape), **row)


_ONE = Query(sa.select(predictions).where(_THE), _prediction)
_BETWEEN = Query(
    sa.select(predictions).where(
        (predictions.c.starts_s > given("from_s")) & (predictions.c.starts_s <= given("until_s"))
    ),
    _prediction,
)
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
_HELD = Query(sa.select(predictions.c.yields).where(_THE).with_for_update(), dict[str, Any])
_YIELD = Command(sa.update(predictions).where(_THE), ["yields"])


def prediction_of(connection: Connection, event_id: str) -> Prediction | None:
    """The event's; None where none was made."""
    return connection.first(_ONE, of=event_id)


def predictions_between(
    connection: Connection, from_s: float, until_s: float
) -> dict[str, Prediction]:
    """The predictions for a start after `from_s`, until `until_s`, by event."""
    found = connection.all(_BETWEEN, from_s=from_s, until_s=until_s)
    return {one.event_id: one for one in found}


def put(connection: Connection, made: Iterable[Prediction]) -> None:
    """Store each in place of its event's other one, which goes on yielding where it does."""
    for new in made:
        row = {**asdict(new), "shape": list(new.shape)}
        changed = {name: row[name] for name in _PUT}
        if not connection.run(_CHANGE, of=new.event_id, **changed):
            connection.run(_ADD, **row)


def give_way(
    connection: Connection, event_ids: Collection[str], nodes: Collection[str], until_s: float
) -> None:
    """Nothing is made in advance for these events at these nodes until then."""
    for event_id in sorted(event_ids):  # each in this order: no two instances wait for each other
        held = connection.first(_HELD, of=event_id)
        if held is not None:
            yields = {**held["yields"], **dict.fromkeys(nodes, until_s)}
            connection.run(_YIELD, of=event_id, yields=yields)
