"""The catalogue's tables and queries. In: a connection of a read or write unit, and values of
`model`. Out: values again; a missing row or a broken constraint becomes the domain's own error.

Rows carry a version. `for_update` keeps a row still until the write unit ends (PostgreSQL;
SQLite has one writer anyway).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

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
)
from umbel.kit import journal
from umbel.kit.db import expect_one, metadata

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
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_events_state_ends_s", "state", "ends_s"),
    sa.Index("ix_events_starts_s", "starts_s"),
)

stream_keys = sa.Table(
    "stream_keys",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id), primary_key=True),
    sa.Column("key_hash", sa.String(64), nullable=False),
    sa.Column("issued_s", sa.Float, nullable=False),
)

_WITH_PROVIDER = sa.select(events, providers.c.name.label("provider_name")).join_from(
    events, providers
)


class Unit:
    """A write unit with what the journal will say of it: told as it goes, recorded last."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._told: list[tuple[str, str, Mapping[str, object]]] = []

    def tell(self, kind: str, subject: str, body: Mapping[str, object]) -> None:
        """Something changed. `body` is for everybody's eyes: no secrets, no hashes."""
        self._told.append((kind, subject, body))

    async def record(self, at_s: float) -> None:
        """Write the entries; nothing else may be written after."""
        for kind, subject, body in self._told:
            await journal.record(self.connection, at_s=at_s, kind=kind, subject=subject, body=body)


async def all_users(connection: AsyncConnection) -> list[User]:
    """Every user by name."""
    rows = await connection.execute(sa.select(users).order_by(users.c.username))
    return [_user(row) for row in rows.mappings()]


async def user(connection: AsyncConnection, username: str) -> User:
    """That user. Raises NoSuchUser."""
    query = sa.select(users).where(users.c.username == username)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NoSuchUser(username=username)
    return _user(row)


async def password_hash(connection: AsyncConnection, username: str) -> str | None:
    """The user's hash, None when nobody has that name."""
    query = sa.select(users.c.password_hash).where(users.c.username == username)
    found: str | None = await connection.scalar(query)
    return found


async def add_user(connection: AsyncConnection, new: User, password_hash: str) -> None:
    """Insert. Raises UserExists, NoSuchProvider."""
    if new.provider_id:
        await hold_provider(connection, new.provider_id)
    row = {
        "username": new.username,
        "role": new.role.value,
        "provider_id": new.provider_id or None,
        "password_hash": password_hash,
        "version": new.version,
    }
    try:
        await connection.execute(sa.insert(users).values(row))
    except IntegrityError as error:
        raise UserExists(username=new.username) from error


async def set_password_hash(connection: AsyncConnection, username: str, hashed: str) -> None:
    """Update. Raises NoSuchUser."""
    update = sa.update(users).where(users.c.username == username).values(password_hash=hashed)
    if (await connection.execute(update)).rowcount == 0:
        raise NoSuchUser(username=username)


async def remove_user(connection: AsyncConnection, username: str) -> None:
    """Delete. Raises NoSuchUser."""
    gone = await connection.execute(sa.delete(users).where(users.c.username == username))
    if gone.rowcount == 0:
        raise NoSuchUser(username=username)


async def operators(connection: AsyncConnection) -> list[str]:
    """Every operator's name, held still until the unit ends."""
    query = sa.select(users.c.username).where(users.c.role == UserRole.OPERATOR.value)
    return list((await connection.execute(query.with_for_update())).scalars())


async def all_providers(connection: AsyncConnection) -> list[Provider]:
    """Every provider by name."""
    rows = await connection.execute(sa.select(providers).order_by(providers.c.name))
    return [Provider(**row) for row in rows.mappings()]


