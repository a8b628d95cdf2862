"""Reservations and calendars' addresses as rows. In: a connection of a read or write unit. Out:
values of `model`. Rows refer to account and event, and go with either. `remind_s` says when to look
for a reminder of it: 0 is at once, which is always right; NULL is never."""

from typing import Any

import sqlalchemy as sa

from umbel.catalogue.choices.model import Choice
from umbel.catalogue.choices.store import MOST_TEXT, parsed, reminder_choices, serialized
from umbel.catalogue.reservations.model import TO_WATCH, Purpose, Reservation
from umbel.catalogue.store import event_of, events, providers, users
from umbel.catalogue.visibility.store import remains_visible
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "event_id",
        sa.ForeignKey(events.c.id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    sa.Column("purpose", sa.String(8), nullable=False),
    sa.Column("reserved_s", sa.Float, nullable=False),
    sa.Column("leads", sa.String(MOST_TEXT)),
    sa.Column("channels", sa.String(MOST_TEXT)),
    sa.Column("changed_s", sa.Float),
    sa.Column("remind_s", sa.Float, index=True),
)

calendar_feeds = sa.Table(
    "calendar_feeds",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("created_s", sa.Float, nullable=False),
)

IS_TO_WATCH = reservations.c.purpose.in_([sa.literal(one) for one in TO_WATCH])
_OF, _EVENT = given("of"), given("event_")


def _choice(row: dict[str, Any], prefix: str) -> Choice | None:
    """Takes its columns out of the row."""
    leads, channels, changed_s = (
        row.pop(f"{prefix}_{name}") for name in ("leads", "channels", "changed_s")
    )
    return parsed(leads, channels, changed_s)


def _reservation(*, purpose: str, reserved_s: float, **row: Any) -> Reservation:
    own, of_account = _choice(row, "own"), _choice(row, "account")
    return Reservation(
        event=event_of(**row),
        purpose=Purpose(purpose),
        reserved_s=reserved_s,
        reminders=own or of_account or Choice(),
        has_own_reminders=own is not None,
    )


_HELD_USER = Scalar(
    sa.select(users.c.username).where(users.c.username == _OF).with_for_update(key_share=True),
    str,
)
_ROWS = (
    sa.select(
        reservations.c.purpose,
        reservations.c.reserved_s,
        *(
            table.c[name].label(f"{prefix}_{name}")
            for prefix, table in (("own", reservations), ("account", reminder_choices))
            for name in ("leads", "channels", "changed_s")
        ),
        events,
        providers.c.name.label("provider_name"),
    )
    .join_from(reservations, events)
    .join(providers, providers.c.id == events.c.provider_id)
    .outerjoin(reminder_choices, reminder_choices.c.username == reservations.c.username)
    .where((reservations.c.username == _OF) & remains_visible(reservations.c.username))
)
_ALL = Query(_ROWS.order_by(events.c.starts_s, events.c.id), _reservation)
_THE_ROW = Query(_ROWS.where(reservations.c.event_id == _EVENT), _reservation)
_BETWEEN = Query(
    _ROWS.where(events.c.starts_s < given("until_s"))
    .where(events.c.ends_s > given("from_s"))
    .order_by(events.c.starts_s, events.c.id),
    _reservation,
)
_COUNT = Scalar(
    sa.select(sa.func.count()).select_from(reservations).where(reservations.c.username == _OF), int
)
_THE = (reservations.c.username == _OF) & (reservations.c.event_id == _EVENT)
_COUNT_TO_WATCH = Scalar(
    sa.select(sa.func.count())
    .select_from(reservations)
    .where((reservations.c.event_id == _EVENT) & IS_TO_WATCH),
    int,
)
_ADD = Command(sa.insert(reservations))
_CHANGE = Command(sa.update(reservations).where(_THE), ["purpose", "remind_s"])
_CHOOSE = Command(
    sa.update(reservations).where(_THE), ["leads", "channels", "changed_s", "remind_s"]
)
_DROP = Command(sa.delete(reservations).where(_THE))
_WAKE_EVENT = Command(
    sa.update(reservations)
    .where(reservations.c.event_id == _EVENT)
    .values(remind_s=sa.literal(0.0))
)
_WAKE_ACCOUNT = Command(
    sa.update(reservations).where(reservations.c.username == _OF).values(remind_s=sa.literal(0.0))
)
_FEED = Scalar(sa.select(calendar_feeds.c.created_s).where(calendar_feeds.c.username == _OF), float)
_FEED_OWNER = Scalar(
    sa.select(calendar_feeds.c.username).where(calendar_feeds.c.secret_hash == given("hash_")), str
)
_ADD_FEED = Command(sa.insert(calendar_feeds))
_DROP_FEED = Command(sa.delete(calendar_feeds).where(calendar_feeds.c.username == _OF))


