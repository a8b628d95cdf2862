"""Members as rows. In: a connection of a read or write unit. Out: values of `model`. Rows refer to
account and provider, and go with either."""

import sqlalchemy as sa

from umbel.catalogue.model import MemberRole, Membership
from umbel.catalogue.store import providers, users
from umbel.catalogue.team.model import Member
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, given

members = sa.Table(
    "provider_members",
    metadata,
    sa.Column("provider_id", sa.ForeignKey(providers.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "username",
        sa.ForeignKey(users.c.username, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    sa.Column("role", sa.String(8), nullable=False),
)

_PROVIDER, _WHO = given("provider"), given("who")
_IS = (members.c.provider_id == _PROVIDER) & (members.c.username == _WHO)
_OF_PROVIDER = Query(
    sa.select(members.c.username, members.c.role)
    .where(members.c.provider_id == _PROVIDER)
    .order_by(members.c.username),
    lambda *, username, role: Member(username=username, role=MemberRole(role)),
)
_OF_USER = Query(
    sa.select(members.c.provider_id, members.c.role, providers.c.name.label("provider_name"))
    .join_from(members, providers)
    .where(members.c.username == _WHO)
    .order_by(providers.c.name),
    lambda *, role, **row: Membership(role=MemberRole(role), **row),
)
_ADD = Command(sa.insert(members))
_DROP = Command(sa.delete(members).where(_IS))


def of_provider(connection: Connection, provider_id: str) -> list[Member]:
    """The provider's, by name."""
    return connection.all(_OF_PROVIDER, provider=provider_id)


def of_user(connection: Connection, username: str) -> tuple[Membership, ...]:
    """The providers that the account works for, by name."""
    return tuple(connection.all(_OF_USER, who=username))


def put(connection: Connection, provider_id: str, member: Member) -> None:
    """Store it in place of what the account was before."""
    drop(connection, provider_id, member.username)
    row = {"provider_id": provider_id, "username": member.username}
    connection.run(_ADD, role=member.role.value, **row)


def drop(connection: Connection, provider_id: str, username: str) -> bool:
    """Delete it. False when there was none."""
    return connection.run(_DROP, provider=provider_id, who=username) == 1
