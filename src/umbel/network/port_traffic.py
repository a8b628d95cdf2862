"""The rates that switches count at their ports toward each other, link end by link end.

In: the switches' port counters, read every few seconds. Out: Mbit/s that each end of a link sends,
foreign packets included. A rate is forgotten when its switch stops answering.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.network.model import Pair
from umbel.network.switching.counters import FabricCounts, RateMeter

log = structlog.get_logger(__name__)

_EVERY_S = 5.0


@runtime_checkable
class PortCounters(Protocol):
    """A fabric of switches that count."""

    async def counters(self) -> FabricCounts:
        """What the switches that answer have counted so far."""


@dataclass(kw_only=True)
class PortTraffic:
    """Measures while it runs; without `fabric` nothing is known."""

    fabric: PortCounters | None
    clock: Clock
    _rates: RateMeter[Pair] = field(default_factory=RateMeter)
    _mbps: dict[Pair, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Read the counters until cancelled."""
        while self.fabric is not None:
            await self.measure(self.fabric)
            await asyncio.sleep(_EVERY_S)

    async def measure(self, fabric: PortCounters) -> None:
        """Read them once."""
        try:
            counted: Mapping[Pair, object] = (found := await fabric.counters()).links
        except UmbelError as error:
            log.warning("ports not counted", code=error.code, reason=error.message)
            self._mbps = {}
            return
        self._rates.retain(counted)
        measured = {link for link in counted if self._rates.is_known(link)}
        self._rates.update(found.links, self.clock.monotonic_s())
        self._mbps = {link: self._rates.of(link).mbps for link in measured}

    def mbps(self, source: str, target: str) -> float | None:
        """What `source` sends to its neighbour `target`; None where no switch counts it."""
        return self._mbps.get((source, target))
