"""Nodes come, go, are cordoned and drained while the platform runs.

In: what operators ask, and a wake-up for each change that another instance stored. Out: rows, and
compute and network with exactly the nodes that the file and the rows describe. The loop moves what
runs there (loop/eviction.py).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from umbel.catalogue.service import Catalogue
from umbel.compute.model import Node, NoSuchNode, Scheduling
from umbel.compute.service import NodeInUse
from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import NodeStatus
from umbel.delivery.nodes import rules
from umbel.delivery.nodes.model import CurrentNodes, NetworkFile, NodeAction, NodeChange
from umbel.delivery.nodes.store import NodeStore
from umbel.delivery.prepared.store import PreparedStore
from umbel.delivery.store import functions_at
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import UmbelError
from umbel.kit.sql import Connection
from umbel.network.documents import NO_SITE, AddedSite
from umbel.network.model import Link

log = structlog.get_logger(__name__)

_SWITCHES = "switches"
_REMOVE_AGAIN_S = 60.0
_ACTIONS: Mapping[Scheduling, NodeAction] = {
    Scheduling.OPEN: NodeAction.UNCORDONED,
    Scheduling.CORDONED: NodeAction.CORDONED,
    Scheduling.DRAINING: NodeAction.DRAIN_STARTED,
}


@dataclass(kw_only=True)
class NodeService:
    """The nodes, for operators. `changed` is called after each change, so that the loop runs."""

    file: NetworkFile
    store: NodeStore
    prepared: PreparedStore
    collector: Collector
    catalogue: Catalogue
    clock: Clock
    changed: Callable[[], None] = lambda: None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _switches_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _controller: Controller = field(init=False)
    _removals: Controller = field(init=False)
    _now: CurrentNodes = field(init=False)

    def __post_init__(self) -> None:
        self._now = rules.current(self.file, {}, self._pools)
        self._controller = Controller(lambda _: self._follow_nodes())
        self._removals = Controller(self._remove_switch)

    async def close(self) -> None:
        """The switches follow no more."""
        await self._controller.close()
        await self._removals.close()

    async def sync(self) -> None:
        """Have compute and network know exactly the nodes there are; switches follow by
        themselves, as often as it takes."""
        await self.load()
        self._controller.wake(_SWITCHES)

    async def load(self) -> None:
        """The same without switches, which need not be connected yet."""
        async with self._turn:  # who read earlier must not write later
            now = rules.current(self.file, await self.store.all(), self._pools)
            for name in self._removals.keys() - {site.node for site in now.retired}:
                await self._removals.forget(name)  # before a switch of the name can come again
            self.collector.compute.set_nodes(now.members)
            self.collector.network.topology.set(now.topology, now.sites)
            before, self._now = self._now, now
        if now.ignored and now.ignored != before.ignored:
            log.warning("nodes do not fit the network file", nodes=list(now.ignored))
        if now != before:
            self.changed()

    def document(self, base: object) -> object:
        """The network file's document with the nodes and links there are."""
        return rules.document(base, self.file, self._now)

    async def list(self) -> Sequence[NodeStatus]:
        """Every node with what is used of it."""
        self.collector.view(await self.collector.store.trees())
        return list(self.collector.nodes())

    async def get(self, name: str) -> NodeStatus:
        """One node. Raises NoSuchNode."""
        for one in await self.list():
            if one.name == name:
                return one
        raise NoSuchNode(f"There is no node {name}", node=name)

    async def add(
        self, node: Node, links: Sequence[Link], site: AddedSite = NO_SITE, *, by: str
    ) -> NodeStatus:
        """A node comes with its links, and with its switch where switches carry the streams: it is
        placed on at once. Raises NodeExists, NoSuchPool, InvalidLinks, NoSwitch, InvalidSite, and
        Unavailable when the switch's database does not answer."""
        change = NodeChange(
            name=node.name, node=node, links=tuple(links), site=site, added_s=self.clock.now_s()
        )
        decide = partial(rules.add, self.file, pools=self._pools, change=change)
        decide(await self.store.all())
        if (switch := site.switch) is not None:
            await self.collector.network.check_switch(switch)
        await self._store(decide, NodeAction.ADDED, by)
        return await self.get(node.name)

    async def remove(self, name: str, *, by: str) -> None:
        """A node goes that carries nothing. Raises NoSuchNode, NodeInUse."""
        await self.collector.compute.check_unused(name)
        for provider in await self.catalogue.providers():
            if provider.access_node == name:
                message = f"{provider.name} publishes at {name}: give it another access node first"
                raise NodeInUse(message, node=name, provider=provider.id)

        def check(connection: Connection) -> None:
            if users := functions_at(connection, name):
                message = f"{name} still carries {', '.join(users)}: drain it first"
                raise NodeInUse(message, node=name, functions=users)

        await self._store(
            lambda had: rules.remove(self.file, had, self._pools, name),
            NodeAction.REMOVED,
            by,
            check,
        )
        await self.prepared.forget(name)

    async def schedule(
        self, name: str, scheduling: Scheduling, *, by: str, within_s: float | None = None
    ) -> NodeStatus:
        """Open, cordon or drain the node. What a drained one still carries after `within_s`
        seconds is ended; None: it is waited for. Raises NoSuchNode."""
        evict_at_s = None if within_s is None else self.clock.now_s() + within_s
        wanted = NodeChange(name=name, scheduling=scheduling, evict_at_s=evict_at_s)
        await self._store(
            lambda had: rules.schedule(self.file, had, self._pools, wanted),
            _ACTIONS[scheduling],
            by,
        )
        return await self.get(name)

    # -- inside -----------------------------------------------------------------------------

    @property
    def _pools(self) -> frozenset[str]:
        return self.collector.compute.pools

    async def _follow_nodes(self) -> None:
        async with self._switches_turn:
            await self.collector.network.follow_nodes(rules.roles(self._now))
        for site in self._now.retired:
            self._removals.wake(site.node)

    async def _remove_switch(self, name: str) -> float | None:
        """Remove the bridges of a switch that went with its node. Answers when to try again."""
        for site in self._now.retired:
            if site.node == name:
                break
        else:
            return None
        try:
            await self.collector.network.remove_switch(site)
        except UmbelError as error:
            log.warning("switch not removed", node=name, at=site.ovsdb, reason=error.message)
            return _REMOVE_AGAIN_S
        with suppress(NoSuchNode):  # it came again
            await self.store.change(
                lambda had: rules.forget_switch(had, site),
                NodeAction.SWITCH_REMOVED,
                by="",
                at_s=self.clock.now_s(),
            )
        return None

    async def _store(
        self,
        decide: Callable[[Mapping[str, NodeChange]], NodeChange],
        action: NodeAction,
        by: str,
        check: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        await self.store.change(decide, action, by=by, at_s=self.clock.now_s(), check=check)
        await self.load()
        await self._follow_nodes()
