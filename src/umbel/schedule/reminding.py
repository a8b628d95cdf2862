"""Looks for reminders that are due and for events that went live, and has messages sent.

In: the time. Out: messages in the outbox, and a wake-up for who sends them. Every instance may run
this over one database: a reservation is looked at by one of them, and each message has one id.
"""

from dataclasses import dataclass, field

from umbel.catalogue.service import Catalogue
from umbel.kit.controller import Controller, Pace
from umbel.schedule.sending import Sending

_AT_ONCE = 500
_LOOK = "look"
_ANNOUNCE = "announce"
_FORGET = "forget"
_FORGET_S = 3_600.0


@dataclass(kw_only=True)
class Reminding:
    """Looks for reminders every `every_s` seconds, and for events that went live every
    `announce_s`. `verified` leaves out addresses that wait to be confirmed."""

    catalogue: Catalogue
    sending: Sending
    verified: bool
    every_s: float = 10.0
    announce_s: float = 2.0
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def run(self) -> None:
        """Remind, until cancelled."""
        for channel in self.sending.channels:
            self._controller.wake(channel)
        self._controller.wake(_FORGET)
        self._controller.wake(_ANNOUNCE)
        await self._controller.run(_LOOK)

    async def look(self) -> int:
        """Put what is due into the outbox; answers how many reservations were looked at."""
        return await self.catalogue.reminders.look(most=_AT_ONCE, verified=self.verified)

    async def announce(self) -> int:
        """Put that an event is live into the outbox; answers for how many accounts."""
        return await self.catalogue.follows.announce(most=_AT_ONCE, verified=self.verified)

    async def _reconcile(self, key: str) -> float:
        if key == _FORGET:
            await self.catalogue.outbox.forget()
            return _FORGET_S
        if key == _LOOK:
            count = await self.look()
            return self._woken(count, 0.0 if count == _AT_ONCE else self.every_s)
        if key == _ANNOUNCE:
            count = await self.announce()
            return self._woken(count, 0.0 if count else self.announce_s)
        return await self.sending.send(key)

    def _woken(self, count: int, again_s: float) -> float:
        """Has what was found sent at once."""
        if count:
            for channel in self.sending.channels:
                self._controller.wake(channel)
        return again_s