def count_to_watch(connection: Connection, event_id: str) -> int:
    """How many accounts reserved the event to watch it."""
    return connection.scalar(_COUNT_TO_WATCH, event_=event_id) or 0


def hold_user(connection: Connection, username: str) -> bool:
    """Whether there is such an account; it is kept still until the unit ends."""
    return connection.scalar(_HELD_USER, of=username) is not None


def every(connection: Connection, username: str) -> list[Reservation]:
    """The account's, by the events' start."""
    return connection.all(_ALL, of=username)


def the(connection: Connection, username: str, event_id: str) -> Reservation | None:
    """The account's of that event."""
    return connection.first(_THE_ROW, of=username, event_=event_id)


def between(
    connection: Connection, username: str, from_s: float, until_s: float
) -> list[Reservation]:
    """The account's whose events are on in that time, by the events' start."""
    return connection.all(_BETWEEN, of=username, from_s=from_s, until_s=until_s)


def count(connection: Connection, username: str) -> int:
    """How many the account has."""
    return connection.scalar(_COUNT, of=username) or 0


def put(connection: Connection, username: str, new: Reservation) -> None:
    """Store it in place of the account's other one of the same event, which keeps its choice of
    reminders."""
    event_id, purpose = new.event.id, new.purpose.value
    if connection.run(_CHANGE, of=username, event_=event_id, purpose=purpose, remind_s=0.0):
        return
    connection.run(
        _ADD,
        username=username,
        event_id=event_id,
        purpose=purpose,
        reserved_s=new.reserved_s,
        remind_s=0.0,
        **serialized(None),
    )


def choose(connection: Connection, username: str, event_id: str, own: Choice | None) -> bool:
    """Have a choice of reminders of its own, or the account's. False where nothing is reserved."""
    row = serialized(own)
    return connection.run(_CHOOSE, of=username, event_=event_id, remind_s=0.0, **row) == 1


def wake_event(connection: Connection, event_id: str) -> None:
    """Look again for reminders of the event: it was moved, or is ahead again."""
    connection.run(_WAKE_EVENT, event_=event_id)


def wake_account(connection: Connection, username: str) -> None:
    """Look again for reminders of all that the account reserved."""
    connection.run(_WAKE_ACCOUNT, of=username)


def drop(connection: Connection, username: str, event_id: str) -> bool:
    """Delete it. False when there was none."""
    return connection.run(_DROP, of=username, event_=event_id) == 1


def feed_created_s(connection: Connection, username: str) -> float | None:
    """When the account's calendar got its address; None when it has none."""
    return connection.scalar(_FEED, of=username)


def feed_owner(connection: Connection, secret_hash: str) -> str | None:
    """Whose calendar has that address."""
    return connection.scalar(_FEED_OWNER, hash_=secret_hash)


def put_feed(connection: Connection, username: str, secret_hash: str, created_s: float) -> None:
    """Give the account's calendar this address in place of any other."""
    drop_feed(connection, username)
    connection.run(_ADD_FEED, username=username, secret_hash=secret_hash, created_s=created_s)


def drop_feed(connection: Connection, username: str) -> None:
    """Revoke the address, if there is one."""
    connection.run(_DROP_FEED, of=username)