async def provider(connection: AsyncConnection, provider_id: str) -> Provider:
    """That provider. Raises NoSuchProvider."""
    query = sa.select(providers).where(providers.c.id == provider_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NoSuchProvider(provider=provider_id)
    return Provider(**row)


async def hold_provider(connection: AsyncConnection, provider_id: str) -> Provider:
    """That provider, kept from being removed until the unit ends. Raises NoSuchProvider."""
    query = sa.select(providers).where(providers.c.id == provider_id)
    query = query.with_for_update(read=True, key_share=True)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NoSuchProvider(provider=provider_id)
    return Provider(**row)


async def add_provider(connection: AsyncConnection, new: Provider) -> None:
    """Insert. Raises ProviderExists."""
    row = {
        "id": new.id,
        "name": new.name,
        "access_node": new.access_node,
        "version": new.version,
    }
    try:
        await connection.execute(sa.insert(providers).values(row))
    except IntegrityError as error:
        raise ProviderExists(name=new.name) from error


async def change_provider(connection: AsyncConnection, changed: Provider) -> Provider:
    """Update the row of that version. Raises VersionMismatch, ProviderExists."""
    after = replace(changed, version=changed.version + 1)
    guard = (providers.c.id == changed.id) & (providers.c.version == changed.version)
    update = sa.update(providers).where(guard)
    row = {"name": after.name, "access_node": after.access_node, "version": after.version}
    try:
        result = await connection.execute(update.values(row))
    except IntegrityError as error:
        raise ProviderExists(name=changed.name) from error
    expect_one(result, f"provider {changed.id}")
    return after


async def remove_provider(connection: AsyncConnection, provider_id: str) -> None:
    """Delete. Raises NoSuchProvider, ProviderInUse."""
    delete = sa.delete(providers).where(providers.c.id == provider_id)
    try:
        gone = await connection.execute(delete)
    except IntegrityError as error:
        raise ProviderInUse(provider=provider_id) from error
    if gone.rowcount == 0:
        raise NoSuchProvider(provider=provider_id)


async def list_events(
    connection: AsyncConnection,
    *,
    states: Collection[EventState],
    provider_id: str,
    most: int,
) -> list[Event]:
    """Events by start, the `most` newest; no states means any, no provider means all."""
    query = _WITH_PROVIDER.order_by(events.c.starts_s.desc(), events.c.id.desc()).limit(most)
    if states:
        query = query.where(events.c.state.in_([state.value for state in states]))
    if provider_id:
        query = query.where(events.c.provider_id == provider_id)
    rows = (await connection.execute(query)).mappings().all()
    return [_event(row) for row in reversed(rows)]


async def event(connection: AsyncConnection, event_id: str, *, for_update: bool = False) -> Event:
    """That event. Raises NoSuchEvent."""
    query = _WITH_PROVIDER.where(events.c.id == event_id)
    if for_update:
        query = query.with_for_update(of=events)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise NoSuchEvent(event=event_id)
    return _event(row)


async def due(connection: AsyncConnection, now_s: float) -> list[str]:
    """Ids of the events whose end has passed and that are not over."""
    going = [state.value for state in EventState if state not in OVER]
    past = events.c.state.in_(going) & (events.c.ends_s <= now_s)
    query = sa.select(events.c.id).where(past).order_by(events.c.ends_s)
    return list((await connection.execute(query)).scalars())


async def count_by_state(connection: AsyncConnection) -> dict[EventState, int]:
    """How many events are in each state."""
    query = sa.select(events.c.state, sa.func.count()).group_by(events.c.state)
    found = {EventState(state): count for state, count in await connection.execute(query)}
    return {state: found.get(state, 0) for state in EventState}


async def add_event(connection: AsyncConnection, new: Event) -> None:
    """Insert; its provider must be held."""
    await connection.execute(sa.insert(events).values(_event_row(new)))


async def change_event(connection: AsyncConnection, changed: Event) -> Event:
    """Update the row of that version. Raises VersionMismatch."""
    after = replace(changed, version=changed.version + 1)
    guard = (events.c.id == changed.id) & (events.c.version == changed.version)
    result = await connection.execute(sa.update(events).where(guard).values(_event_row(after)))
    expect_one(result, f"event {changed.id}")
    return after


async def key_hash(connection: AsyncConnection, event_id: str) -> str | None:
    """The stored hash of the event's stream key, if one was issued."""
    query = sa.select(stream_keys.c.key_hash).where(stream_keys.c.event_id == event_id)
    found: str | None = await connection.scalar(query)
    return found


async def put_key(
    connection: AsyncConnection, event_id: str, key_hash: str, issued_s: float
) -> None:
    """Store the hash in place of any other; the event's row must be held."""
    await connection.execute(sa.delete(stream_keys).where(stream_keys.c.event_id == event_id))
    row = {"event_id": event_id, "key_hash": key_hash, "issued_s": issued_s}
    await connection.execute(sa.insert(stream_keys).values(row))


async def drop_key(connection: AsyncConnection, event_id: str, key_hash: str) -> bool:
    """Delete that very key. False when another is in force."""
    that = (stream_keys.c.event_id == event_id) & (stream_keys.c.key_hash == key_hash)
    return (await connection.execute(sa.delete(stream_keys).where(that))).rowcount == 1


def _user(row: sa.RowMapping) -> User:
    return User(
        username=row["username"],
        role=UserRole(row["role"]),
        provider_id=row["provider_id"] or "",
        version=row["version"],
    )


def _event(row: sa.RowMapping) -> Event:
    return Event(**{**row, "state": EventState(row["state"])})


def _event_row(of: Event) -> dict[str, object]:
    return {
        "id": of.id,
        "provider_id": of.provider_id,
        "title": of.title,
        "description": of.description,
        "starts_s": of.starts_s,
        "ends_s": of.ends_s,
        "state": of.state.value,
        "version": of.version,
    }
