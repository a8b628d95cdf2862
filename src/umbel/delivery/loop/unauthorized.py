"""Ends the sessions of viewers who may not watch any more: the event was closed to them.

In: a stream and its event. Out: sessions ended in the store, whose tokens edges then refuse. What
may have closed the event is looked at once it has changed, and else every few seconds: accounts and
invitations change without it.
"""

from dataclasses import dataclass, field

from umbel.catalogue.model import Event
from umbel.catalogue.visibility.rules import OPEN_TO_ALL
from umbel.delivery.store import DeliveryStore

_LOOK_S = 5.0


@dataclass(kw_only=True)
class UnauthorizedSessions:
    """By stream: when was looked, and at which version of the event."""

    store: DeliveryStore
    _looked: dict[str, tuple[float, int]] = field(default_factory=dict)

    async def end(self, stream: str, event: Event, now_s: float) -> bool:
        """Look, if it is time. Answers whether some ended."""
        if event.visibility in OPEN_TO_ALL:
            self.forget(stream)
            return False
        looked_s, version = self._looked.get(stream, (now_s - _LOOK_S, 0))
        if version == event.version and now_s - looked_s < _LOOK_S:
            return False
        ended = await self.store.close_unauthorized(stream, event.id, at_s=now_s)
        self._looked[stream] = now_s, event.version
        return bool(ended)

    def forget(self, stream: str) -> None:
        """The stream is over."""
        self._looked.pop(stream, None)
