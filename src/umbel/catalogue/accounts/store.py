"""Accounts as rows, as far as their users change them. In: a connection of a read or write unit.
Out: values of `model`; a missing row becomes the domain's own error."""

import sqlalchemy as sa

from umbel.catalogue.model import NoSuchUser
from umbel.catalogue.store import users
from umbel.kit.sql import Command, Connection, given

_SET_GENERATION = Command(sa.update(users).where(users.c.username == given("of")), ["generation"])


def set_generation(connection: Connection, username: str, generation: str) -> None:
    """Update. Raises NoSuchUser."""
    if not connection.run(_SET_GENERATION, of=username, generation=generation):
        raise NoSuchUser(username=username)
