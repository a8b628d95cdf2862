"""Write units of the catalogue, and the changes of a user that several entries make.

In: a change of rows. Out: the change, and last what the journal says of it, in one unit.
Neighbours: `service` for operators and `accounts` for users call these; `store` has the statements.
"""

from collections.abc import Callable
from typing import TypeVar

from umbel.catalogue import rules, store
from umbel.catalogue.model import LastOperator, MemberRole, User
from umbel.catalogue.store import Unit
from umbel.catalogue.team import store as teams
from umbel.catalogue.team.model import Member
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection

T = TypeVar("T")


class Units:
    """Runs write units."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def write(self, change: Callable[[Unit], T]) -> T:
        """One write unit: the change, then what the journal says of it."""
        at_s = self._clock.now_s()

        def write(connection: Connection) -> T:
            unit = Unit(connection)
            result = change(unit)
            unit.record(at_s)
            return result

        return await self._database.write(write)


def add_user(unit: Unit, new: User, hashed: str) -> None:
    """Raises UserExists, NoSuchProvider."""
    store.add_user(unit.connection, new, hashed)
    if new.provider_id:
        owner = Member(username=new.username, role=MemberRole.OWNER)
        teams.put(unit.connection, new.provider_id, owner)
    unit.journal("user", new.username, {"what": "added", "role": new.role.value})


def set_password(unit: Unit, username: str, hashed: str) -> None:
    """Tokens of before end. Raises NoSuchUser."""
    store.set_password_hash(unit.connection, username, hashed, rules.new_generation())
    unit.journal("user", username, {"what": "password changed"})


def remove_user(unit: Unit, username: str) -> None:
    """With all that is the user's: those rows refer to the account and go with it. Raises
    NoSuchUser, LastOperator."""
    if store.operators(unit.connection) == [username]:
        raise LastOperator
    store.remove_user(unit.connection, username)
    unit.journal("user", username, {"what": "removed"})
