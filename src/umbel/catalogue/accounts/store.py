"""Accounts as rows, as far as their users change them. In: a connection of a read or write unit.
Out: values of `model`; a missing row becomes the domain's own error."""

from dataclasses import asdict

import sqlalchemy as sa

from umbel.catalogue import rules
from umbel.catalogue import store as catalogue
from umbel.catalogue.accounts.model import Account, EmailToken, Profile
from umbel.catalogue.model import NoSuchUser
from umbel.catalogue.store import users
from umbel.kit.db import metadata
from umbel.kit.languages import Language
from umbel.kit.sql import Command, Connection, Query, Scalar, given

profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column("email", sa.String(rules.MOST_EMAIL), nullable=False),
    sa.Column("is_verified", sa.Boolean, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
)

email_tokens = sa.Table(
    "email_tokens",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column("email", sa.String(rules.MOST_EMAIL), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("expires_s", sa.Float, nullable=False),
)

_OF = given("of")
_SET_GENERATION = Command(sa.update(users).where(users.c.username == _OF), ["generation"])
_HELD = Scalar(sa.select(users.c.username).where(users.c.username == _OF).with_for_update(), str)
_COUNT = Scalar(sa.select(sa.func.count()).select_from(users), int)
_PROFILE = Query(
    sa.select(profiles).where(profiles.c.username == _OF),
    lambda *, language, **row: Profile(language=Language(language), **row),
)
_OF_EMAIL = Scalar(
    sa.select(profiles.c.username)
    .where(sa.func.lower(profiles.c.email) == given("email_"))
    .order_by(profiles.c.username)
    .limit(given("most")),
    str,
)
_ADD = Command(sa.insert(profiles))
_DROP = Command(sa.delete(profiles).where(profiles.c.username == _OF))

_ADD_TOKEN = Command(sa.insert(email_tokens))
_DROP_TOKEN = Command(sa.delete(email_tokens).where(email_tokens.c.username == _OF))
_TOKEN = Query(
    sa.select(email_tokens).where(email_tokens.c.token_hash == given("hash_")),
    EmailToken,
)


def set_generation(connection: Connection, username: str, generation: str) -> None:
    """Update. Raises NoSuchUser."""
    if not connection.run(_SET_GENERATION, of=username, generation=generation):
        raise NoSuchUser(username=username)


def count(connection: Connection) -> int:
    """How many users there are."""
    return connection.scalar(_COUNT) or 0


def account(connection: Connection, username: str) -> Account:
    """The user with the profile, an empty one where none was given. Raises NoSuchUser."""
    user = catalogue.user(connection, username)
    profile = connection.first(_PROFILE, of=username) or Profile(username=username)
    return Account(user=user, profile=profile)


def of_email(connection: Connection, email: str, most: int) -> list[Account]:
    """The accounts with that address, in whatever case it is written, by name."""
    names = connection.scalars(_OF_EMAIL, email_=email.lower(), most=most)
    return [account(connection, name) for name in names]


def hold(connection: Connection, username: str) -> Account:
    """The same, kept still until the unit ends. Raises NoSuchUser."""
    connection.scalar(_HELD, of=username)
    return account(connection, username)


def put_profile(connection: Connection, profile: Profile) -> None:
    """Store it in place of any other; the user must exist."""
    connection.run(_DROP, of=profile.username)
    connection.run(_ADD, **asdict(profile) | {"language": profile.language.value})


def put_email_token(connection: Connection, token: EmailToken) -> None:
    """Store it in place of the account's other one."""
    drop_email_token(connection, token.username)
    connection.run(_ADD_TOKEN, **asdict(token))


def drop_email_token(connection: Connection, username: str) -> None:
    """Delete the account's, if there is one."""
    connection.run(_DROP_TOKEN, of=username)


def email_token(connection: Connection, token_hash: str) -> EmailToken | None:
    """The token of that hash."""
    return connection.first(_TOKEN, hash_=token_hash)
