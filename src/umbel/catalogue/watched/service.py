"""The only entry to what signed-in viewers watched: noted when a session opens and while it plays.

In: calls of the portal, for a user who has proved who they are. Out: values of `model`. Of viewers
who are not signed in nothing is kept. Nobody but the account's own user reads this: it is in no
journal, and operators have no list of it.
"""

from umbel.catalogue import rules
from umbel.catalogue.watched import store
from umbel.catalogue.watched.model import (
    MOST_WATCHED,
    NotWatching,
    Spell,
    Watched,
    seen_again,
)
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection


class WatchedEvents:
    """By account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def every(self, username: str) -> list[Watched]:
        """The account's, those watched last first."""
        return await self._database.read(store.every, username)

    async def begin(self, username: str, event_id: str) -> None:
        """The account opened a session of the event, which exists."""
        now_s = self._clock.now_s()

        def note(connection: Connection) -> None:
            if not store.hold_user(connection, username):
                return  # it was deleted at this moment
            before = store.spell(connection, username, event_id)
            if before is None:
                new = Spell(first_s=now_s, last_s=now_s, seconds=0.0)
                store.add(connection, username, event_id, new, most=MOST_WATCHED)
            else:
                store.change(connection, username, event_id, seen_again(before, now_s))

        await self._database.write(note)

    async def go_on(self, username: str, event_id: str) -> None:
        """The account still watches the event. Raises NotWatching."""
        if not rules.is_name(event_id):
            raise NotWatching
        now_s = self._clock.now_s()

        def note(connection: Connection) -> None:
            held = store.hold_user(connection, username)
            before = store.spell(connection, username, event_id) if held else None
            if before is None:
                raise NotWatching(event=event_id)
            store.change(connection, username, event_id, seen_again(before, now_s))

        await self._database.write(note)

    async def forget(self, username: str, event_id: str) -> None:
        """Keep nothing of that event. Idempotent."""
        if rules.is_name(event_id):
            await self._database.write(store.drop, username, event_id)

    async def forget_all(self, username: str) -> None:
        """Keep nothing of what the account watched. Idempotent."""
        await self._database.write(store.drop_all, username)
