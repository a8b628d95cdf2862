"""Someone who wants streams recorded and pulls them, as the recordings' owner does."""

import asyncio
import itertools
from dataclasses import dataclass, field

from support.world import World
from umbel.delivery.loop.recordings import RecordingSet
from umbel.kit.errors import Unavailable
from umbel.media.model import PulledSegment


@dataclass
class Puller:
    """Pulls every stream it wants from wherever its recorder is. `ended`: the lives of recorders
    that gave all they had."""

    world: World
    demand: RecordingSet = field(default_factory=RecordingSet)
    segments: dict[str, list[PulledSegment]] = field(default_factory=dict)
    lives: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    places: list[str] = field(default_factory=list)

    def want(self, stream: str) -> None:
        self.world.demand = self.world.delivery.recorders.recordings.demand = self.demand
        self.demand.streams.add(stream)
        self.world.delivery.recorders.demand_changed(stream)

    def stop(self, stream: str) -> None:
        self.demand.streams.discard(stream)
        self.world.delivery.recorders.demand_changed(stream)

    async def run(self, stream: str) -> None:
        """Until cancelled."""
        after, boot = -1, ""
        while True:
            at = (await self.world.delivery.recorders.all()).get(stream)
            if at is None:
                await asyncio.sleep(0.2)
                continue
            try:
                pulled = await self.world.recorders.pull(at.url, at.token, after, boot)
            except Unavailable:
                await asyncio.sleep(0.2)
                continue
            if pulled.boot != boot:
                self.lives.append(pulled.boot)
                self.places.append(at.function)
                after, boot = -1, pulled.boot
            for segment in pulled.segments:
                self.segments.setdefault(stream, []).append(segment)
                after = segment.number
            if pulled.ended:
                self.ended.add(boot)
                await asyncio.sleep(0.2)

    def length_s(self, stream: str) -> float:
        return sum(segment.duration_s for segment in self.segments.get(stream, []))

    def gaps_s(self, stream: str) -> list[float]:
        """Between each segment's end and the next one's beginning; less than 0: they overlap."""
        found = self.segments.get(stream, [])
        return [
            after.wall_s - before.wall_s - before.duration_s
            for before, after in itertools.pairwise(found)
        ]
