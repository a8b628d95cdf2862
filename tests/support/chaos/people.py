"""Viewers and encoders: what they do is theirs alone; the platform has to follow.

In: a World. Out: sessions held and events published, both noted there. A player that gets nothing
leaves its edge after a while and asks again; an encoder that was cut off pushes to its address.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from support.chaos.platform import ControlPlane, Gone, Ingest, Refused
from support.chaos.snapshot import Held
from support.chaos.world import World

T = TypeVar("T")
TICK_S = 1.0
PATIENCE_S = 5.0
MOST_REFUSALS = 2
OVER = {
    "umbel.event_not_open",
    "umbel.event_over",
    "umbel.no_such_event",
    "umbel.illegal_transition",
}
FULL = {"umbel.no_capacity", "umbel.no_such_quality"}


@dataclass(kw_only=True)
class Event:
    """An event and its encoder; `is_over` once nobody will push any more."""

    world: World
    random: Random
    node: str
    name: str
    id: str = ""
    ingest: Ingest | None = None
    is_silent: bool = False
    is_over: bool = False
    _pushed_s: float = 0.0

    async def run(self, starts_in_s: float, lasts_s: float) -> None:
        """Schedule it, open its ingest when it is time, and push until it is over."""
        loop = asyncio.get_running_loop()
        self.id = await until_answered(
            self.world,
            self.random,
            lambda plane: plane.add_event(self.node, starts_in_s=starts_in_s, lasts_s=lasts_s),
        )
        self.world.ends_s[self.id] = loop.time() + starts_in_s + lasts_s
        self.world.note(f"{self.name} is {self.id} at {self.node}, {lasts_s:.0f} s long")
        await asyncio.sleep(starts_in_s)
        while not self.is_over:
            if self.ingest is None or loop.time() - self._pushed_s > 2 * PATIENCE_S:
                await self._ask()
            await self._push()
            await asyncio.sleep(TICK_S)
        self.world.publishing.discard(self.id)
        self.world.pushed.discard(self.id)

    async def _ask(self) -> None:
        self._pushed_s = asyncio.get_running_loop().time()
        try:
            self.ingest = await one_of(self.world, self.random).open_ingest(self.id)
        except Gone:
            return
        except Refused as error:
            self.is_over = str(error) in OVER

    async def _push(self) -> None:
        if self.ingest is None or self.is_over:
            return
        state = await self.world.stream(self.ingest.function, self.id)
        here = state is not None and dict(state.urls) == self.ingest.urls
        if self.is_silent:
            self.world.silence(self.ingest.function, self.id)
        elif state is not None and here and not state.mbps_in:
            self.world.publish(self.ingest.function, self.id)
        is_pushing = here and not self.is_silent
        (self.world.pushed.discard if self.is_silent else self.world.pushed.add)(self.id)
        if is_pushing or self.is_silent:
            self._pushed_s = asyncio.get_running_loop().time()
        (self.world.publishing.add if is_pushing else self.world.publishing.discard)(self.id)

    async def end(self) -> None:
        """The provider ends it."""
        try:
            await until_answered(self.world, self.random, lambda plane: plane.end_event(self.id))
        except Refused:
            pass  # it was over already
        self.world.over.add(self.id)
        self.is_over = True


@dataclass(kw_only=True)
class Viewer:
    """One who watches; `leaves` is set to make them go, `is_gone` when nothing more comes."""

    world: World
    random: Random
    name: str
    event: Event
    node: str
    quality: str
    leaves: bool = False
    is_gone: bool = False
    held: Held | None = None
    _refusals: int = field(default=0)

    async def run(self) -> None:
        """Ask for a session and watch, again and again."""
        while self.event.ingest is None and not self.event.is_over:
            await asyncio.sleep(TICK_S)
        self.world.waiting.add(self.name)
        while not self.leaves and not self.event.is_over:
            self.held = await self._open()
            if self.held is None:
                await asyncio.sleep(TICK_S)
                continue
            self.world.held[self.held.id] = self.held
            self.world.waiting.discard(self.name)
            await self._watch(self.held)
            del self.world.held[self.held.id]
            await self._close(self.held)
            self.held = None
            self.world.waiting.add(self.name)
        self.world.waiting.discard(self.name)
        self.is_gone = True

    async def _open(self) -> Held | None:
        try:
            plane = one_of(self.world, self.random)
            return await plane.open_session(self.event.id, self.node, self.quality, self.name)
        except Gone:
            return None
        except Refused as error:
            self._refusals += str(error) in FULL
            self.leaves = self._refusals >= MOST_REFUSALS or str(error) in OVER
            return None

    async def _watch(self, held: Held) -> None:
        """Stay while there is something to see, or soon may be."""
        loop = asyncio.get_running_loop()
        served_s = loop.time()
        while not self.leaves and not self.event.is_over:
            if await self.world.connect(held):
                served_s = loop.time()
            if loop.time() - served_s > PATIENCE_S:
                self.world.note(f"{self.name} gives up {held.function}")
                return
            await asyncio.sleep(TICK_S)

    async def _close(self, held: Held) -> None:
        await self.world.connect(held, stays=False)
        try:
            await one_of(self.world, self.random).close_session(held.id)
        except (Gone, Refused):
            return  # the platform will notice that nobody watches


def one_of(world: World, random: Random) -> ControlPlane:
    """Any control plane, as a load balancer would choose. Raises Gone when there is none."""
    planes = sorted(world.planes)
    if not planes:
        raise Gone("connection refused")
    return world.planes[planes[int(random.random() * len(planes))]]


async def until_answered(
    world: World, random: Random, ask: Callable[[ControlPlane], Awaitable[T]]
) -> T:
    """Ask one control plane after the other. Raises Refused when one says that it cannot be."""
    while True:
        try:
            return await ask(one_of(world, random))
        except Gone:
            pass
        except Refused as error:
            if str(error) in OVER:
                raise
        await asyncio.sleep(TICK_S)
