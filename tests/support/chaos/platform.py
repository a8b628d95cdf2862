"""Control planes as the fault run sees them: started, killed, paused, and asked over their API.

In: what befalls them, in plain words. Out: what the API answered. With world.py this is the only
module of the fault run that knows the product's names; see channels.py for how calls pass.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from support.chaos.channels import Channel, Impairment, Notifications, Remote, SimulatedProcess
from support.chaos.database import RemoteDatabase
from support.chaos.snapshot import Held
from support.chaos.world import LEASE, PARTS, World, base
from umbel.bootstrap import services
from umbel.bootstrap.drivers import Drivers
from umbel.bootstrap.services import Context
from umbel.catalogue.model import EventDraft, EventEvent
from umbel.catalogue.service import Catalogue
from umbel.compute.model import Function, Node, NodeState
from umbel.compute.ports import Vim
from umbel.delivery.loop.functions import OWNER
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.loop.timing import Timing
from umbel.delivery.service import Delivery
from umbel.delivery.slice_streams import TreeStreams
from umbel.delivery.steering.drivers.fake import InlineSolver
from umbel.delivery.store import DeliveryStore
from umbel.kit import ids
from umbel.kit.clock import LoopClock
from umbel.kit.config import Settings
from umbel.kit.db import DatabaseUnavailable
from umbel.kit.errors import UmbelError, Unavailable
from umbel.kit.journal import Journal
from umbel.media.model import Server, StreamSpec
from umbel.media.ports import MediaDriver
from umbel.network.ports import Fabric
from umbel.network.service import NetworkDrivers, build
from umbel.notify.drivers.fake import FakeCourier

TIMING = Timing(
    sweep_s=2.0,
    linger_s=2.0,
    session_idle_s=12.0,
    ready_s=6.0,
    silence_s=2.0,
    lease_s=6.0,
)


class Refused(Exception):
    """The API answered with an error; its code is the text."""


class Gone(Exception):
    """The API did not answer: whether it did what was asked is not known."""


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """Where an encoder pushes."""

    function: str
    urls: Mapping[str, str]


# -- a control plane ------------------------------------------------------------------------


@dataclass(kw_only=True)
class ControlPlane:
    """One `umbel serve` without its web server."""

    world: World
    name: str
    skew_s: float = 0.0

    def __post_init__(self) -> None:
        world = self.world
        self.process = SimulatedProcess()
        self.function_notifications = Notifications(
            self.process, world.random(f"{self.name}/functions")
        )
        self.stream_notifications = Notifications(
            self.process, world.random(f"{self.name}/streams")
        )
        self.channels = {part: self._channel(part) for part in PARTS}
        self.clock = LoopClock(1_700_000_000.0 + self.skew_s)
        # Not a set: tasks must be ended in the same order every time.
        self._asked: dict[asyncio.Task[Any], None] = {}
        self.owner = ids.new_id(f"cp_{self.name}")
        self._build()

    def _channel(self, part: str) -> Channel:
        lose: Callable[[str], Exception] = (
            (lambda _: DatabaseUnavailable()) if part == "database" else Unavailable
        )
        random, record = self.world.random(f"{self.name}/{part}"), self.world.record
        begin = f"{self.name} {part} "
        impairment = self.world.impairments.setdefault((self.name[0], part), Impairment())
        return Channel(
            self.process,
            random,
            lose,
            impairment,
            lambda what: record(begin + what),
        )

    def _build(self) -> None:
        world, channels = self.world, self.channels
        vim = Remote(world.nodes, channels["vim"], self._called, "start", "stop", "running")
        media = Remote(
            world.servers, channels["media"], self._called, "ensure", "remove", "observe"
        )
        fabric = Remote(world.fabric, channels["fabric"], self._called, "ensure", "remove")
        vim.watch, media.watch = self.function_notifications.watch, self.stream_notifications.watch
        drivers = Drivers(
            vim=cast(Vim, vim),
            media=cast(MediaDriver, media),
            network=NetworkDrivers(fabric=cast(Fabric, fabric)),
            courier=FakeCourier(),
            solver=InlineSolver(),
        )
        database = RemoteDatabase(world.tables, channels["database"])
        journal = Journal(database)
        context = Context(
            settings=_settings(world.policy),
            document=base().document,
            nodes=base().nodes,
            network=build(
                topology=base().links,
                terms=base().terms,
                drivers=drivers.network,
                streams=TreeStreams(DeliveryStore(database)),
                database=database,
                clock=self.clock,
            ),
            secrets=base().secrets,
            drivers=drivers,
            clock=self.clock,
            database=database,
            journal=journal,
            catalogue=Catalogue(database, self.clock, passwords=base().passwords),
            owner=self.owner,
        )
        collector = services.collector(context)
        self.controller = services.controller(context, collector, lambda _: None, TIMING)
        self.delivery: Delivery = services.delivery(context, self.controller)
        self._schedule = services.schedule(context, self.controller)
        self.catalogue = context.catalogue

    def _called(self, call: str, *arguments: Any) -> None:
        """A call is made. Raises Unavailable when a partition is in its way."""
        self._check_ownership(call, *arguments)
        nodes = self._nodes_of(*arguments) if any(self.world.cuts.values()) else ()
        for node in sorted(nodes):
            if self.world.cuts[self.name[0], node]:
                raise Unavailable(f"{node} cannot be reached")

    def _nodes_of(self, *arguments: Any) -> set[str]:
        """The nodes that a call is about."""
        nodes = {a.name for a in arguments if isinstance(a, Node)}
        functions = (a.function_id if isinstance(a, Server) else a for a in arguments)
        return nodes.union(*(self.world.nodes.of(f) for f in functions if isinstance(f, str)))

    def _check_ownership(self, call: str, *arguments: Any) -> None:
        """Note when it acts for what another control plane owns."""
        if call in ("running", "observe"):
            return
        about = (a for a in arguments if isinstance(a, StreamSpec | Function | str))
        what = max(about, key=lambda a: not isinstance(a, str), default="")
        stream = what.stream if isinstance(what, StreamSpec) else str(getattr(what, "id", what))
        self.world.record(f"{self.name} {call} {stream}")
        lease = "fleet" if call in ("start", "stop") else f"{LEASE}{stream}"
        owner = self.world.owner_of(lease)
        if owner not in ("", self.owner) and not self.world.is_over(stream):
            self.world.violations.append(f"{self.name} does {call} though {owner} owns {lease}")

    def start(self) -> None:
        """Begin to look."""
        self._runs = [asyncio.create_task(part.run()) for part in (self.delivery, self._schedule)]
        for task in self._runs:
            task.add_done_callback(self._ended)

    async def kill(self) -> None:
        """As by kill -9: no other part is notified."""
        self.process.kill()
        await self._end()

    async def stop(self) -> None:
        """As by SIGTERM: it gives up its leases."""
        await self._end()
        self.process.kill()

    async def _end(self) -> None:
        self.world.planes.pop(self.name, None)
        tasks = [*self._asked, *self._runs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def leases(self) -> list[str]:
        """The leases it acts by, as far as it knows."""
        now_s = self.clock.now_s()
        held = (
            name for name, until_s in self.controller.leases._until_s.items() if until_s > now_s
        )
        return sorted(name.removeprefix(LEASE) for name in held)

    def leads(self) -> bool:
        return self.controller.leads()

    def standby(self) -> frozenset[str]:
        compute = self.controller.collector.compute
        return frozenset(
            n.name for n in compute.nodes() if compute.state(n.name) is NodeState.STANDBY
        )

    def rest(self, nodes: Sequence[str]) -> None:
        """As a plan would have it."""
        self.controller.collector.compute.set_standby(OWNER, nodes)
        self.controller.wake(FLEET)

    # what people ask of it

    async def add_event(self, node: str, *, starts_in_s: float, lasts_s: float) -> str:
        async def call() -> str:
            provider = await self.catalogue.ensure_provider(f"Provider at {node}", node)
            starts_s = self.clock.now_s() + starts_in_s
            draft = EventDraft(
                provider_id=provider.id,
                title="Council",
                starts_s=starts_s,
                ends_s=starts_s + lasts_s,
                vp8=True,
            )
            return (await self.catalogue.add_event(draft)).id

        return cast(str, await self.ask(call))

    async def end_event(self, event: str) -> None:
        async def call() -> None:
            await self.catalogue.transition(event, EventEvent.END)
            await self.delivery.end(event)

        await self.ask(call)

    async def open_ingest(self, event: str) -> Ingest:
        point = await self.ask(lambda: self.delivery.open_ingest(event))
        return Ingest(function=point.function, urls=point.urls)

    async def open_session(self, event: str, node: str, quality: str, viewer: str) -> Held:
        ticket = await self.ask(lambda: self.delivery.open_session(event, node, quality))
        session = ticket.session
        return Held(id=session.id, viewer=viewer, stream=session.stream, function=session.function)

    async def close_session(self, session: str) -> None:
        await self.ask(lambda: self.delivery.close_session(session))

    async def ask(self, call: Callable[[], Awaitable[Any]], *, patience_s: float = 15.0) -> Any:
        """Answers as the API would. Raises Refused, Gone."""
        if self.process.is_dead:
            raise Gone("connection refused")
        task = asyncio.ensure_future(call())
        self._asked[task] = None
        task.add_done_callback(self._answered)
        done, _ = await asyncio.wait({task}, timeout=patience_s)
        if not done or task.cancelled():
            raise Gone("no answer")
        try:
            return task.result()
        except UmbelError as error:
            raise Refused(error.code) from None
        except Exception:  # noqa: BLE001 -- `_answered` reports it
            raise Refused("a crash") from None

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asked.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, UmbelError):
            self.world.crashes.append(f"{self.name}: a request raised {error!r}")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.process.is_dead and not task.cancelled():
            self.world.crashes.append(f"{self.name}: the loop ended with {task.exception()!r}")


@cache
def _settings(policy: Any) -> Settings:
    return Settings(
        policy=policy, node_wake_s=1.0, plan_sample_s=4.0, plan_rca_s=8.0, plan_virca_s=20.0
    )
