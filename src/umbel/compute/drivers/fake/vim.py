"""Functions in memory, on the running loop's time: for the simulator, scenarios and tests.

Addresses are the nodes', ports count up per node, a boot takes `boot_s`. Beyond the Protocol:
`kill` (as kill -9), `lose_node`, `refuse`/`accept`, `set_load`, `set_host`.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from umbel.compute.drivers.fake.disks import FakeDisks
from umbel.compute.drivers.fake.firewall import FakeFirewall
from umbel.compute.drivers.fake.images import FakeImages
from umbel.compute.hypervisors.model import NoSuchGuest, check_new_snapshot, check_snapshot
from umbel.compute.model import (
    LIFE_CYCLE,
    Function,
    FunctionEvent,
    FunctionState,
    HostUsage,
    Instance,
    MoveKind,
    MoveProgress,
    MoveResult,
    Node,
    Port,
    Snapshot,
)
from umbel.compute.ports import CannotRun, FunctionTaken, MachineFull
from umbel.compute.volumes.model import check_none_attached
from umbel.kit.clock import Clock
from umbel.kit.errors import Exhausted, NotFound, UmbelError, Unavailable


@dataclass
class _Machine:
    instance: Instance
    ports: Mapping[str, int]
    boot: asyncio.TimerHandle | None = field(default=None)


@dataclass(kw_only=True)
class _Copy:
    """A move that is under way; `waiting` wait for it."""

    target: Node
    began_s: float
    takes_s: float
    total_mb: float
    waiting: int = 0
    problem: UmbelError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeVim:
    """A VIM whose nodes always obey, except those set to refuse. After `close` it can be used
    again, as nodes outlive a control plane."""

    def __init__(self, clock: Clock, *, boot_s: float = 0.3, first_port: int = 20_000) -> None:
        self._clock = clock
        self._boot_s = boot_s
        self._first_port = first_port
        self._machines: dict[str, _Machine] = {}
        self._ports_given: Counter[str] = Counter()
        self._refusing: set[str] = set()
        self._cut_off: set[str] = set()
        self.lost_nodes: frozenset[str] = frozenset()
        self._hosts: dict[str, HostUsage] = {}
        self._watchers: list[Callable[[str], None]] = []
        self._copies: dict[str, _Copy] = {}
        self.copy_s: float | None = None
        """How long a copy takes; None: it depends on how it is made."""
        self.is_cut = False
        """Whether no copy gets from one node to another: it fails when it ends."""
        self.is_full = False
        """Whether the machine behind all nodes has no room: `start` raises MachineFull."""

    async def start(self, owner: str, function: Function, node: Node) -> None:
        machine = self._machines.get(function.id)
        state = machine.instance.state if machine else FunctionState.ABSENT
        if machine is not None and machine.instance.owner != owner:
            raise FunctionTaken(function=function.id, owner=machine.instance.owner)
        if not LIFE_CYCLE.allows(state, FunctionEvent.START):
            return
        if self.is_full:
            raise MachineFull(node=node.name)
        self._check_takes(node)
        described = function.description
        reusable = machine is not None and machine.instance.address == node.address
        ports = machine.ports if machine and reusable else self._new_ports(described.ports, node)
        instance = Instance(
            id=function.id,
            owner=owner,
            description=described.name,
            node=node.name,
            state=LIFE_CYCLE.next(state, FunctionEvent.START),
            address=node.address,
            started_s=self._clock.now_s(),
        )
        boot = asyncio.get_running_loop().call_later(self._boot_s, self._ready, function.id)
        self._machines[function.id] = _Machine(instance, ports, boot)

    async def stop(self, function_id: str) -> None:
        if function_id in self._machines:
            self._check_reached(self._machines[function_id].instance.node)
        machine = self._machines.pop(function_id, None)
        if machine and machine.boot:
            machine.boot.cancel()

    async def move(self, function: Function, node: Node, how: MoveKind) -> MoveResult:
        """Takes `boot_s` with shared storage, twice that for a full transfer. Who calls during a
        copy waits for it."""
        copy = self._copies.get(function.id)
        if copy is None:
            copy = self._begin_copy(function, node, how)
        copy.waiting += 1
        try:
            await asyncio.wait_for(copy.ended.wait(), self._remaining_s(copy))
        except TimeoutError:
            self._end_copy(copy, function)
        finally:
            copy.waiting -= 1
            if copy.waiting == 0 and self._copies.get(function.id) is copy:  # it was cancelled
                del self._copies[function.id]
        if copy.problem is not None:
            raise copy.problem
        if self._active(function.id).instance.node != node.name:
            raise Unavailable("it was moved elsewhere", function=function.id)
        return MoveResult(copied_mb=copy.total_mb, gap_s=0.0)

    async def settle(self, function_id: str) -> None:
        copy = self._copies.pop(function_id, None)
        if copy is not None:
            copy.problem = Unavailable("the move was stopped", function=function_id)
            copy.ended.set()

    def progress(self, function_id: str) -> MoveProgress | None:
        """A copy advances evenly."""
        copy = self._copies.get(function_id)
        if copy is None:
            return None
        done = min(1.0, (self._clock.monotonic_s() - copy.began_s) / copy.takes_s)
        mbps = copy.total_mb * 8.388608 / copy.takes_s
        return MoveProgress(copied_mb=done * copy.total_mb, total_mb=copy.total_mb, mbps=mbps)

    def is_live(self, node: str) -> bool:
        """They run; none stops."""
        return True

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        """Those that were set."""
        return {n.name: self._hosts[n.name] for n in nodes if n.name in self._hosts}

    async def running(self) -> dict[str, Instance]:
        self.lost_nodes = frozenset(self._cut_off)
        return {id_: machine.instance for id_, machine in self._machines.items()}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def close(self) -> None:
        self._watchers.clear()

    def at(self, function_id: str) -> list[str]:
        """Where the function runs."""
        machine = self._machines.get(function_id)
        is_active = machine is not None and machine.instance.state is FunctionState.ACTIVE
        return [machine.instance.node] if machine is not None and is_active else []

    def kill(self, function_id: str, reason: str = "killed by signal 9") -> None:
        """The function dies at once. A dead one stays dead. Raises NotFound."""
        machine = self._machine(function_id)
        if not LIFE_CYCLE.allows(machine.instance.state, FunctionEvent.FAIL):
            return
        if machine.boot:
            machine.boot.cancel()
        idle = replace(machine.instance, ports={}, cpu_cores=0.0, rss_mb=0.0, reason=reason)
        self._step(machine, FunctionEvent.FAIL, idle)

    def lose_node(self, node: str) -> None:
        """The node is gone with all its functions, and takes no new ones until `accept`."""
        self.refuse(node)
        for id_, machine in list(self._machines.items()):
            if machine.instance.node == node:
                self.kill(id_, f"node {node} was lost")

    def refuse(self, node: str) -> None:
        """The node takes no new functions: `start` raises Exhausted."""
        self._refusing.add(node)

    def cut_off(self, node: str) -> None:
        """The node is not reached until `reconnect`; its functions are shown as last seen."""
        self._cut_off.add(node)

    def reconnect(self, node: str) -> None:
        """The node is reached again."""
        self._cut_off.discard(node)

    def accept(self, node: str) -> None:
        """The node takes functions again."""
        self._refusing.discard(node)

    def set_host(self, node: str, usage: HostUsage) -> None:
        """What the node's machine uses from now on; of others nothing is known."""
        self._hosts[node] = usage

    def set_load(self, function_id: str, *, cpu_cores: float, rss_mb: float) -> None:
        """What the function is measured to use from now on. Raises NotFound."""
        machine = self._machine(function_id)
        machine.instance = replace(machine.instance, cpu_cores=cpu_cores, rss_mb=rss_mb)

    def _begin_copy(self, function: Function, node: Node, how: MoveKind) -> _Copy:
        self._check_takes(node)
        self._active(function.id)
        copy = self._copies[function.id] = _Copy(
            target=node,
            began_s=self._clock.monotonic_s(),
            takes_s=self._boot_s * (1 if how is MoveKind.SHARED_STORAGE else 2)
            if self.copy_s is None
            else self.copy_s,
            total_mb=function.description.resources.memory_mb,
        )
        return copy

    def _remaining_s(self, copy: _Copy) -> float:
        return max(0.0, copy.began_s + copy.takes_s - self._clock.monotonic_s())

    def _end_copy(self, copy: _Copy, function: Function) -> None:
        """All is copied: the function runs at the target, unless one of the three is gone."""
        if self._copies.pop(function.id, None) is not copy:
            return
        try:
            machine = self._active(function.id)
            self._check_takes(copy.target)
            if self.is_cut:
                raise Unavailable("the copy stands still", function=function.id)
        except UmbelError as error:
            copy.problem = error
        else:
            machine.instance = replace(machine.instance, node=copy.target.name)
            for notify in list(self._watchers):
                notify(function.id)
        copy.ended.set()

    def _machine(self, function_id: str) -> _Machine:
        if function_id not in self._machines:
            raise NotFound(f"There is no function {function_id}", function=function_id)
        return self._machines[function_id]

    def _active(self, function_id: str) -> _Machine:
        machine = self._machine(function_id)
        if machine.instance.state is not FunctionState.ACTIVE:
            raise NotFound(f"Function {function_id} does not run", function=function_id)
        return machine

    def _check_reached(self, node: str) -> None:
        if node in self._cut_off:
            raise Unavailable(f"Node {node} does not answer", node=node)

    def _check_takes(self, node: Node) -> None:
        self._check_reached(node.name)
        if node.name in self._refusing:
            raise Exhausted(f"Node {node.name} takes no more functions", node=node.name)

    def _ready(self, function_id: str) -> None:
        machine = self._machines[function_id]
        self._step(machine, FunctionEvent.READY, replace(machine.instance, ports=machine.ports))

    def _step(self, machine: _Machine, event: FunctionEvent, after: Instance) -> None:
        machine.boot = None
        machine.instance = replace(after, state=LIFE_CYCLE.next(after.state, event))
        for notify in list(self._watchers):
            notify(machine.instance.id)

    def _new_ports(self, wanted: Sequence[Port], node: Node) -> Mapping[str, int]:
        first = self._first_port + self._ports_given[node.name]
        self._ports_given[node.name] += len(wanted)
        return {port.name: port.number or first + at for at, port in enumerate(wanted)}


