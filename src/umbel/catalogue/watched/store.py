"""What accounts watched, as rows. In: a connection of a read or write unit. Out: values of `model`.
Rows refer to account and event, and go with either."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.store import event_of, events, providers, users
from umbel.catalogue.visibility.store import remains_visible
from umbel.catalogue.watched.model import Spell, Watched
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

watched = sa.Table(
    "watched",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("first_s", sa.Float, nullable=False),
    sa.Column("last_s", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)

_OF, _EVENT = given("of"), given("event_")
_THE = (watched.c.username == _OF) & (watched.c.event_id == _EVENT)


def _watched(*, first_s: float, last_s: float, seconds: float, **row: Any) -> Watched:
    return Watched(event=event_of(**row), first_s=first_s, last_s=last_s, seconds=seconds)


_HELD_USER = Scalar(
    sa.select(users.c.username).where(users.c.username == _OF).with_for_update(), str
)
_ALL = Query(
    sa.select(
        watched.c.first_s,
        watched.c.last_s,
        watched.c.seconds,
        events,
        providers.c.name.label("provider_name"),
    )
    .join_from(watched, events)
    .join(providers, providers.c.id == events.c.provider_id)
    .where((watched.c.username == _OF) & remains_visible(watched.c.username))
    .order_by(watched.c.last_s.desc(), events.c.id),
    _watched,
)
_SPELL = Query(sa.select(watched.c.first_s, watched.c.last_s, watched.c.seconds).where(_THE), Spell)
_COUNT = Scalar(
    sa.select(sa.func.count()).select_from(watched).where(watched.c.username == _OF), int
)
_OLDEST = Scalar(
    sa.select(watched.c.event_id)
    .where(watched.c.username == _OF)
    .order_by(watched.c.last_s, watched.c.event_id)
    .limit(1),
    str,
)
_ADD = Command(sa.insert(watched))
_CHANGE = Command(sa.update(watched).where(_THE), ["first_s", "last_s", "seconds"])
_DROP = Command(sa.delete(watched).where(_THE))
_DROP_ALL = Command(sa.delete(watched).where(watched.c.username == _OF))


def hold_user(connection: Connection, username: str) -> bool:
    """Whether there is such an account; it is kept still until the unit ends."""
    return connection.scalar(_HELD_USER, of=username) is not None


def every(connection: Connection, username: str) -> list[Watched]:
    """The account's, those watched last first."""
    return connection.all(_ALL, of=username)


def spell(connection: Connection, username: str, event_id: str) -> Spell | None:
    """When the account watched the event; None when it did not."""
    return connection.first(_SPELL, of=username, event_=event_id)


def add(connection: Connection, username: str, event_id: str, new: Spell, *, most: int) -> None:
    """Insert, in place of the one watched longest ago where there are `most`."""
    while (connection.scalar(_COUNT, of=username) or 0) >= most:
        oldest = connection.scalar(_OLDEST, of=username)
        connection.run(_DROP, of=username, event_=oldest)
    connection.run(_ADD, username=username, event_id=event_id, **asdict(new))


def change(connection: Connection, username: str, event_id: str, now: Spell) -> None:
    """Update."""
    connection.run(_CHANGE, of=username, event_=event_id, **asdict(now))


def drop(connection: Connection, username: str, event_id: str) -> None:
    """Delete that one, if there is one."""
    connection.run(_DROP, of=username, event_=event_id)


def drop_all(connection: Connection, username: str) -> None:
    """Delete the account's."""
    connection.run(_DROP_ALL, of=username)
