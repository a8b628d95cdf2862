"""Leases: one of several instances over one database does a thing, until it stops or dies.

In: a lease's name. Out: whether this instance holds it now. A lease that is not renewed runs out,
and another instance takes it. The clocks of the instances must agree to less than a lease's life.
"""

import sqlalchemy as sa

from umbel.kit.clock import Clock
from umbel.kit.db import Database, metadata

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("until_s", sa.Float, nullable=False),
)


class Leases:
    """The leases of one instance, `owner`; each lives for `ttl_s` seconds."""

    def __init__(self, database: Database, clock: Clock, owner: str, ttl_s: float) -> None:
        self.owner = owner
        self._database = database
        self._clock = clock
        self._ttl_s = ttl_s
        self._until_s: dict[str, float] = {}

    async def hold(self, name: str) -> bool:
        """Take or renew it; False while another instance's is in force. It is renewed at half its
        life, so that a steady holder costs no write at each call."""
        now_s = self._clock.now_s()
        if self._until_s.get(name, 0.0) - now_s > self._ttl_s / 2:
            return True
        if not await self._take(name, now_s):
            self._until_s.pop(name, None)
            return False
        self._until_s[name] = now_s + self._ttl_s
        return True

    def is_held(self, name: str) -> bool:
        """Whether this instance holds it at this moment."""
        return self._until_s.get(name, 0.0) > self._clock.now_s()

    async def drop(self, name: str) -> None:
        """Give it up. Not an error if it is not held."""
        self._until_s.pop(name, None)
        mine = (leases.c.name == name) & (leases.c.owner == self.owner)
        async with self._database.write() as connection:
            await connection.execute(sa.delete(leases).where(mine))

    async def release(self) -> None:
        """Give up all of them, for a clean exit."""
        self._until_s.clear()
        async with self._database.write() as connection:
            await connection.execute(sa.delete(leases).where(leases.c.owner == self.owner))

    async def _take(self, name: str, now_s: float) -> bool:
        values = {"name": name, "owner": self.owner, "until_s": now_s + self._ttl_s}
        free = (leases.c.owner == self.owner) | (leases.c.until_s <= now_s)
        try:
            async with self._database.write() as connection:
                renew = sa.update(leases).where((leases.c.name == name) & free).values(values)
                if (await connection.execute(renew)).rowcount:
                    return True
                await connection.execute(sa.insert(leases).values(values))
        except sa.exc.IntegrityError:  # the row is there: in force, or taken this very moment
            return False
        return True
