"""What is watched now as demand: sessions and streams in, rows as of a demand file out.

A live event is a content of which a cache holds what its viewers are watching; every viewer hangs
on the node that gives access, and asks for the picture height that is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.delivery import guidance
from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import StreamStatus
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import renditions
from umbel.delivery.trees.view import Costs
from umbel.kit.clock import Clock

# An event's watch time is that of its viewers so far, and at least this.
_LEAST_WATCH_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Audience:
    """How many watch a stream from an access node, and for how long on average so far."""

    stream: str
    access_node: str
    viewers: int
    watched_s: float


def rows(
    audience: list[Audience], streams: Mapping[str, StreamStatus], costs: Costs
) -> tuple[dict[str, object], ...]:
    """One bundle for each stream and access node."""
    longest: dict[str, float] = {}
    for one in audience:
        watched_s = max(one.watched_s, _LEAST_WATCH_S)
        longest[one.stream] = max(longest.get(one.stream, 0.0), watched_s)
    made: list[dict[str, object]] = []
    for one in audience:
        stream = streams.get(one.stream)
        measured = stream.mbps if stream is not None else 0.0
        mbps = measured or costs.mbps_of(one.stream)
        height = stream.height if stream is not None else renditions.height_of(one.stream)
        made.append(
            {
                "end": one.access_node,
                "content": one.stream,
                "resolution": guidance.resolution_of(height).value,
                "parallel": float(one.viewers),
                "watch_s": max(one.watched_s, _LEAST_WATCH_S),
                "size_gb": mbps * longest[one.stream] / 8000.0,
            }
        )
    return tuple(made)


@dataclass(frozen=True, kw_only=True)
class LiveDemand:
    """Reads the platform."""

    store: DeliveryStore
    collector: Collector
    clock: Clock

    async def rows(self) -> tuple[dict[str, object], ...]:
        """What is watched at this moment."""
        now_s = self.clock.now_s()
        audience = [
            Audience(stream=stream, access_node=node, viewers=count, watched_s=now_s - opened_s)
            for stream, node, count, opened_s in await self.store.audience()
        ]
        trees = await self.store.trees()
        found = {stream: self.collector.status(tree) for stream, tree in trees.items()}
        known = {stream: one for stream, one in found.items() if one is not None}
        return rows(audience, known, self.collector.costs)
