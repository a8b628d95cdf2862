"""Follows, and events that went live, as rows. In: a connection of a read or write unit. Out:
values of `model`."""

import sqlalchemy as sa

from umbel.catalogue.accounts.store import profiles
from umbel.catalogue.choices import store as choices
from umbel.catalogue.devices import store as devices
from umbel.catalogue.follows.model import Follow, Listener, WentLive
from umbel.catalogue.model import Event, EventState, Visibility
from umbel.catalogue.reservations.model import TO_WATCH
from umbel.catalogue.reservations.store import reservations
from umbel.catalogue.store import LISTED, event_of, events, providers, users
from umbel.catalogue.visibility.store import remains_visible
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

follows = sa.Table(
    "follows",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "provider_id",
        sa.ForeignKey(providers.c.id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    sa.Column("since_s", sa.Float, nullable=False),
)

went_live = sa.Table(
    "went_live",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("reader", sa.String(64), nullable=False),
    sa.Column("is_done", sa.Boolean, nullable=False, index=True),
)

_TO_WATCH = [sa.literal(one) for one in TO_WATCH]
_OF, _PROVIDER, _EVENT = given("of"), given("provider_"), given("event_")
_ALL = Query(
    sa.select(follows.c.provider_id, providers.c.name.label("provider_name"), follows.c.since_s)
    .join_from(follows, providers)
    .where(follows.c.username == _OF)
    .order_by(providers.c.name),
    Follow,
)
_COUNT = Scalar(
    sa.select(sa.func.count()).select_from(follows).where(follows.c.username == _OF), int
)
_THE = (follows.c.username == _OF) & (follows.c.provider_id == _PROVIDER)
_IS_FOLLOWED = Scalar(sa.select(follows.c.since_s).where(_THE), float)
_ADD = Command(sa.insert(follows))
_DROP = Command(sa.delete(follows).where(_THE))

_KNOWN = Scalar(sa.select(went_live.c.event_id).where(went_live.c.event_id == _EVENT), str)
_NOTE = Command(sa.insert(went_live))
_IS_OPEN = went_live.c.is_done == sa.false()
_ANY = Scalar(sa.select(went_live.c.event_id).where(_IS_OPEN).limit(1), str)
_NEXT = Query(
    sa.select(went_live.c.event_id, went_live.c.at_s, went_live.c.reader.label("cursor"))
    .where(_IS_OPEN)
    .order_by(went_live.c.at_s, went_live.c.event_id)
    .limit(1)
    .with_for_update(skip_locked=True),
    WentLive,
)
_PASS = Command(sa.update(went_live).where(went_live.c.event_id == _EVENT), ["reader", "is_done"])
_RESERVED = (
    sa.select(reservations.c.username)
    .join(events, events.c.id == reservations.c.event_id)
    .where((reservations.c.event_id == _EVENT) & (reservations.c.username > given("after")))
    .where(reservations.c.purpose.in_(_TO_WATCH))
    .where(remains_visible(reservations.c.username))
)
_FOLLOWING = sa.select(follows.c.username).where(
    (follows.c.provider_id == _PROVIDER) & (follows.c.username > given("after"))
)
_EITHER = sa.union(_RESERVED, _FOLLOWING).subquery()
_BOTH_READERS = Scalar(
    sa.select(_EITHER.c.username).order_by(_EITHER.c.username).limit(given("most")), str
)
_RESERVERS = Scalar(
    _RESERVED.order_by(reservations.c.username).limit(given("most")),
    str,
)
_EMAIL = Query(
    sa.select(profiles.c.email, profiles.c.is_verified).where(profiles.c.username == _OF),
    lambda *, email, is_verified: (email, is_verified),
)
_IS_RESERVED = sa.exists().where(
    (reservations.c.event_id == events.c.id)
    & (reservations.c.username == _OF)
    & (reservations.c.purpose.in_(_TO_WATCH))
)
_IS_OF_FOLLOWED = sa.exists().where(
    (follows.c.provider_id == events.c.provider_id) & (follows.c.username == _OF)
)
_LIVE = Query(
    sa.select(events, providers.c.name.label("provider_name"))
    .join_from(events, providers)
    .where(events.c.state == sa.literal(EventState.LIVE.value))
    .where((_IS_RESERVED & remains_visible(_OF)) | (_IS_OF_FOLLOWED & LISTED))
    .order_by(events.c.starts_s.desc(), events.c.id)
    .limit(given("most")),
    event_of,
)


def every(connection: Connection, username: str) -> list[Follow]:
    """Whom the account follows, by name."""
    return connection.all(_ALL, of=username)


def count(connection: Connection, username: str) -> int:
    """How many the account follows."""
    return connection.scalar(_COUNT, of=username) or 0


def since_s(connection: Connection, username: str, provider_id: str) -> float | None:
    """Since when the account follows the provider; None where it does not."""
    return connection.scalar(_IS_FOLLOWED, of=username, provider_=provider_id)


def add(connection: Connection, username: str, provider_id: str, since_s: float) -> None:
    """Insert; account and provider must be held."""
    connection.run(_ADD, username=username, provider_id=provider_id, since_s=since_s)


def drop(connection: Connection, username: str, provider_id: str) -> None:
    """Delete it, if there is one."""
    connection.run(_DROP, of=username, provider_=provider_id)


def live(connection: Connection, username: str, most: int) -> list[Event]:
    """What is live of what the account reserved or follows; the newest first."""
    return connection.all(_LIVE, of=username, most=most)


def note_live(connection: Connection, event_id: str, at_s: float) -> None:
    """The event, whose row is held, is live: announce it, unless that was noted before."""
    if connection.scalar(_KNOWN, event_=event_id) is None:
        connection.run(_NOTE, event_id=event_id, at_s=at_s, reader="", is_done=False)


def is_any(connection: Connection) -> bool:
    """Whether something is to be announced."""
    return connection.scalar(_ANY) is not None


def next_live(connection: Connection) -> WentLive | None:
    """An event to announce, held for this unit; what another one holds is left out."""
    return connection.first(_NEXT)


def pass_on(connection: Connection, event_id: str, reader: str, *, is_done: bool) -> None:
    """Accounts up to that name were looked at."""
    connection.run(_PASS, event_=event_id, reader=reader, is_done=is_done)


def listeners(connection: Connection, event: Event, after: str, most: int) -> list[Listener]:
    """The next accounts by name that reserved the event, or, where everybody may find it, follow
    its provider."""
    if event.visibility is Visibility.PUBLIC:
        names = connection.scalars(
            _BOTH_READERS, event_=event.id, provider_=event.provider_id, after=after, most=most
        )
    else:
        names = connection.scalars(_RESERVERS, event_=event.id, after=after, most=most)
    return [_listener(connection, name) for name in names]


def _listener(connection: Connection, username: str) -> Listener:
    email, is_verified = connection.first(_EMAIL, of=username) or ("", False)
    return Listener(
        username=username,
        choice=choices.of_account(connection, username),
        email=email,
        is_verified=bool(is_verified),
        devices=devices.ids(connection, username),
    )
