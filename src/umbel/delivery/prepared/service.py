"""Functions in advance, for operators: an idle edge serves its first viewer without a start.

In: counts by node. Out: rows, and a wake-up of the loop, which starts and stops them. The policies
use such an edge as any other that runs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from umbel.delivery.loop.collector import Collector
from umbel.delivery.prepared import rules
from umbel.delivery.prepared.model import Prepared, PreparedStatus
from umbel.delivery.prepared.store import PreparedStore
from umbel.kit.clock import Clock


@dataclass(kw_only=True)
class PreparedFunctions:
    """What runs in advance. `wake` has the loop look at once."""

    store: PreparedStore
    collector: Collector
    clock: Clock
    wake: Callable[[], None]

    async def list(self) -> list[PreparedStatus]:
        """Every node that is to have some."""
        trees = await self.collector.store.trees()
        return [
            PreparedStatus(wanted=one, ready=rules.ready(one, trees, self.collector.instances))
            for one in await self.store.all()
        ]

    async def set(self, wanted: Prepared, *, by: str) -> None:
        """The node is to have exactly these. Raises NoSuchNode."""
        self.collector.compute.node(wanted.node)
        await self.store.set(wanted, by=by, at_s=self.clock.now_s())
        self.wake()
