"""The catalogue's tables and queries. In: a connection of a read or write unit, and values of
`model`. Out: values again; a missing row or a broken constraint becomes the domain's own error.

Rows carry a version. `for_update` keeps a row still until the write unit ends (PostgreSQL;
SQLite has one writer anyway).
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from umbel.catalogue import rules
from umbel.catalogue.model import (
    OVER,
    Event,
    EventState,
    NoSuchEvent,
    NoSuchProvider,
    NoSuchUser,
    Provider,
    ProviderExists,
    ProviderInUse,
    User,
    UserExists,
    UserRole,
    Visibility,
)
from umbel.catalogue.words import store as words
from umbel.kit import journal
from umbel.kit.db import expect_one, metadata
from umbel.kit.sql import Command, Connection, ConstraintViolated, Query, Scalar, given

providers = sa.Table(
    "providers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(rules.MOST_NAME), nullable=False, unique=True),
    sa.Column("access_node", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("username", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("provider_id", sa.ForeignKey(providers.c.id), nullable=True, index=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("generation", sa.String(32), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("provider_id", sa.ForeignKey(providers.c.id), nullable=False, index=True),
    sa.Column("title", sa.String(rules.MOST_TITLE), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("starts_s", sa.Float, nullable=False),
    sa.Column("ends_s", sa.Float, nullable=False),
    sa.Column("vp8", sa.Boolean, nullable=False),
    sa.Column("visibility", sa.String(16), nullable=False),
    sa.Column("time_zone", sa.String(100), nullable=False),
    sa.Column("picture", sa.String(64), nullable=False),
    sa.Column("series_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_events_state_ends_s", "state", "ends_s"),
    sa.Index("ix_events_starts_s", "starts_s"),
    sa.Index("ix_events_provider_id_starts_s", "provider_id", "starts_s"),
    sa.Index("ix_events_provider_id_state", "provider_id", "state"),
    sa.Index("ix_events_state_starts_s", "state", "starts_s", "id"),
    sa.Index("ix_events_series_id_starts_s", "series_id", "starts_s"),
)

stream_keys = sa.Table(
    "stream_keys",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id), primary_key=True),
    sa.Column("key_hash", sa.String(64), nullable=False),
    sa.Column("issued_s", sa.Float, nullable=False),
)

LISTED = events.c.visibility == sa.literal(Visibility.PUBLIC.value)
"""Whether everybody finds the event. Every list, feed and search of events for strangers has this
condition; in Python it is `Event.is_listed`."""

_ID = given("id_")


def _user(*, provider_id: str | None, role: str, **row: Any) -> User:
    return User(role=UserRole(role), provider_id=provider_id or "", **row)


def event_of(*, state: str, visibility: str, **row: Any) -> Event:
    """An event out of the columns of `events`, with its provider's name."""
    return Event(state=EventState(state), visibility=Visibility(visibility), **row)


_USER = sa.select(
    users.c.username, users.c.role, users.c.provider_id, users.c.generation, users.c.version
)
_ALL_USERS = Query(_USER.order_by(users.c.username), _user)
_THE_USER = Query(_USER.where(users.c.username == _ID), _user)
_PASSWORD_HASH = Scalar(sa.select(users.c.password_hash).where(users.c.username == _ID), str)
_ADD_USER = Command(sa.insert(users))
_SET_PASSWORD = Command(
    sa.update(users).where(users.c.username == _ID), ["password_hash", "generation"]
)
_REMOVE_USER = Command(sa.delete(users).where(users.c.username == _ID))
_OPERATORS = Scalar(
    sa.select(users.c.username).where(users.c.role == UserRole.OPERATOR.value).with_for_update(),
    str,
)

_PROVIDER = sa.select(providers).where(providers.c.id == _ID)
_ALL_PROVIDERS = Query(sa.select(providers).order_by(providers.c.name), Provider)
_THE_PROVIDER = Query(_PROVIDER, Provider)
_HELD_PROVIDER = Query(_PROVIDER.with_for_update(read=True, key_share=True), Provider)
_LOCKED_PROVIDER = Query(_PROVIDER.with_for_update(), Provider)
_ADD_PROVIDER = Command(sa.insert(providers))
_CHANGE_PROVIDER = Command(
    sa.update(providers).where((providers.c.id == _ID) & (providers.c.version == given("before"))),
    ["name", "access_node", "version"],
)
_REMOVE_PROVIDER = Command(sa.delete(providers).where(providers.c.id == _ID))

