"""The only entry to what forecasts need of the catalogue.

In: the access node that an account came from, when it reserves or watches. Out: reservations by
access node, events that begin, events of the past. Of an account its newest access node is kept and
nothing else; nobody but its user reads it by itself.
"""

from umbel.catalogue.demand import store
from umbel.catalogue.demand.model import Earlier, Starting
from umbel.kit.db import Database

MOST_EARLIER = 10
"""Events of the past from which a provider's next ones are forecast."""
MOST_STARTING = 200
"""Events that begin at about the same time for which something is done in advance."""


class DemandSources:
    """Reservations and events, as forecasts need them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note_node(self, username: str, access_node: str) -> None:
        """The account came from that access node. Written only where that is new."""
        if await self._database.read(store.node, username) != access_node:
            await self._database.write(store.put_node, username, access_node)

    async def node(self, username: str) -> str | None:
        """The account's newest access node; None where none is known."""
        return await self._database.read(store.node, username)

    async def by_node(self, event_id: str) -> dict[str, int]:
        """How many accounts reserved the event to watch it, by access node."""
        return await self._database.read(store.by_node, event_id)

    async def starting_by_node(self, from_s: float, until_s: float) -> dict[str, dict[str, int]]:
        """The same of each event that `starting` finds, by event; none where nobody reserved
        it."""
        return await self._database.read(store.starting_by_node, from_s, until_s)

    async def starting(self, from_s: float, until_s: float) -> list[Starting]:
        """Events that are not over and begin after `from_s`, until `until_s`."""
        return await self._database.read(store.starting, from_s, until_s, MOST_STARTING)

    async def earlier(self, provider_id: str, before_s: float) -> list[Earlier]:
        """The provider's newest events that ended and had begun before that moment."""
        return await self._database.read(store.earlier, provider_id, before_s, MOST_EARLIER)
