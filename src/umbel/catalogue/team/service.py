"""The only entry to providers' teams: who is a member, and as what.

In: calls of the portal, which has asked whether the caller may. Out: members. The last owner stays;
an account that is deleted leaves all its teams, and operators may run what has no owner then.
"""

from umbel.catalogue import rules
from umbel.catalogue import store as catalogue
from umbel.catalogue.model import MemberRole, NoSuchProvider, NoSuchUser
from umbel.catalogue.store import Unit
from umbel.catalogue.team import store
from umbel.catalogue.team.model import (
    MOST_MEMBERS,
    LastOwner,
    Member,
    NoSuchMember,
    TooManyMembers,
)
from umbel.catalogue.units import Units
from umbel.kit.clock import Clock
from umbel.kit.db import Database


class Teams:
    """Members of providers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._write = Units(database, clock).write

    async def members(self, provider_id: str) -> list[Member]:
        """The provider's, by name."""
        return await self._database.read(store.of_provider, provider_id)

    async def put(self, provider_id: str, username: str, role: MemberRole) -> Member:
        """Have the account as a member with this role. Raises NoSuchProvider, NoSuchUser,
        LastOwner, TooManyMembers."""
        if not rules.is_name(provider_id):
            raise NoSuchProvider
        if rules.USERNAME.fullmatch(username) is None:
            raise NoSuchUser
        new = Member(username=username, role=role)

        def put(unit: Unit) -> Member:
            before = _held(unit, provider_id)
            catalogue.user(unit.connection, username)
            after = {**before, username: new}
            if len(after) > MOST_MEMBERS:
                raise TooManyMembers(most=MOST_MEMBERS)
            _check_owner(before, after)
            store.put(unit.connection, provider_id, new)
            unit.journal("user", username, {"what": "member", "provider_id": provider_id})
            return new

        return await self._write(put)

    async def remove(self, provider_id: str, username: str) -> None:
        """The account is no member any more. Raises NoSuchProvider, NoSuchMember, LastOwner."""
        if not rules.is_name(provider_id):
            raise NoSuchProvider

        def remove(unit: Unit) -> None:
            before = _held(unit, provider_id)
            if username not in before:
                raise NoSuchMember
            after = {name: one for name, one in before.items() if name != username}
            _check_owner(before, after)
            store.drop(unit.connection, provider_id, username)
            unit.journal("user", username, {"what": "no member", "provider_id": provider_id})

        await self._write(remove)


def _held(unit: Unit, provider_id: str) -> dict[str, Member]:
    """The members, held for this unit alone."""
    catalogue.lock_provider(unit.connection, provider_id)
    return {one.username: one for one in store.of_provider(unit.connection, provider_id)}


def _check_owner(before: dict[str, Member], after: dict[str, Member]) -> None:
    had, has = (
        any(one.role is MemberRole.OWNER for one in some.values()) for some in (before, after)
    )
    if had and not has:
        raise LastOwner
