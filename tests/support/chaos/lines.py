"""Lines between a control plane and its surroundings: calls take time, get lost, or wait.

In: a call of a real driver. Out: its answer, late or never, as the weather on that line says. A
paused control plane passes nothing until it runs again; a dead one passes nothing at all.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Pass = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]


@dataclass
class Power:
    """Whether a control plane runs, is paused (SIGSTOP), or is dead (SIGKILL)."""

    is_dead: bool = False
    _runs: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._runs.set()

    @property
    def is_paused(self) -> bool:
        return not self._runs.is_set()

    def pause(self) -> None:
        self._runs.clear()

    def resume(self) -> None:
        self._runs.set()

    def kill(self) -> None:
        self.is_dead = True
        self._runs.set()

    async def awake(self) -> None:
        """Return while it runs. Raises CancelledError when it is dead: the caller died with it."""
        if self.is_paused:
            await self._runs.wait()
        if self.is_dead:
            raise asyncio.CancelledError


@dataclass
class Weather:
    """What happens to calls on a line: `lost` is the share that fails, `after` the share of those
    that did their work all the same, `delay_s` the longest delay of the share `slow`."""

    lost: float = 0.0
    after: float = 0.5
    slow: float = 0.1
    delay_s: float = 0.02


@dataclass
class Line:
    """One control plane's way to one part of the world; `lose` makes the error of a lost call."""

    power: Power
    random: Random
    lose: Callable[[str], Exception]
    weather: Weather = field(default_factory=Weather)
    tell: Callable[[str], None] = lambda _: None

    async def carry(self, what: str, act: Callable[[], Awaitable[Any]]) -> Any:
        """Do the call as the weather is. Raises what `lose` makes."""
        await self.pass_(what, before=True)
        answer = await act()
        await self.pass_(what, before=False)
        return answer

    async def pass_(self, what: str, *, before: bool) -> None:
        """One direction: the call on its way out (`before` its work), or its answer back."""
        power, weather, random = self.power, self.weather, self.random
        self.tell(what)
        await power.awake()
        if random.random() < weather.slow:
            await asyncio.sleep(random.random() * weather.delay_s)
            await power.awake()
        is_lost = weather.lost and random.random() < weather.lost
        if is_lost and (random.random() >= weather.after) is before:
            raise self.lose(f"{what} was lost {'on its way' if before else 'on the way back'}")


class Remote:
    """A driver at the other end of a line: its coroutine methods `calls` pass the line, anything
    else is the driver's own. `heed` hears of each call as it is made."""

    watch: Callable[[Callable[..., None]], None]

    def __init__(self, driver: object, line: Line, heed: Callable[..., None], *calls: str) -> None:
        self._driver = driver
        self._heed = heed
        for name in calls:
            setattr(self, name, self._through(line, name, getattr(driver, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def _through(self, line: Line, name: str, method: Callable[..., Awaitable[Any]]) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            self._heed(name, *arguments)
            return await line.carry(name, lambda: method(*arguments, **named))

        return call


@dataclass
class Rumours:
    """How a control plane hears of changes: at once, twice, late or never."""

    power: Power
    random: Random
    twice: float = 0.0
    late_s: float = 0.0
    never: float = 0.0
    _listeners: list[Callable[..., None]] = field(default_factory=list)

    def watch(self, on_change: Callable[..., None]) -> None:
        self._listeners.append(on_change)

    def tell(self, *what: str) -> None:
        """Pass the news on, as it goes with rumours."""
        if self.power.is_dead or self.power.is_paused or self.random.random() < self.never:
            return
        for _ in range(1 + (self.random.random() < self.twice)):
            if self.late_s:
                loop = asyncio.get_running_loop()
                loop.call_later(self.random.random() * self.late_s, self._hear, what)
            else:
                self._hear(what)

    def _hear(self, what: tuple[str, ...]) -> None:
        if not self.power.is_dead:
            for listener in self._listeners:
                listener(*what)
