"""Channels between a control plane and its surroundings: calls take time, get lost, or wait.

In: a call of a real driver. Out: its answer, late or never, as the impairment of the channel says.
A paused control plane passes nothing until it runs again; a dead one passes nothing at all.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Pass = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]


@dataclass
class SimulatedProcess:
    """Whether a control plane runs, is paused (SIGSTOP), or is dead (SIGKILL)."""

    is_dead: bool = False
    is_paused: bool = False
    _runs: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._runs.set()

    def pause(self) -> None:
        self.is_paused = True
        self._runs.clear()

    def resume(self) -> None:
        self.is_paused = False
        self._runs.set()

    def kill(self) -> None:
        self.is_dead = True
        self.resume()

    async def until_running(self) -> None:
        """Return while it runs. Raises CancelledError when it is dead: the caller died with it."""
        if self.is_paused:
            await self._runs.wait()
        if self.is_dead:
            raise asyncio.CancelledError


@dataclass
class Impairment:
    """What happens to calls on a channel: `lost` is the share that fails, `after` the share of
    those that did their work all the same, `delay_s` the longest delay of the share `slow`."""

    lost: float = 0.0
    after: float = 0.5
    slow: float = 0.1
    delay_s: float = 0.02


@dataclass
class Channel:
    """One control plane's way to one part of the world; `lose` makes the error of a lost call."""

    process: SimulatedProcess
    random: Random
    lose: Callable[[str], Exception]
    impairment: Impairment = field(default_factory=Impairment)
    record: Callable[[str], None] = lambda _: None

    async def carry(self, what: str, act: Callable[[], Awaitable[Any]]) -> Any:
        """Do the call under the impairment. Raises what `lose` makes."""
        await self.pass_(what, before=True)
        answer = await act()
        await self.pass_(what, before=False)
        return answer

    async def pass_(self, what: str, *, before: bool) -> None:
        """One direction: the call on its way out (`before` its work), or its answer back."""
        process, impairment, random = self.process, self.impairment, self.random
        self.record(what)
        if process.is_paused or process.is_dead:
            await process.until_running()
        if random.random() < impairment.slow:
            await asyncio.sleep(random.random() * impairment.delay_s)
            await process.until_running()
        is_lost = impairment.lost and random.random() < impairment.lost
        if is_lost and (random.random() >= impairment.after) is before:
            raise self.lose(f"{what} was lost {'on its way' if before else 'on the way back'}")


class Remote:
    """A driver at the other end of a channel: its coroutine methods `calls` pass the channel,
    anything else is the driver's own. `on_call` gets each call as it is made."""

    watch: Callable[[Callable[..., None]], None]

    def __init__(
        self, driver: object, channel: Channel, on_call: Callable[..., None], *calls: str
    ) -> None:
        self._driver = driver
        self._on_call = on_call
        for name in calls:
            setattr(self, name, self._through(channel, name, getattr(driver, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def _through(self, channel: Channel, name: str, method: Callable[..., Awaitable[Any]]) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            self._on_call(name, *arguments)
            return await channel.carry(name, lambda: method(*arguments, **named))

        return call


@dataclass
class Notifications:
    """How a control plane gets notice of changes: at once, twice, late or never."""

    process: SimulatedProcess
    random: Random
    twice: float = 0.0
    late_s: float = 0.0
    never: float = 0.0
    _listeners: list[Callable[..., None]] = field(default_factory=list)

    def watch(self, on_change: Callable[..., None]) -> None:
        self._listeners.append(on_change)

    def notify(self, *what: str) -> None:
        """Deliver a notification: at once, late, twice or never."""
        if self.process.is_dead or self.process.is_paused or self.random.random() < self.never:
            return
        for _ in range(1 + (self.random.random() < self.twice)):
            if self.late_s:
                loop = asyncio.get_running_loop()
                loop.call_later(self.random.random() * self.late_s, self._deliver, what)
            else:
                self._deliver(what)

    def _deliver(self, what: tuple[str, ...]) -> None:
        if not self.process.is_dead:
            for listener in self._listeners:
                listener(*what)
