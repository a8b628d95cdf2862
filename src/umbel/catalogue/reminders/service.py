"""The only entry to reminders: what viewers choose, and what is due by that.

In: choices from the portal, the time from `schedule`. Out: messages in the outbox, written in the
unit that finds them due. A look may be repeated at any time: each message has one id.
"""

from collections.abc import Callable

from umbel.catalogue.choices import store as choices
from umbel.catalogue.choices.model import AccountChoice
from umbel.catalogue.devices import store as devices
from umbel.catalogue.model import NoSuchUser
from umbel.catalogue.outbox import store as outbox
from umbel.catalogue.reminders import model, store
from umbel.catalogue.reminders.model import Candidate
from umbel.catalogue.reservations.store import hold_user, wake_account
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection

_STEP_BACK_S = 30.0


class Reminders:
    """Viewers' choices, and the look at what is due."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._looked_s: float | None = None

    async def choice(self, username: str) -> AccountChoice:
        """What the account chose for all its reservations."""
        return await self._database.read(choices.of_account, username)

    async def choose(self, username: str, new: AccountChoice) -> None:
        """Have this choice from now on. Raises NoSuchUser."""

        def put(connection: Connection) -> None:
            if not hold_user(connection, username):
                raise NoSuchUser(username=username)
            choices.put(connection, username, new)
            wake_account(connection, username)

        await self._database.write(put)

    async def look(self, *, most: int, verified: bool) -> int:
        """Put what is due into the outbox; answers how many reservations were looked at. `verified`
        leaves out addresses that wait to be confirmed."""
        now_s = self._clock.now_s()
        await self._mind_the_clock(now_s)

        def look(connection: Connection) -> int:
            found = store.due(connection, now_s, most)
            seen = [
                (one, *model.look(one, _devices(connection, one), now_s=now_s, verified=verified))
                for one in found
            ]
            outbox.add(connection, [one for _, some, _ in seen for one in some], now_s)
            store.look_at(connection, [(one, again_s) for one, _, again_s in seen])
            return len(found)

        # Most looks find nothing, and need no write unit.
        if not await self._database.read(store.is_any_due, now_s):
            return 0
        return await self._database.write(look)

    async def _mind_the_clock(self, now_s: float) -> None:
        """After a start, and where the clock was set back, what was looked at may come again."""
        before_s = self._looked_s
        if before_s is None or now_s < before_s - _STEP_BACK_S:
            await self._database.write(store.rearm, now_s)
        self._looked_s = now_s


def _devices(connection: Connection, of: Candidate) -> Callable[[], list[str]]:
    return lambda: devices.ids(connection, of.username)
