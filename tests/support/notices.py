"""A notifier on virtual time, with subscribers whose answers are told beforehand."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from support import databases
from support.virtual import PatientDatabase, until
from umbel.kit.clock import LoopClock
from umbel.kit.db import DatabaseUnavailable
from umbel.kit.journal import Journal
from umbel.kit.sealing import Sealer
from umbel.kit.sql import Connection
from umbel.notify.drivers.fake import FakeCourier, Posted
from umbel.notify.model import Kind, Subscriber, SubscriberState
from umbel.notify.rules import Patience
from umbel.notify.service import Bounds, Notifier
from umbel.notify.store import NotifyStore

P = ParamSpec("P")
T = TypeVar("T")
HOOK, OTHER = "http://one.example/hook", "http://two.example/hook"
LINKS = (Kind.LINK_UP, Kind.LINK_DOWN)
PATIENCE = Patience(
    post_s=5.0,
    first_wait_s=1.0,
    longest_wait_s=30.0,
    most_failures=6,
    longest_s=300.0,
    most_waiting=40,
)


class Outage(PatientDatabase):
    """A database that can be away."""

    away = False

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self.away:
            raise DatabaseUnavailable
        return await super().write(unit, *args, **kwargs)


@dataclass(kw_only=True)
class Here:
    """Receivers and a database; `start` and `crash` an instance over them."""

    folder: Path
    courier: FakeCourier = field(default_factory=FakeCourier)
    clock: LoopClock = field(default_factory=LoopClock)
    bounds: Bounds = field(default_factory=Bounds)
    numbers: itertools.count = field(default_factory=itertools.count)

    async def start(self) -> Notifier:
        self.database = Outage(f"sqlite:///{self.folder / 'umbel.db'}")
        await databases.prepare(self.database)
        self.notifier, self.task = self.instance("cp_1")
        return self.notifier

    def instance(self, owner: str) -> tuple[Notifier, "asyncio.Task[None]"]:
        made = Notifier(
            store=NotifyStore(self.database),
            journal=Journal(self.database),
            courier=self.courier,
            sealer=Sealer(b"master", "notices"),
            clock=self.clock,
            owner=owner,
            patience=PATIENCE,
            bounds=self.bounds,
        )
        return made, asyncio.create_task(made.run())

    async def stop(self) -> None:
        await ended(self.task)
        await self.database.close()

    async def crash(self) -> None:
        """As by kill -9: nothing is saved any more."""
        self.database.away = True
        await self.stop()

    def happen(self, count: int = 1, kind: Kind = Kind.LINK_DOWN) -> None:
        for _ in range(count):
            self.notifier.publish(kind, "a-b", {"number": next(self.numbers)})

    async def until_taken(self, count: int, url: str = HOOK, within_s: float = 120.0) -> float:
        async def holds() -> bool:
            return len(self.bodies(url)) >= count

        return await until(holds, within_s=within_s, why=f"{count} taken")

    async def until_state(self, id_: str, state: SubscriberState, within_s: float = 600.0) -> float:
        async def holds() -> bool:
            return (await self.standing(id_)).progress.state is state

        return await until(holds, within_s=within_s, why=f"{id_} is {state}")

    async def standing(self, id_: str) -> Subscriber:
        return (await self.notifier.subscriber(id_)).subscriber

    def bodies(self, url: str = HOOK) -> list[dict[str, Any]]:
        return [json.loads(posted.body) for posted in self.posts(url)]

    def posts(self, url: str = HOOK) -> list[Posted]:
        return [posted for posted in self.courier.taken if posted.url == url]

    def sequences(self, url: str = HOOK) -> list[object]:
        return [body["sequence"] for body in self.bodies(url)]


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def here(folder: Path, **bounds: Any) -> AsyncIterator[Here]:
    made = Here(folder=folder, bounds=Bounds(**bounds))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