class FakeGuestVim(FakeVim):
    """A VIM with guests. A snapshot keeps whether its guest was suspended, which is all that it has
    here."""

    def __init__(self, clock: Clock, *, boot_s: float = 0.3, first_port: int = 20_000) -> None:
        super().__init__(clock, boot_s=boot_s, first_port=first_port)
        self._snapshots: defaultdict[str, dict[str, tuple[Snapshot, bool]]] = defaultdict(dict)
        self.images = FakeImages()
        self.firewall = FakeFirewall(self._ports_of)
        self.disks = FakeDisks(self._node_of, lambda id_: len(self._snapshots[id_]))

    async def start(self, owner: str, function: Function, node: Node) -> None:
        before = self._machines.get(function.id)
        await super().start(owner, function, node)
        if self._machines[function.id] is not before:
            self.disks.release(function.id)
            await self.firewall.begin(function.id)
            self.images.use(node.name, function.description.image, function.id)

    async def stop(self, function_id: str) -> None:
        await super().stop(function_id)
        self.images.release(function_id)
        self.firewall.release(function_id)
        self._snapshots.pop(function_id, None)
        self.disks.release(function_id)

    def kill(self, function_id: str, reason: str = "killed by signal 9") -> None:
        """The guest dies at once; it releases its disks. Raises NotFound."""
        super().kill(function_id, reason)
        self.disks.release(function_id)

    async def move(self, function: Function, node: Node, how: MoveKind) -> MoveResult:
        """Volumes go along with shared storage only."""
        if how is MoveKind.FULL_TRANSFER and self.disks.of(function.id):
            message = f"{function.id} has volumes, which are not copied: detach them first"
            raise CannotRun(message, function=function.id)
        result = await super().move(function, node, how)
        self.disks.carry(function.id, node.name)
        return result

    async def suspend(self, function_id: str) -> None:
        self._set_suspended(function_id, True)

    async def resume(self, function_id: str) -> None:
        self._set_suspended(function_id, False)

    async def snapshots(self, function_id: str) -> list[Snapshot]:
        self._check_runs(function_id)
        return [snapshot for snapshot, _ in self._snapshots[function_id].values()]

    async def snapshot(self, function_id: str, name: str) -> None:
        check_new_snapshot(function_id, await self.snapshots(function_id), name)
        check_none_attached(function_id, self.disks.of(function_id))
        taken = Snapshot(name=name, taken_s=self._clock.now_s())
        is_suspended = self._machines[function_id].instance.is_suspended
        self._snapshots[function_id][name] = (taken, is_suspended)

    async def revert(self, function_id: str, name: str) -> None:
        check_snapshot(function_id, await self.snapshots(function_id), name)
        self._set_suspended(function_id, self._snapshots[function_id][name][1])

    async def remove_snapshot(self, function_id: str, name: str) -> None:
        check_snapshot(function_id, await self.snapshots(function_id), name)
        del self._snapshots[function_id][name]

    async def console(self, function_id: str) -> str:
        self._check_runs(function_id)
        return f"umbel: {function_id} runs\n"

    def _set_suspended(self, function_id: str, is_suspended: bool) -> None:
        self._check_runs(function_id)
        machine = self._machines[function_id]
        machine.instance = replace(machine.instance, is_suspended=is_suspended)

    def _node_of(self, function_id: str) -> str:
        self._check_runs(function_id)
        return self._machines[function_id].instance.node

    def _ports_of(self, function_id: str) -> Mapping[str, int]:
        self._check_runs(function_id)
        return self._machines[function_id].ports

    def _check_runs(self, function_id: str) -> None:
        machine = self._machines.get(function_id)
        if machine is None or machine.instance.state is FunctionState.FAILED:
            raise NoSuchGuest(f"No guest runs {function_id}", function=function_id)
