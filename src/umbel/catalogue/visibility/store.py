"""Pass phrases and invitations as rows. In: a connection of a read or write unit. Out: values.
Rows refer to account and event, and go with either."""

from collections.abc import Iterable

import sqlalchemy as sa

from umbel.catalogue.model import UserRole, Visibility
from umbel.catalogue.store import events, users
from umbel.catalogue.team.store import members
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

pass_phrases = sa.Table(
    "event_pass_phrases",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("phrase_hash", sa.String(255), nullable=False),
    sa.Column("generation", sa.String(32), nullable=False),
)

invitations = sa.Table(
    "event_invitations",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "username",
        sa.ForeignKey(users.c.username, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

_EVENT, _WHO = given("event_"), given("who")
_PHRASE = Query(
    sa.select(pass_phrases.c.phrase_hash, pass_phrases.c.generation).where(
        pass_phrases.c.event_id == _EVENT
    ),
    lambda *, phrase_hash, generation: (phrase_hash, generation),
)
_ADD_PHRASE = Command(sa.insert(pass_phrases))
_DROP_PHRASE = Command(sa.delete(pass_phrases).where(pass_phrases.c.event_id == _EVENT))
_INVITED = Scalar(
    sa.select(invitations.c.username)
    .where(invitations.c.event_id == _EVENT)
    .order_by(invitations.c.username),
    str,
)
_IS_INVITED = Scalar(
    sa.select(invitations.c.username).where(
        (invitations.c.event_id == _EVENT) & (invitations.c.username == _WHO)
    ),
    str,
)
_ADD_INVITATION = Command(sa.insert(invitations))
_DROP_INVITATION = Command(
    sa.delete(invitations).where(
        (invitations.c.event_id == _EVENT) & (invitations.c.username == _WHO)
    )
)
_IS_USER = Scalar(
    sa.select(users.c.username).where(users.c.username == _WHO).with_for_update(read=True), str
)


def remains_visible(username: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether what an account was let into before is still shown to it: all but events that are
    for invited accounts by now and to which it is not invited, unless it runs them. A condition
    for statements that have `events`."""
    is_for_all = events.c.visibility != sa.literal(Visibility.INVITED.value)
    return is_for_all | _is_invited(username) | _runs(username)


def may_watch(
    username: sa.ColumnElement[str], phrase_generation: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Whether somebody may watch an event who was let in by these, as `rules.access` has it. A
    condition for statements that have `events`."""
    needs_invitation = events.c.visibility == sa.literal(Visibility.INVITED.value)
    needs_phrase = events.c.visibility == sa.literal(Visibility.PHRASE.value)
    knows_phrase = sa.exists().where(
        (pass_phrases.c.event_id == events.c.id) & (pass_phrases.c.generation == phrase_generation)
    )
    is_let_in = (needs_invitation & _is_invited(username)) | (needs_phrase & knows_phrase)
    return ~(needs_invitation | needs_phrase) | is_let_in | _runs(username)


def _is_invited(username: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        (invitations.c.event_id == events.c.id) & (invitations.c.username == username)
    )


def _runs(username: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    account = users.alias("reader")
    is_operator = sa.exists().where(
        (account.c.username == username) & (account.c.role == sa.literal(UserRole.OPERATOR.value))
    )
    is_member = sa.exists().where(
        (members.c.username == username) & (members.c.provider_id == events.c.provider_id)
    )
    return is_operator | is_member


def phrase(connection: Connection, event_id: str) -> tuple[str, str] | None:
    """The hash of the event's pass phrase and what names the phrase; None without one."""
    return connection.first(_PHRASE, event_=event_id)


def put_phrase(connection: Connection, event_id: str, hashed: str, generation: str) -> None:
    """Store the hash in place of any other; the event's row must be held."""
    drop_phrase(connection, event_id)
    connection.run(_ADD_PHRASE, event_id=event_id, phrase_hash=hashed, generation=generation)


def drop_phrase(connection: Connection, event_id: str) -> None:
    """The event has no pass phrase any more. It is not an error if it had none."""
    connection.run(_DROP_PHRASE, event_=event_id)


def is_invited(connection: Connection, event_id: str, username: str) -> bool:
    """Whether the account is invited to the event."""
    return connection.scalar(_IS_INVITED, event_=event_id, who=username) is not None


def invited(connection: Connection, event_id: str) -> list[str]:
    """The invited accounts by name."""
    return connection.scalars(_INVITED, event_=event_id)


def unknown(connection: Connection, usernames: Iterable[str]) -> list[str]:
    """Those that are no accounts; the others are kept until the unit ends."""
    return [name for name in usernames if connection.scalar(_IS_USER, who=name) is None]


def invite(connection: Connection, event_id: str, usernames: Iterable[str]) -> None:
    """Invite accounts that are not invited yet."""
    connection.run_many(
        _ADD_INVITATION, [{"event_id": event_id, "username": name} for name in usernames]
    )


def withdraw(connection: Connection, event_id: str, usernames: Iterable[str]) -> None:
    """Invite these accounts no more."""
    connection.run_many(_DROP_INVITATION, [{"event_": event_id, "who": name} for name in usernames])
