"""The only entry to messages that wait: an instance claims some, sends them, says what became.

In: the name of the instance and a channel. Out: messages that no other instance sends while their
claim lasts. Where an instance dies in between, they are sent again under the same ids, by which
mail programs and browsers know them. Neighbours: `reminders` writes them, `schedule` sends them.
"""

from typing import Any

from umbel.catalogue.choices.model import Channel
from umbel.catalogue.outbox import store
from umbel.catalogue.outbox.model import Message, Outcomes
from umbel.kit.clock import Clock
from umbel.kit.db import Database

CLAIM_S = 120.0
KEPT_S = 7 * 86_400.0


class Outbox:
    """Messages that wait to be sent."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, me: str, channel: Channel, *, most: int) -> list[Message]:
        """Messages for this instance alone. What it has claimed and not settled, it does not get
        again, whatever its clock does."""
        now_s = self._clock.now_s()
        # Most looks find nothing, and need no write unit.
        if not await self._database.read(store.is_any_due, me, channel, now_s):
            return []
        return await self._database.write(
            store.claim, me, channel, now_s=now_s, until_s=now_s + CLAIM_S, most=most
        )

    async def settle(self, me: str, outcomes: Outcomes) -> None:
        """Note what became of messages that were claimed."""
        await self._database.write(store.settle, me, outcomes, self._clock.now_s())

    async def release_of(self, instance: str) -> None:
        """That instance has ended: others send what it had claimed."""
        await self._database.write(store.release, instance, self._clock.now_s())

    async def forget(self) -> None:
        """Delete what is long past."""
        await self._database.write(store.forget, self._clock.now_s() - KEPT_S)

    async def of_account(self, username: str) -> list[dict[str, Any]]:
        """What was, or will be, sent to the account."""
        return await self._database.read(store.of_account, username)
