"""Delivery's control loop: one task per stream, and one for the fleet of functions.

In: wake-ups without payload (from the API, the drivers' watches, the journal of other instances).
Out: ensured functions; a reconciled stream for each wake-up (`streams`). Leases in the database
keep instances apart: one of them reconciles a stream, one the fleet.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from umbel.catalogue.service import Catalogue
from umbel.compute.model import Instance
from umbel.delivery.loop import node_health
from umbel.delivery.loop.ahead import Ahead
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.eviction import Eviction
from umbel.delivery.loop.functions import OWNER
from umbel.delivery.loop.preemption import Preemption
from umbel.delivery.loop.recordings import Recordings
from umbel.delivery.loop.streams import FLEET, StreamReconciler
from umbel.delivery.loop.timing import Timing
from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy.base import Policy
from umbel.delivery.prepared import rules as prepared
from umbel.delivery.prepared.store import PreparedStore
from umbel.delivery.replays import rules as replays
from umbel.delivery.replays.model import IDLE_S
from umbel.delivery.replays.store import ReplayStore
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace
from umbel.kit.errors import UmbelError, Unavailable
from umbel.kit.leases import Leases
from umbel.kit.signal import Signal
from umbel.media.model import StreamState

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class DeliveryController:
    """Keeps trees and functions as they are wanted. `on_functions` gets what runs at each run for
    the fleet, from the one instance that holds its lease."""

    catalogue: Catalogue
    store: DeliveryStore
    prepared: PreparedStore
    replays: ReplayStore
    collector: Collector
    policy: Policy
    recordings: Recordings
    ahead: Ahead
    clock: Clock
    timing: Timing
    leases: Leases
    on_functions: Callable[[Mapping[str, Instance]], None] = lambda _: None
    changed: Signal = field(default_factory=Signal)
    _announced_s: float = 0.0
    _swept_s: float = 0.0
    _streams: StreamReconciler = field(init=False)
    _eviction: Eviction = field(init=False)
    _preemption: Preemption = field(init=False)
    _controller: Controller = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile, lease=self._lease, standby=self._standby)
        self._preemption = Preemption(
            ahead=self.ahead,
            store=self.store,
            reserved=self._reserved,
            wake=self._wake_with_fleet,
            changed=self.changed,
            ready_s=self.timing.ready_s,
        )
        self._eviction = Eviction(collector=self.collector, clock=self.clock, wake=self.wake)
        self._streams = StreamReconciler(
            catalogue=self.catalogue,
            store=self.store,
            collector=self.collector,
            policy=self.policy,
            recordings=self.recordings,
            ahead=self.ahead,
            clock=self.clock,
            timing=self.timing,
            changed=self.changed,
            wake=self.wake,
            forget=self._forget,
            check=lambda stream: self.leases.check(_lease_name(stream)),
        )

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def start(self) -> None:
        """Observe what is there, adopt it, and begin."""
        await self.collector.refresh()
        self.collector.compute.watch(self._function_changed)
        self.collector.media.watch(self._stream_changed)
        for key in (FLEET, *await self.store.trees()):
            self.wake(key)

    async def close(self) -> None:
        """End the tasks and give up the leases. What runs goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._controller.close()
        try:
            await self.leases.release()
        except Unavailable as error:
            log.warning("leases not released, they run out", reason=error.message)

    def wake(self, key: str) -> None:
        """Ask for a run for a stream or FLEET."""
        self._controller.wake(key)

    def _wake_with_fleet(self, streams: Iterable[str]) -> None:
        for key in (FLEET, *streams):
            self.wake(key)

    def wake_all(self) -> None:
        """Ask for a run for the fleet and every stream that is known: the nodes have changed."""
        for key in sorted(self._controller.keys()):
            self.wake(key)

    def leads(self) -> bool:
        """Whether this instance looks after the fleet of functions now."""
        return self.leases.is_held(FLEET)

    async def is_settled(self, tree: Tree, function: str) -> bool:
        """Whether the function gets the stream (`StreamReconciler.is_settled`)."""
        return await self._streams.is_settled(tree, function)

    def refused_nodes(self, stream: str) -> frozenset[str]:
        """The nodes to which a switch lays no way for the stream."""
        return self._streams.refused_nodes(stream)

    async def offer(self, tree: Tree, sdp: str) -> StreamState:
        """Give an RTP publisher's description to the acquirer now. Raises MalformedSdp,
        Unavailable."""
        return await self._streams.offer(tree, sdp)

    async def make_way(
        self, stream: str, node: str, *, is_bound: bool = False, every: bool = False
    ) -> bool:
        """Have what waits for expected viewers of other events end, for a viewer of the stream at
        that access node who is there, or for an encoder that `is_bound` to the node: at the nearest
        node where something waits, or at `every` one. Answers whether there was something."""
        nearest = () if is_bound else self.collector.network.topology.nearest(node)
        nodes = [node, *(way.target for way in nearest)]
        return await self._preemption.make_way(stream, nodes, every=every)

    # -- wake-ups ---------------------------------------------------------------------------

    def _function_changed(self, function: str) -> None:
        self._streams.forget_sent(function)
        self._spawn(self._refresh(function))

    def _stream_changed(self, function: str, stream: str) -> None:
        if not stream:
            self._streams.forget_sent(function)
        self._spawn(self._refresh(function))

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh(self, function: str) -> None:
        """Observe a function again, and wake what it is part of."""
        try:
            await self.collector.refresh_function(function)
            wanted = await self.store.trees()
        except UmbelError as error:
            log.warning("function not observed", function=function, reason=error.message)
            return
        self.changed.notify()
        self.wake(FLEET)
        for stream, tree in wanted.items():
            if tree.branch(function) is not None:
                self.wake(stream)

    # -- runs -------------------------------------------------------------------------------

    async def _lease(self, key: str) -> bool:
        return await self.leases.acquire(key if key == FLEET else _lease_name(key))

    async def _standby(self, key: str) -> float:
        if key == FLEET:
            self.collector.compute.yield_to_others(OWNER)
            await self.collector.refresh()
            trees = await self.store.trees()
            await self.ahead.refresh(trees)
            await self._avoid_unreliable(trees)
            self.changed.notify()
        return self.timing.look_s

    async def _reconcile(self, key: str) -> float | None:
        if key == FLEET:
            return await self._reconcile_fleet()
        return await self._streams.reconcile(key)

    async def _forget(self, stream: str) -> None:
        await self.leases.drop(_lease_name(stream))
        await self._controller.forget(stream)

    async def _reconcile_fleet(self) -> float:
        """The functions of all trees run, those in advance, and edges that viewers of recordings
        need; others of delivery do not."""
        self.leases.check(FLEET)
        await self._eviction.run()
        trees = await self.store.trees()
        expected = await self.ahead.refresh(trees)
        more = (*await self._reserved(trees), *expected)
        without_stream = Tree(stream="", branches=more)
        wanted = self.collector.media_functions.to_run([*trees.values(), without_stream])
        compute = self.collector.compute
        done = await compute.ensure(OWNER, wanted, lambda: self.leases.check(FLEET))
        for function in done.stopped:
            await self.collector.media.forget(function)
        await self.collector.refresh()
        self.on_functions(self.collector.instances | self.collector.others)
        await self._avoid_unreliable(trees)
        await self._announce_drains()
        self.changed.notify()
        return min(self.timing.look_s, done.again_s or self.timing.look_s)

    async def _avoid_unreliable(self, trees: Mapping[str, Tree]) -> None:
        """Look which nodes to avoid, and have streams leave them. Each instance does: any of them
        may hold a stream."""
        wanted = self.collector.media_functions.wanted(trees.values())
        if self.collector.mark_unreliable(wanted, now_s=self.clock.now_s()):
            for stream in await self.store.trees():
                self.wake(stream)

    async def _reserved(self, trees: Mapping[str, Tree]) -> list[Branch]:
        """The functions that run for no stream, whatever is expected."""
        return [*await self._prepared(trees), *await self._replaying()]

    async def _prepared(self, trees: Mapping[str, Tree]) -> list[Branch]:
        """The idle functions that run in advance."""
        rows = await self.prepared.all()
        if not rows:
            return []
        return prepared.to_run(rows, self.collector.view(trees), self.collector.instances)

    async def _replaying(self) -> list[Branch]:
        """The edges that viewers of recordings need."""
        now_s = self.clock.now_s()
        if now_s - self._swept_s >= IDLE_S:
            self._swept_s = now_s
            await self.replays.sweep(now_s - IDLE_S)
        loads = await self.replays.loads(now_s - IDLE_S)
        return replays.wanted(loads, partial(node_health.stays, self.collector.compute))

    async def _announce_drains(self) -> None:
        """Tell viewers which nodes they should leave, again and again while there are any: each
        opens a session elsewhere before it leaves."""
        now_s = self.clock.now_s()
        if now_s - self._announced_s < self.timing.announce_s:
            return
        for node in await self.collector.draining():
            self._announced_s = now_s
            await self.store.note("drain", node, {"node": node}, now_s)


def _lease_name(stream: str) -> str:
    return f"stream:{stream}"