_WITH_PROVIDER = sa.select(events, providers.c.name.label("provider_name")).join_from(
    events, providers
)
_THE_EVENT = Query(_WITH_PROVIDER.where(events.c.id == _ID), event_of)
_HELD_EVENT = Query(
    _WITH_PROVIDER.where(events.c.id == _ID).with_for_update(of=events, key_share=True), event_of
)
IS_NOT_OVER = events.c.state.in_([sa.literal(one.value) for one in EventState if one not in OVER])
_OVERLAPPING = Query(
    _WITH_PROVIDER.where(IS_NOT_OVER & (events.c.id != _ID))
    .where(events.c.provider_id == given("of"))
    .where((events.c.starts_s < given("until_s")) & (events.c.ends_s > given("from_s")))
    .order_by(events.c.starts_s, events.c.id)
    .limit(given("most", sa.Integer)),
    event_of,
)
_SHOWS = Scalar(sa.select(events.c.id).where(events.c.picture == _ID).limit(1), str)
_DUE = Scalar(
    sa.select(events.c.id)
    .where(IS_NOT_OVER & (events.c.ends_s <= given("now_s")))
    .order_by(events.c.ends_s),
    str,
)
_COUNTS = Query(
    sa.select(events.c.state, sa.func.count().label("count")).group_by(events.c.state),
    lambda *, state, count: (EventState(state), int(count)),
)
_ADD_EVENT = Command(sa.insert(events))
_TEXTS = Query(
    sa.select(events.c.title, events.c.description).where(events.c.id == _ID),
    lambda *, title, description: (title, description),
)
_CHANGE_EVENT = Command(
    sa.update(events).where((events.c.id == _ID) & (events.c.version == given("before"))),
    [column.name for column in events.c],
)

_KEY_HASH = Scalar(sa.select(stream_keys.c.key_hash).where(stream_keys.c.event_id == _ID), str)
_PUT_KEY = Command(sa.insert(stream_keys))
_CLEAR_KEY = Command(sa.delete(stream_keys).where(stream_keys.c.event_id == _ID))
_DROP_KEY = Command(
    sa.delete(stream_keys).where(
        (stream_keys.c.event_id == _ID) & (stream_keys.c.key_hash == given("that"))
    )
)


class Unit:
    """A write unit with what the journal will say of it: told as it goes, recorded last."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._told: list[tuple[str, str, Mapping[str, object]]] = []

    def journal(self, kind: str, subject: str, body: Mapping[str, object]) -> None:
        """Something changed. `body` is for everybody's eyes: no secrets, no hashes. What it says
        of an event that is not listed reaches only those who run it."""
        self._told.append((kind, subject, body))

    def record(self, at_s: float) -> None:
        """Write the entries; nothing else may be written after."""
        for kind, subject, body in self._told:
            journal.record(self.connection, at_s=at_s, kind=kind, subject=subject, body=body)


def all_users(connection: Connection) -> list[User]:
    """Every user by name."""
    return connection.all(_ALL_USERS)


def user(connection: Connection, username: str) -> User:
    """That user. Raises NoSuchUser."""
    found = connection.first(_THE_USER, id_=username)
    if found is None:
        raise NoSuchUser(username=username)
    return found


def password_hash(connection: Connection, username: str) -> str | None:
    """The user's hash, None when no user has that name."""
    return connection.scalar(_PASSWORD_HASH, id_=username)


def add_user(connection: Connection, new: User, password_hash: str) -> None:
    """Insert. Raises UserExists, NoSuchProvider."""
    if new.provider_id:
        hold_provider(connection, new.provider_id)
    try:
        connection.run(
            _ADD_USER,
            username=new.username,
            role=new.role.value,
            provider_id=new.provider_id or None,
            password_hash=password_hash,
            generation=new.generation,
            version=new.version,
        )
    except ConstraintViolated as error:
        raise UserExists(username=new.username) from error


def set_password_hash(connection: Connection, username: str, hashed: str, generation: str) -> None:
    """Update. Raises NoSuchUser."""
    row = {"password_hash": hashed, "generation": generation}
    if not connection.run(_SET_PASSWORD, id_=username, **row):
        raise NoSuchUser(username=username)


def remove_user(connection: Connection, username: str) -> None:
    """Delete. Raises NoSuchUser."""
    if not connection.run(_REMOVE_USER, id_=username):
        raise NoSuchUser(username=username)


def operators(connection: Connection) -> list[str]:
    """Every operator's name, held still until the unit ends."""
    return connection.scalars(_OPERATORS)


def all_providers(connection: Connection) -> list[Provider]:
    """Every provider by name."""
    return connection.all(_ALL_PROVIDERS)


def provider(connection: Connection, provider_id: str) -> Provider:
    """That provider. Raises NoSuchProvider."""
    return _found(connection.first(_THE_PROVIDER, id_=provider_id), provider_id)


def hold_provider(connection: Connection, provider_id: str) -> Provider:
    """That provider, kept from being removed until the unit ends. Raises NoSuchProvider."""
    return _found(connection.first(_HELD_PROVIDER, id_=provider_id), provider_id)


def lock_provider(connection: Connection, provider_id: str) -> Provider:
    """That provider, held for the unit alone. Raises NoSuchProvider."""
    return _found(connection.first(_LOCKED_PROVIDER, id_=provider_id), provider_id)


def add_provider(connection: Connection, new: Provider) -> None:
    """Insert. Raises ProviderExists."""
    try:
        connection.run(_ADD_PROVIDER, **asdict(new))
    except ConstraintViolated as error:
        raise ProviderExists(name=new.name) from error
    words.put_provider(connection, new.id, new.name)


