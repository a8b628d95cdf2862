"""Edges for viewers of recordings: which one serves whom, as the policy says.

In: a viewer's grant, capture and access node; reports of edges. Out: the edge's URL, or none where
no edge can serve; the edges that get pieces. Any instance can answer. Neighbours: the
portal asks, recordings give edges what they lack, the loop keeps the edges running.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import structlog

from umbel.compute.model import FunctionState, Instance
from umbel.delivery.loop import node_health
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.model import Tree
from umbel.delivery.replays import rules
from umbel.delivery.replays.model import (
    IDLE_S,
    ReplayEdgeAt,
    ReplayLoad,
    ReplaySession,
    ReplayViewer,
)
from umbel.delivery.replays.store import ReplayStore
from umbel.delivery.trees.grafting import leaf
from umbel.delivery.trees.view import NoCapacity
from umbel.kit import hosts
from umbel.kit.clock import Clock

log = structlog.get_logger(__name__)

READY_S = 10.0
"""A viewer waits for a new edge no longer; the front end serves then."""
UNFED_S = 60.0
"""An edge that took no pieces is tried again after that."""
_SILENT_S = 5.0
"""A function that runs and does not answer as long after its start serves nobody new."""


@dataclass(kw_only=True)
class ReplayEdges:
    """`changed` is called when another edge may serve recordings."""

    store: ReplayStore
    controller: DeliveryController
    clock: Clock
    changed: Callable[[], None] = lambda: None
    _holding: dict[str, frozenset[str]] = field(default_factory=dict)
    _unfed_s: dict[str, float] = field(default_factory=dict)
    _choosing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, grant_id: str, access_node: str) -> str:
        """The base URL of the edge that serves the viewer already; empty where none does."""
        session = await self.store.get(grant_id, access_node)
        return "" if session is None else self._url(session.function)

    async def open(self, grant_id: str, capture_id: str, access_node: str, mbps: float) -> str:
        """The base URL of an edge for the viewer, which the policy chooses; empty where none has
        room, or a new one is not up in time. Who waited for it once does not wait again. Raises
        NoSuchNode."""
        before = await self.store.get(grant_id, access_node)
        async with self._choosing:
            try:
                viewer = ReplayViewer(capture_id=capture_id, access_node=access_node, mbps=mbps)
                chosen = await self._chosen(grant_id, viewer)
            except NoCapacity as error:
                log.info("replay by the front end", access_node=access_node, reason=error.message)
                return ""
        if before is not None and before.function == chosen:
            return self._url(chosen)
        try:
            async with asyncio.timeout(READY_S):
                while True:
                    changed = self.controller.changed.listen()
                    if url := self._url(chosen):
                        self.changed()
                        return url
                    await changed.wait()
        except TimeoutError:
            return ""

    async def all(self) -> Mapping[str, ReplayEdgeAt]:
        """The edges that serve recordings or keep some, by function."""
        collector = self.controller.collector
        loads = await self._loads()
        kept = [
            _no_viewers(function, collector.instances[function].node)
            for function, captures in self._holding.items()
            if captures and function in collector.instances
        ]
        if not loads and not kept:
            return {}
        view = collector.view(await self.controller.store.trees())
        mbps = rules.allowances(view, [*loads, *kept])
        return {
            function: ReplayEdgeAt(
                server=collector.server(function),
                mbps=mbps[function],
            )
            for function in mbps
            if self._base(function)
        }

    async def viewers(self) -> Mapping[str, int]:
        """How many viewers of recordings each edge has, by function."""
        found: dict[str, int] = {}
        for load in await self._loads():
            found[load.function] = found.get(load.function, 0) + load.viewers
        return found

    async def note(
        self, function: str, *, captures: Collection[str], used: Collection[str]
    ) -> None:
        """What the edge keeps, and which grants were used there."""
        self._unfed_s.pop(function, None)
        self._holding[function] = frozenset(captures)
        for gone in self._holding.keys() - self.controller.collector.instances.keys():
            del self._holding[gone]
        await self.store.seen(function, used, self.clock.now_s())

    def forget(self, function: str) -> None:
        """The edge takes no pieces: it may be of an earlier version. Until it does, or for a while
        if nobody tries, it serves nobody, and nothing is known of what it keeps."""
        self._holding.pop(function, None)
        for gone in self._unfed_s.keys() - self.controller.collector.instances.keys():
            del self._unfed_s[gone]
        self._unfed_s[function] = self.clock.now_s()

    # -- inside -----------------------------------------------------------------------------

    async def _chosen(self, grant_id: str, viewer: ReplayViewer) -> str:
        collector = self.controller.collector
        loads = await self._loads()
        view = collector.view(await self.controller.store.trees())
        silent = {one.id for one in collector.instances.values() if self._is_silent(one)}
        view, policy = rules.without(view, silent), self.controller.policy
        found = rules.choose(view, policy, loads, self._holding, viewer)
        session = ReplaySession(
            grant_id=grant_id,
            access_node=viewer.access_node,
            capture_id=viewer.capture_id,
            function=found.function,
            edge_node=found.node,
            mbps=viewer.mbps,
            seen_s=self.clock.now_s(),
        )
        edge = Tree(stream="", branches=(leaf(found.function, found.node),))
        with collector.promises.placing(edge):
            await self.store.put(session)
        self.controller.wake(FLEET)
        return found.function

    async def _loads(self) -> list[ReplayLoad]:
        return await self.store.loads(self.clock.now_s() - IDLE_S)

    def _is_silent(self, instance: Instance) -> bool:
        if self._is_unfed(instance):
            return True
        if instance.state is not FunctionState.ACTIVE:
            return instance.state is not FunctionState.BOOTING
        is_old = self.clock.now_s() - instance.started_s > _SILENT_S
        return is_old and instance.id not in self.controller.collector.answering()

    def _url(self, function: str) -> str:
        """Where the edge serves viewers of recordings; empty while it does not."""
        instance = self.controller.collector.instances.get(function)
        is_unfed = instance is not None and self._is_unfed(instance)
        return "" if is_unfed else self._base(function)

    def _is_unfed(self, instance: Instance) -> bool:
        """Whether it took no pieces lately. Only edges that serve somebody are fed: one that is
        left has to be tried again, and so has one that was started again."""
        unfed_s = self._unfed_s.get(instance.id, -math.inf)
        is_newer = instance.started_s > unfed_s
        return not is_newer and self.clock.now_s() - unfed_s < UNFED_S

    def _base(self, function: str) -> str:
        """Where the edge serves viewers; empty while it does not, or is to be left."""
        collector = self.controller.collector
        instance = collector.instances.get(function)
        if instance is None or function not in collector.answering():
            return ""
        is_kept = node_health.stays(collector.compute, instance.node)
        if not is_kept or instance.node in collector.unreliable or not instance.ports.get("http"):
            return ""
        return f"http://{hosts.in_url(instance.address)}:{instance.ports['http']}"


def _no_viewers(function: str, node: str) -> ReplayLoad:
    return ReplayLoad(capture_id="", function=function, edge_node=node, viewers=0, mbps=0.0)
