"""Reminders as rows: one for each account, event and start, written before the letter goes. In: a
connection of a read or write unit. Out: values of `model`."""

from typing import Any

import sqlalchemy as sa

from umbel.catalogue.accounts.store import profiles
from umbel.catalogue.model import EventState
from umbel.catalogue.reminders.model import Reminder
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.reservations.store import reservations
from umbel.catalogue.store import event_of, events, providers, users
from umbel.catalogue.visibility.store import remains_visible
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, given

reminders = sa.Table(
    "reminders",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("starts_s", sa.Float, primary_key=True),
    sa.Column("claimed_s", sa.Float, nullable=False),
)


def _reminder(*, username: str, email: str, **row: Any) -> Reminder:
    return Reminder(username=username, email=email, event=event_of(**row))


_AHEAD = [sa.literal(state.value) for state in (EventState.SCHEDULED, EventState.OPEN)]
_IS_CLAIMED = sa.exists().where(
    (reminders.c.username == reservations.c.username)
    & (reminders.c.event_id == events.c.id)
    & (reminders.c.starts_s == events.c.starts_s)
)
_DUE = (
    sa.select(
        reservations.c.username,
        profiles.c.email,
        events,
        providers.c.name.label("provider_name"),
    )
    .join_from(reservations, events)
    .join(providers, providers.c.id == events.c.provider_id)
    .join(profiles, profiles.c.username == reservations.c.username)
    .where(reservations.c.purpose == sa.literal(Purpose.WATCH.value))
    .where(events.c.state.in_(_AHEAD))
    .where((events.c.starts_s > given("now_s")) & (events.c.starts_s <= given("until_s")))
    .where(profiles.c.email != sa.literal(""))
    .where(~_IS_CLAIMED)
    .where(remains_visible(reservations.c.username))
    .order_by(events.c.starts_s, reservations.c.username)
    .limit(given("most"))
)
_ALL_DUE = Query(_DUE, _reminder)
_VERIFIED_DUE = Query(_DUE.where(profiles.c.is_verified), _reminder)
_OF = (
    (reminders.c.username == given("of"))
    & (reminders.c.event_id == given("event_"))
    & (reminders.c.starts_s == given("starts"))
)
_ADD = Command(sa.insert(reminders))
_DROP = Command(sa.delete(reminders).where(_OF))
_FORGET = Command(sa.delete(reminders).where(reminders.c.starts_s < given("before_s")))


def due(
    connection: Connection, now_s: float, until_s: float, *, most: int, verified: bool
) -> list[Reminder]:
    """Reservations of events that begin between now and then, without a claimed reminder; only
    of accounts with an address, which must be verified where `verified`."""
    query = _VERIFIED_DUE if verified else _ALL_DUE
    return connection.all(query, now_s=now_s, until_s=until_s, most=most)


def claim(connection: Connection, of: Reminder, now_s: float) -> None:
    """This unit's. Raises ConstraintViolated where another one has it."""
    event = of.event
    connection.run(
        _ADD, username=of.username, event_id=event.id, starts_s=event.starts_s, claimed_s=now_s
    )


def release(connection: Connection, of: Reminder) -> None:
    """Not claimed any more."""
    connection.run(_DROP, of=of.username, event_=of.event.id, starts=of.event.starts_s)


def forget(connection: Connection, before_s: float) -> None:
    """Delete those of events that began before then."""
    connection.run(_FORGET, before_s=before_s)