def change_provider(connection: Connection, changed: Provider) -> Provider:
    """Update the row of that version. Raises VersionMismatch, ProviderExists."""
    after = replace(changed, version=changed.version + 1)
    row = {"name": after.name, "access_node": after.access_node, "version": after.version}
    try:
        count = connection.run(_CHANGE_PROVIDER, id_=changed.id, before=changed.version, **row)
    except ConstraintViolated as error:
        raise ProviderExists(name=changed.name) from error
    expect_one(count, f"provider {changed.id}")
    words.put_provider(connection, after.id, after.name)
    return after


def remove_provider(connection: Connection, provider_id: str) -> None:
    """Delete. Raises NoSuchProvider, ProviderInUse."""
    try:
        count = connection.run(_REMOVE_PROVIDER, id_=provider_id)
    except ConstraintViolated as error:
        raise ProviderInUse(provider=provider_id) from error
    if not count:
        raise NoSuchProvider(provider=provider_id)


def list_events(
    connection: Connection,
    *,
    states: Collection[EventState],
    provider_ids: Collection[str],
    most: int,
    listed: bool,
) -> list[Event]:
    """Events by start, the `most` newest; no states means any, no providers means all. `listed`:
    only those that everybody finds."""
    query = _WITH_PROVIDER.order_by(events.c.starts_s.desc(), events.c.id.desc()).limit(most)
    if states:
        query = query.where(events.c.state.in_([sa.literal(state.value) for state in states]))
    if provider_ids:
        query = query.where(events.c.provider_id.in_([sa.literal(id_) for id_ in provider_ids]))
    if listed:
        query = query.where(LISTED)
    return connection.all(Query(query, event_of))[::-1]


def event(connection: Connection, event_id: str, *, for_update: bool = False) -> Event:
    """That event. Raises NoSuchEvent."""
    found = connection.first(_HELD_EVENT if for_update else _THE_EVENT, id_=event_id)
    if found is None:
        raise NoSuchEvent(event=event_id)
    return found


def overlapping(connection: Connection, of: Event, most: int) -> list[Event]:
    """Events of the same provider that are on at the same time and not over, by their start."""
    values = {"id_": of.id, "of": of.provider_id, "from_s": of.starts_s, "until_s": of.ends_s}
    return connection.all(_OVERLAPPING, **values, most=most)


def shows_picture(connection: Connection, picture: str) -> bool:
    """Whether an event has that picture."""
    return connection.scalar(_SHOWS, id_=picture) is not None


def due(connection: Connection, now_s: float) -> list[str]:
    """Ids of the events whose end has passed and that are not over."""
    return connection.scalars(_DUE, now_s=now_s)


def count_by_state(connection: Connection) -> dict[EventState, int]:
    """How many events are in each state."""
    return dict.fromkeys(EventState, 0) | dict(connection.all(_COUNTS))


def add_event(connection: Connection, new: Event) -> None:
    """Insert; its provider must be held."""
    connection.run(_ADD_EVENT, **_event_row(new))
    words.put_event(connection, new.id, (new.title, new.description))


def change_event(connection: Connection, changed: Event) -> Event:
    """Update the row of that version. Raises VersionMismatch."""
    after = replace(changed, version=changed.version + 1)
    row, texts = _event_row(after), (after.title, after.description)
    before = connection.first(_TEXTS, id_=changed.id)
    count = connection.run(_CHANGE_EVENT, id_=changed.id, before=changed.version, **row)
    expect_one(count, f"event {changed.id}")
    if before != texts:
        words.put_event(connection, after.id, texts)
    return after


def key_hash(connection: Connection, event_id: str) -> str | None:
    """The stored hash of the event's stream key, if one was issued."""
    return connection.scalar(_KEY_HASH, id_=event_id)


def event_and_key_hash(connection: Connection, event_id: str) -> tuple[Event, str | None]:
    """That event and `key_hash` of it. Raises NoSuchEvent."""
    return event(connection, event_id), key_hash(connection, event_id)


def put_key(connection: Connection, event_id: str, key_hash: str, issued_s: float) -> None:
    """Store the hash in place of any other; the event's row must be held."""
    connection.run(_CLEAR_KEY, id_=event_id)
    connection.run(_PUT_KEY, event_id=event_id, key_hash=key_hash, issued_s=issued_s)


def drop_key(connection: Connection, event_id: str, key_hash: str) -> bool:
    """Delete that very key. False when another is in force."""
    return connection.run(_DROP_KEY, id_=event_id, that=key_hash) == 1


def _found(provider: Provider | None, provider_id: str) -> Provider:
    if provider is None:
        raise NoSuchProvider(provider=provider_id)
    return provider


def _event_row(of: Event) -> dict[str, object]:
    row = {**asdict(of), "state": of.state.value, "visibility": of.visibility.value}
    del row["provider_name"]
    return row
