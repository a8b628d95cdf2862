"""Compute's only door: the nodes there are, and the functions that its owners want on them.

In: each owner's wanted functions and promises. Out: what was done, observed and is free on the
nodes, and a wake-up per change. An owner never touches another owner's functions.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

import structlog

from umbel.compute import health, reconcile, standby
from umbel.compute.guest_operations import GuestOperations
from umbel.compute.hosts import resolve_document
from umbel.compute.inventory import PortRange, PowerEntry, clashes, node_entry
from umbel.compute.inventory import inspect as inspect_nodes
from umbel.compute.ledger import Ledger, NoRoom
from umbel.compute.model import (
    DEFAULT_POOL,
    Function,
    Instance,
    Inventory,
    Node,
    NodeState,
    NoSuchNode,
    ScheduledNode,
    Scheduling,
)
from umbel.compute.moving import Moving
from umbel.compute.nodes import NodeCordoned, NodeExists, NodeInUse, Nodes
from umbel.compute.ports import (
    CannotMigrate,
    FunctionTaken,
    MachineFull,
    NoSuchPool,
    UnknownOwner,
    Vim,
)
from umbel.compute.reconcile import EnsureResult
from umbel.compute.standby import Condition
from umbel.compute.vims import Vims
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.kit.signal import Signal

__all__ = [
    "CannotMigrate",
    "Compute",
    "EnsureResult",
    "Ledger",
    "NoRoom",
    "NoSuchNode",
    "NoSuchPool",
    "NodeCordoned",
    "NodeExists",
    "NodeInUse",
    "PortRange",
    "PowerEntry",
    "UnknownOwner",
    "clashes",
    "inspect_nodes",
    "node_entry",
    "resolve_document",
]

log = structlog.get_logger(__name__)


async def _nothing(_node: str) -> list[str]:
    return []


class Compute:
    """Nodes and functions. `owners` are the parts of this installation that may own functions.

    A function of any other owner (one that was uninstalled) is left running, is listed by
    `running`, and counts in the ledger with what it uses; `stop_all` alone stops it. `vim` runs the
    functions of the default pool's nodes, `pools` are the VIMs of further pools.
    """

    def __init__(
        self,
        inventory: Inventory,
        vim: Vim,
        clock: Clock,
        *,
        owners: Iterable[str],
        pools: Mapping[str, Vim] | None = None,
        wake_s: float = 0.0,
    ) -> None:
        self.ledger = Ledger(self.nodes)
        self._nodes = Nodes(inventory)
        self._conditions = {node.name: Condition() for node in inventory.nodes}
        self._standby = dict.fromkeys(owners, frozenset[str]())
        self._wanted: dict[str, Mapping[str, Function]] = {}
        self._users: Mapping[str, frozenset[str]] = {}
        self._wake_s = wake_s
        self._state_changed = Signal()
        self._vims = Vims({DEFAULT_POOL: vim, **(pools or {})})
        self.moving = Moving(self._vims, self.node, self.running)
        self.guest_operations = GuestOperations(self._vims, self.node, self.running)
        self.kept_at: Callable[[str], Awaitable[list[str]]] = _nothing
        """The volumes that a node has; bootstrap sets it where there are any."""
        self._clock = clock
        self._histories: dict[str, dict[str, health.History]] = defaultdict(dict)
        # Two `ensure` of one owner at once would judge by what the other changes: they take turns.
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # -- nodes ------------------------------------------------------------------------------

    @property
    def pools(self) -> frozenset[str]:
        """The pools that nodes may belong to."""
        return self._vims.pools

    def nodes(self) -> list[Node]:
        """Every node, in the network file's order; those added later follow."""
        return self._nodes.all()

    def node(self, name: str) -> Node:
        """One node. Raises NoSuchNode."""
        return self._nodes.get(name)

    def vim_at(self, name: str) -> Vim:
        """The VIM of a node's pool. Raises NoSuchNode, NoSuchPool."""
        return self._vims.of(self.node(name))

    def access_node(self, client: str) -> Node | None:
        """The node by which a client's IP address enters; None where there is no default."""
        return self._nodes.at(client)

    def set_nodes(self, members: Sequence[ScheduledNode]) -> None:
        """There are exactly these nodes from now on, scheduled like this. On a cordoned node
        nothing new is placed and what runs stays; from a draining one the owners move their
        functions away, and what is left at its deadline is ended."""
        before = {node.name: self.scheduling(node.name) for node in self.nodes()}
        self._nodes.set(members)
        names = [one.node.name for one in members]
        self._conditions = {name: self._conditions.get(name, Condition()) for name in names}
        for owner, nodes in self._standby.items():
            self._standby[owner] = nodes & set(names)
        after = {one.node.name: one.scheduling for one in members}
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) is not after.get(name):
                now = after[name].value if name in after else "removed"
                log.info("node changed", node=name, scheduling=now)
        self._state_changed.notify()

    async def check_unused(self, name: str) -> None:
        """Raise NoSuchNode, or NodeInUse while functions run or are wanted on the node."""
        if kept := await self.kept_at(self.node(name).name):
            message = f"{name} still has volumes: {', '.join(kept)}. Remove them first"
            raise NodeInUse(message, node=name, volumes=kept)
        users = self._functions_at(name, await self.running())
        if users:
            message = f"{name} still carries {', '.join(users)}: drain it first"
            raise NodeInUse(message, node=name, functions=users)

    async def evict(self) -> None:
        """Stop what still runs on draining nodes whose deadline has passed, of all owners."""
        evicting = self._nodes.past_deadline(self._clock.now_s())
        if evicting:
            running = (await self.running()).values()
            left = [one.id for one in running if one.node in evicting]
            await asyncio.gather(*map(self._stop, left))

    def scheduling(self, name: str) -> Scheduling:
        """Whether functions may be placed on the node. Raises NoSuchNode."""
        return self._nodes.member(name).scheduling

    def past_deadline(self) -> frozenset[str]:
        """The draining nodes whose deadline has passed."""
        return self._nodes.past_deadline(self._clock.now_s())

    def evict_at_s(self, name: str) -> float | None:
        """When what is left on the draining node is ended, in seconds since the epoch; None:
        never. Raises NoSuchNode."""
        return self._nodes.member(name).evict_at_s

    def is_lost(self, name: str) -> bool:
        """Whether the node, or the VIM of its pool, did not answer when last asked. Raises
        NoSuchNode."""
        return self._vims.is_lost(self.node(name))

    def accepts(self, name: str) -> bool:
        """Whether something new may be placed on the node: it is open and not in standby, nor about
        to be. Raises NoSuchNode."""
        return self.scheduling(name) is Scheduling.OPEN and self.state(name) is NodeState.ACTIVE

    def reserve(self, owner: str, functions: Collection[Function]) -> None:
        """Promise these functions' resources to the owner, all or none, until it calls `ensure`.
        Raises UnknownOwner, NoSuchNode, NodeCordoned, NoRoom."""
        self._check(owner)
        for function in functions:
            if self.scheduling(function.node) is not Scheduling.OPEN:
                raise NodeCordoned(node=function.node)
        self.ledger.reserve(owner, functions)

    def set_standby(self, owner: str, names: Iterable[str]) -> None:
        """Have exactly these nodes go to standby for this owner, and those it no longer names wake.
        Each drains first, and is not stopped while another owner has functions there. Raises
        NoSuchNode, UnknownOwner."""
        self._check(owner)
        self._standby[owner] = frozenset(self.node(name).name for name in names)
        self._step(None)

    def standby_wanted(self, owner: str) -> frozenset[str]:
        """The nodes that the owner had go to standby."""
        return self._standby.get(owner, frozenset())

    def state(self, name: str) -> NodeState:
        """Whether the node may run functions. Raises NoSuchNode."""
        return self._conditions[self.node(name).name].state

    async def until_up(self, name: str) -> None:
        """Return once the node is up; no owner may want it in standby any more."""
        self.node(name)
        while True:
            changed = self._state_changed.listen()
            if self._is_up(name):
                return
            await changed.wait()

    # -- functions --------------------------------------------------------------------------

    async def ensure(
        self, owner: str, wanted: Mapping[str, Function], check: Callable[[], None] = lambda: None
    ) -> EnsureResult:
        """Make exactly `wanted` (by function id) run of this owner's functions: start what is
        missing or failed, stop the rest; leave other owners' functions alone. What fails again and
        again is started after longer and longer waits. A function that cannot be started keeps no
        other from starting; one for a node in standby wakes the node and waits. Idempotent.

        `check` raises once the caller may act for the owner no longer (its lease is lost): it is
        called before each start and stop. Raises UnknownOwner, and what `check` raises."""
        self._check(owner)
        async with self._turns[owner]:
            have = await self.running()
            moves = await self.moving.moves()
            wanted = reconcile.moved(wanted, have, moves)
            now_s = self._clock.monotonic_s()
            self._wanted[owner] = wanted
            self.ledger.expect(owner, wanted)
            self._users = self._users_of(have)
            self._step(self._users.keys())
            known = {id_: h for id_, h in self._histories[owner].items() if id_ in wanted}
            mine = reconcile.of_owner(have, owner)
            histories = dict(reconcile.observe(mine, known, now_s))
            self._histories[owner] = histories
            todo = reconcile.steps(owner, wanted, have, histories, now_s)
            unable = self._unable()
            able = {i for i, f in wanted.items() if f.node not in unable}
            copying = {i for i, move in moves.items() if move.is_copying}
            todo = todo.only_starting(able).without(copying)
            touched = list(dict.fromkeys([*todo.stop, *todo.start]))
            doing = (self._do(owner, id_, todo, check) for id_ in touched)
            errors = await asyncio.gather(*doing)
            check()
            refused = {i: e for i, e in zip(touched, errors, strict=True) if e is not None}
            evicting = self._nodes.past_deadline(self._clock.now_s())
            refused |= {
                id_: NodeCordoned(node=f.node) for id_, f in wanted.items() if f.node in evicting
            }
            return self._result(owner, todo, refused)

    def yield_to_others(self, owner: str) -> None:
        """Another instance of the control plane ensures the owner's functions now: what this one
        wanted last says nothing any more."""
        self._wanted.pop(owner, None)

    def failures(self, owner: str, function_id: str) -> int:
        """How often the function failed in a row since it last stayed up."""
        return self._histories[owner].get(function_id, health.History()).failures

    async def running(self) -> dict[str, Instance]:
        """Every function there is, of all owners, wanted or not, as seen on the nodes."""
        instances = await self._vims.running()
        self.ledger.measure(instances, await self._vims.hosts(self.nodes()))
        return instances

    def watch(self, on_change: Callable[[str], None]) -> None:
        """Call `on_change(function_id)` when a function became ready, failed or vanished."""
        self._vims.watch(on_change)

    async def stop_all(self) -> None:
        """Stop every function of every owner, known or not, for a clean exit."""
        stopping = map(self._stop, await self._vims.running())
        await asyncio.gather(*stopping)

    async def close(self) -> None:
        """Stop watching. Functions go on."""
        await self._vims.close()

    # -- inside -----------------------------------------------------------------------------

    def _check(self, owner: str) -> None:
        if owner not in self._standby:
            raise UnknownOwner(f"{owner!r} owns no functions here", owner=owner)

    def _users_of(self, have: Mapping[str, Instance]) -> dict[str, frozenset[str]]:
        """The owners that have or want functions on each node, by node."""
        users: dict[str, set[str]] = {}
        for instance in have.values():
            users.setdefault(instance.node, set()).add(instance.owner)
        for owner, functions in self._wanted.items():
            for function in functions.values():
                users.setdefault(function.node, set()).add(owner)
        return {node: frozenset(owners) for node, owners in users.items()}

    def _functions_at(self, node: str, have: Mapping[str, Instance]) -> list[str]:
        """The functions that run on the node or are wanted there."""
        wanted = (f for functions in self._wanted.values() for f in functions.values())
        everywhere: list[Instance | Function] = [*have.values(), *wanted]
        return sorted({one.id for one in everywhere if one.node == node})

    def _step(self, busy: Iterable[str] | None) -> None:
        """Move every node's state on; `busy` nodes have a function or are to have one."""
        before = self._conditions
        self._conditions = standby.step(
            before,
            standby.agreed(self._standby, self._users),
            None if busy is None else frozenset(busy),
            now_s=self._clock.monotonic_s(),
            wake_s=self._wake_s,
        )
        for name, condition in self._conditions.items():
            if condition.state is not before[name].state:
                log.info("node state", node=name, state=condition.state.value)
                self._state_changed.notify()

    def _is_up(self, name: str) -> bool:
        condition = self._conditions.get(name)  # a node that is not there is refused later
        return condition is None or condition.state in standby.UP

    def _unable(self) -> frozenset[str]:
        """The nodes where no function can be started now: they are not up, their deadline to be
        empty has passed, or they did not answer. Else one that runs there unseen would be started
        again."""
        nodes, lost = self.nodes(), self._vims.is_lost
        return self.past_deadline() | {n.name for n in nodes if lost(n) or not self._is_up(n.name)}

    async def _do(
        self, owner: str, id_: str, todo: reconcile.Steps, check: Callable[[], None]
    ) -> UmbelError | None:
        try:
            if id_ in todo.stop:
                check()
                if (error := await self._stop(id_)) is not None:
                    return error
            if id_ in todo.start:
                check()
                await self._start(owner, todo.start[id_])
        except UmbelError as error:
            log.warning("function refused", id=id_, code=error.code, reason=error.message)
            return error
        return None

    async def _stop(self, id_: str) -> UmbelError | None:
        try:
            await self._vims.stop(id_)
        except UmbelError as error:
            log.warning("function not stopped", id=id_, code=error.code, reason=error.message)
            return error
        log.info("function stopped", id=id_)
        return None

    async def _start(self, owner: str, function: Function) -> None:
        histories, now_s = self._histories[owner], self._clock.monotonic_s()
        before = histories.get(function.id, health.History())
        started = health.seen_started(before)
        histories[function.id] = health.seen_failed(started, now_s)
        try:
            await self._vims.start(owner, function, self.node(function.node))
        except MachineFull:
            histories[function.id] = health.seen_refused(before, now_s)
            raise
        histories[function.id] = started
        log.info("function started", id=function.id, node=function.node, owner=owner)

    def _result(
        self, owner: str, todo: reconcile.Steps, refused: Mapping[str, UmbelError]
    ) -> EnsureResult:
        now_s = self._clock.monotonic_s()
        histories = self._histories[owner]
        waits = [*todo.waiting.values()]
        waits += [
            health.may_start_in_s(id_, histories[id_], now_s) for id_ in refused if id_ in histories
        ]
        waits += standby.waits_s(self._conditions, now_s=now_s, wake_s=self._wake_s)
        taken = {id_: FunctionTaken(function=id_, owner=whose) for id_, whose in todo.taken.items()}
        return EnsureResult(
            started=tuple(id_ for id_ in todo.start if id_ not in refused),
            stopped=tuple(id_ for id_ in todo.stop if id_ not in refused),
            refused={**refused, **taken},
            again_s=min(waits, default=None),
        )
