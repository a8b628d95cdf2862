"""Compute's door: the nodes there are, and the functions kept running on them by the VIM below.

In: delivery's wanted functions. Out: what was done, what is observed, and a wake-up per change.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from umbel.compute import health, standby, upkeep
from umbel.compute.access import AccessMap
from umbel.compute.inventory import Inventory
from umbel.compute.model import Function, Instance, Node, NodeState
from umbel.compute.ports import Vim
from umbel.compute.standby import Standing
from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, UmbelError

log = structlog.get_logger(__name__)


class NoSuchNode(NotFound):
    """There is no node of this name."""

    code = "umbel.no_such_node"


@dataclass(frozen=True, kw_only=True)
class Done:
    """What `ensure` did. `refused` could not be started or stopped, and why; `again_s` is in how
    many seconds another `ensure` is due for those that wait after failing, None for none."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    refused: Mapping[str, UmbelError] = field(default_factory=dict)
    again_s: float | None = None


class Compute:
    """Nodes and functions. One instance looks after all functions of its VIM."""

    def __init__(
        self, inventory: Inventory, vim: Vim, clock: Clock, *, wake_s: float = 0.0
    ) -> None:
        self._nodes = {node.name: node for node in inventory.nodes}
        self._standings = dict.fromkeys(self._nodes, Standing())
        self._resting: frozenset[str] = frozenset()
        self._wake_s = wake_s
        self._moved = asyncio.Event()
        self._access = AccessMap(inventory.nodes, inventory.default_access)
        self._vim = vim
        self._clock = clock
        self._records: dict[str, health.Record] = {}
        # Two `ensure` at once would judge by what the other is changing; the later one waits.
        self._turn = asyncio.Lock()

    def nodes(self) -> list[Node]:
        """Every node, in the network file's order."""
        return list(self._nodes.values())

    def node(self, name: str) -> Node:
        """One node. Raises NoSuchNode."""
        try:
            return self._nodes[name]
        except KeyError:
            raise NoSuchNode(f"There is no node {name}", node=name) from None

    def access_node(self, client: str) -> Node | None:
        """The node by which a client's IP address enters; None where there is no default."""
        name = self._access.node_of(client)
        return None if name is None else self._nodes[name]

    def rest(self, names: Iterable[str]) -> None:
        """Have exactly these nodes rest: each goes to standby once no function is left there,
        and those not named any more wake. Raises NoSuchNode."""
        self._resting = frozenset(self.node(name).name for name in names)
        self._step(None)

    def resting(self) -> frozenset[str]:
        """The nodes that are to rest."""
        return self._resting

    def state(self, name: str) -> NodeState:
        """Whether the node may run functions. Raises NoSuchNode."""
        return self._standings[self.node(name).name].state

    async def awake(self, name: str) -> None:
        """Return once the node is up. It must have been claimed: `rest` without it."""
        self.node(name)
        while not self._is_up(name):
            await self._moved.wait()

    async def ensure(self, wanted: Mapping[str, Function]) -> Done:
        """Make exactly `wanted` (by function id) run: start what is missing or failed, stop the
        rest. What fails again and again is started after longer and longer waits. A function
        that cannot be started keeps no other from it; one for a node in standby wakes the node
        and waits. Doing it twice is doing it once."""
        async with self._turn:
            have = await self._vim.running()
            now_s = self._clock.monotonic_s()
            self._step({f.node for f in wanted.values()} | {i.node for i in have.values()})
            known = {id_: r for id_, r in self._records.items() if id_ in wanted}
            self._records = dict(upkeep.observe(have, known, now_s))
            able = {id_: f for id_, f in wanted.items() if self._is_up(f.node)}
            todo = upkeep.decide(able, have, self._records, now_s)
            touched = list(dict.fromkeys([*todo.stop, *todo.start]))
            errors = await asyncio.gather(*(self._bring(id_, todo) for id_ in touched))
            refused = {i: e for i, e in zip(touched, errors, strict=True) if e is not None}
            return self._done(todo, refused)

    def failures(self, function_id: str) -> int:
        """How often the function failed in a row since it last stayed up."""
        return self._records.get(function_id, health.Record()).failures

    async def running(self) -> dict[str, Instance]:
        """Every function there is, wanted or not, as seen on the nodes."""
        return await self._vim.running()

    def watch(self, on_change: Callable[[str], None]) -> None:
        """Call `on_change(function_id)` when a function became ready, failed or vanished."""
        self._vim.watch(on_change)

    async def stop_all(self) -> Done:
        """Stop every function, for a clean exit."""
        return await self.ensure({})

    async def close(self) -> None:
        """Stop watching. Functions go on."""
        await self._vim.close()

    def _step(self, busy: Iterable[str] | None) -> None:
        """Move every node's state on; `busy` nodes have a function or are to have one."""
        now_s = self._clock.monotonic_s()
        before = self._standings
        self._standings = standby.step(
            before,
            self._resting,
            None if busy is None else frozenset(busy),
            now_s=now_s,
            wake_s=self._wake_s,
        )
        for name, standing in self._standings.items():
            if standing.state is not before[name].state:
                log.info("node state", node=name, state=standing.state.value)
                self._moved.set()
                self._moved = asyncio.Event()

    def _is_up(self, name: str) -> bool:
        standing = self._standings.get(name)  # a node that is not there is refused later
        return standing is None or standing.state in standby.UP

    async def _bring(self, id_: str, todo: upkeep.Upkeep) -> UmbelError | None:
        try:
            if id_ in todo.stop:
                await self._vim.terminate(id_)
                log.info("function stopped", id=id_)
            if id_ in todo.start:
                await self._start(todo.start[id_])
        except UmbelError as error:
            log.warning("function refused", id=id_, code=error.code, reason=error.message)
            return error
        return None

    async def _start(self, function: Function) -> None:
        started = health.seen_started(self._records.get(function.id, health.Record()))
        self._records[function.id] = health.seen_failed(started, self._clock.monotonic_s())
        await self._vim.spawn(function, self.node(function.node))
        self._records[function.id] = started
        log.info("function started", id=function.id, node=function.node)

    def _done(self, todo: upkeep.Upkeep, refused: Mapping[str, UmbelError]) -> Done:
        now_s = self._clock.monotonic_s()
        waits = [*todo.waiting.values()]
        waits += [health.may_start_in_s(self._records[id_], now_s) for id_ in refused]
        waits += standby.waits_s(self._standings, now_s=now_s, wake_s=self._wake_s)
        return Done(
            started=tuple(id_ for id_ in todo.start if id_ not in refused),
            stopped=tuple(id_ for id_ in todo.stop if id_ not in refused),
            refused=refused,
            again_s=min(waits, default=None),
        )
