"""Leases: one of several instances over one database does a thing, until it stops or dies.

In: a lease's name. Out: whether this instance holds it now. A lease that is not renewed runs out,
and another instance takes it. The clocks of the instances must agree to less than a lease's life.
"""

import sqlalchemy as sa

from umbel.kit.clock import Clock
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Unavailable
from umbel.kit.sql import Command, Connection, ConstraintViolated, given

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("until_s", sa.Float, nullable=False),
)

_NAME, _MINE = leases.c.name == given("called"), leases.c.owner == given("by")
_RENEW = Command(
    sa.update(leases).where(_NAME & (_MINE | (leases.c.until_s <= given("now_s")))),
    ["owner", "until_s"],
)
_INSERT = Command(sa.insert(leases))
_DROP = Command(sa.delete(leases).where(_NAME & _MINE))
_RELEASE = Command(sa.delete(leases).where(_MINE))


_CLOCKS_APART = 0.1
"""How far the instances' clocks may differ, as a share of a lease's life."""


class LeaseLost(Unavailable):
    """Another instance may hold the lease by now; the next run finds out."""

    code = "umbel.lease_lost"


class Leases:
    """The leases of one instance, `owner`; each lives for `ttl_s` seconds."""

    def __init__(self, database: Database, clock: Clock, owner: str, ttl_s: float) -> None:
        self.owner = owner
        self._database = database
        self._clock = clock
        self._ttl_s = ttl_s
        self._until_s: dict[str, float] = {}

    async def acquire(self, name: str) -> bool:
        """Take or renew it; False while another instance's is in force. It is renewed at half its
        life, so that a steady holder costs no write at each call."""
        now_s = self._clock.now_s()
        if self._until_s.get(name, 0.0) - now_s > self._ttl_s / 2:
            return True
        if not await self._acquire(name, now_s):
            self._until_s.pop(name, None)
            return False
        self._until_s[name] = now_s + self._ttl_s * (1 - _CLOCKS_APART)
        return True

    def is_held(self, name: str) -> bool:
        """Whether this instance holds it at this moment."""
        return self._until_s.get(name, 0.0) > self._clock.now_s()

    def check(self, name: str) -> None:
        """Raises LeaseLost: a run that took long must not act on what another instance holds."""
        if not self.is_held(name):
            raise LeaseLost(lease=name)

    async def drop(self, name: str) -> None:
        """Give it up. Not an error if it is not held."""
        self._until_s.pop(name, None)
        await self._database.write(lambda c: c.run(_DROP, called=name, by=self.owner))

    async def release(self) -> None:
        """Give up all of them, for a clean exit."""
        self._until_s.clear()
        await self._database.write(lambda c: c.run(_RELEASE, by=self.owner))

    async def release_of(self, owner: str) -> None:
        """Give up all leases of another instance, which has ended."""
        await self._database.write(lambda c: c.run(_RELEASE, by=owner))

    async def _acquire(self, name: str, now_s: float) -> bool:
        values = {"owner": self.owner, "until_s": now_s + self._ttl_s}

        def take(connection: Connection) -> None:
            if not connection.run(_RENEW, called=name, by=self.owner, now_s=now_s, **values):
                connection.run(_INSERT, name=name, **values)

        try:
            await self._database.write(take)
        except ConstraintViolated:  # the row is there: in force, or taken this very moment
            return False
        return True
