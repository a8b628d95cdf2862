"""Ends unused sessions: those whose viewers were looked for, and not seen, for a long time.

In: a stream's tree, who watches by the collector. Out: sessions ended in the store. A session is
idle only if its function was asked and answered all the time.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Tree
from umbel.delivery.store import DeliveryStore


@dataclass(kw_only=True)
class IdleSessions:
    """Looks every `sweep_s`; a session may be unseen for `idle_s`. Seconds."""

    store: DeliveryStore
    collector: Collector
    sweep_s: float
    idle_s: float
    _swept: dict[str, float] = field(default_factory=dict)

    async def end(self, tree: Tree, watched: Collection[str], now_s: float) -> bool:
        """End the idle sessions of the stream, if it is time to look; `watched` are the functions
        with a session. Answers whether some ended."""
        before_s = self._swept.get(tree.stream)
        if before_s is not None and now_s - before_s < self.sweep_s:
            return False
        looked = before_s is not None and now_s - before_s < self.idle_s / 2
        unreachable = {b.function for b in tree.branches} - self.collector.answering()
        ended = await self.store.sweep(
            tree.stream,
            set().union(*self.collector.viewers(tree.stream).values()),
            now_s=now_s,
            idle_s=self.idle_s,
            unknown=unreachable if looked else watched,
        )
        self._swept[tree.stream] = now_s
        return bool(ended)

    def forget(self, stream: str) -> None:
        """The stream is over."""
        self._swept.pop(stream, None)
