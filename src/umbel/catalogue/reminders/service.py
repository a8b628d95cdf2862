"""The only entry to reminders: each is claimed by one instance, once, before it is sent.

In: the time, from `schedule`. Out: reminders that no other instance will send. What was claimed by
an instance that then died is not sent: rather a letter too few than one too many.
"""

from umbel.catalogue.reminders import store
from umbel.catalogue.reminders.model import Reminder
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection, ConstraintViolated

KEPT_S = 7 * 86_400.0


class Reminders:
    """Claims reminders."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, lead_s: float, *, most: int, verified: bool) -> list[Reminder]:
        """Reminders of events that begin within `lead_s` seconds, for this caller alone; `verified`
        leaves out addresses that wait to be confirmed. An event that was moved has another one."""
        now_s = self._clock.now_s()

        def look(connection: Connection) -> list[Reminder]:
            return store.due(connection, now_s, now_s + lead_s, most=most, verified=verified)

        def claim(connection: Connection) -> list[Reminder]:
            found = look(connection)
            for one in found:
                store.claim(connection, one, now_s)
            store.forget(connection, now_s - KEPT_S)
            return found

        # Most looks find nothing, and need no write unit.
        if not await self._database.read(look):
            return []
        try:
            return await self._database.write(claim)
        except ConstraintViolated:
            return []  # another instance claimed some of these at this moment; look again

    async def release(self, reminder: Reminder) -> None:
        """It was not sent; somebody may claim it again."""
        await self._database.write(store.release, reminder)
