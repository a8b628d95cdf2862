"""The only entry to what people do with their own accounts.

In: calls of the portal, for a user who has proved who they are. Out: one write unit each, which
also journals it. Neighbours: catalogue.service has what operators do with all accounts.
"""

from umbel.catalogue import rules
from umbel.catalogue.accounts import store
from umbel.kit import journal
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection


class Accounts:
    """A user's own account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def sign_out_everywhere(self, username: str) -> None:
        """End every token and every browser's sign-in of the account. Raises NoSuchUser."""
        generation = rules.new_generation()
        at_s = self._clock.now_s()

        def end(connection: Connection) -> None:
            store.set_generation(connection, username, generation)
            body = {"what": "signed out everywhere"}
            journal.record(connection, at_s=at_s, kind="user", subject=username, body=body)

        await self._database.write(end)
