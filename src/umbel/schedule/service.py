"""Events end when their time is over.

In: the catalogue's events and the clock. Out: an event's END, and a wake-up for what carries it.
Every instance may run this over one database: the catalogue's state table makes a second END void.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from umbel.catalogue.model import EventEvent
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace

_DUE = "due"


@dataclass(kw_only=True)
class Schedule:
    """Looks every `every_s` seconds; `ended(event_id)` is called for each event that it ends."""

    catalogue: Catalogue
    clock: Clock
    ended: Callable[[str], None]
    every_s: float = 1.0
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def run(self) -> None:
        """End events that are due, until cancelled."""
        await self._controller.run(_DUE)

    async def _reconcile(self, _key: str) -> float:
        for event_id in await self.catalogue.due(self.clock.now_s()):
            await self.catalogue.transition(event_id, EventEvent.END)
            self.ended(event_id)
        return self.every_s
