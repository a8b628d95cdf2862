"""Functions in memory, on the running loop's time: for the simulator, scenarios and tests.

Addresses are the nodes', ports count up per node, a boot takes `boot_s`. Beyond the Protocol:
`kill` (as kill -9), `lose_node`, `refuse`/`accept`, `set_load`, `set_host`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from umbel.compute.model import (
    LIFE_CYCLE,
    Function,
    FunctionEvent,
    FunctionState,
    HostUsage,
    Instance,
    MoveKind,
    Node,
    Port,
)
from umbel.compute.ports import FunctionTaken, MachineFull
from umbel.kit.clock import Clock
from umbel.kit.errors import Exhausted, NotFound


@dataclass
class _Machine:
    instance: Instance
    ports: Mapping[str, int]
    boot: asyncio.TimerHandle | None = field(default=None)


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
        self._hosts: dict[str, HostUsage] = {}
        self._watchers: list[Callable[[str], None]] = []
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
        if node.name in self._refusing:
            raise Exhausted(f"Node {node.name} takes no more functions", node=node.name)
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
        machine = self._machines.pop(function_id, None)
        if machine and machine.boot:
            machine.boot.cancel()

    async def move(self, function: Function, node: Node, how: MoveKind) -> None:
        """Takes `boot_s` with shared storage, twice that for a full transfer."""
        self._active(function.id)
        if node.name in self._refusing:
            raise Exhausted(f"Node {node.name} takes no more functions", node=node.name)
        await asyncio.sleep(self._boot_s * (1 if how is MoveKind.SHARED_STORAGE else 2))
        machine = self._active(function.id)  # it may have died in the meantime
        if node.name in self._refusing:
            raise Exhausted(f"Node {node.name} takes no more functions", node=node.name)
        machine.ports = self._new_ports(function.description.ports, node)
        machine.instance = replace(
            machine.instance, node=node.name, address=node.address, ports=machine.ports
        )
        for notify in list(self._watchers):
            notify(function.id)

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        """Those that were set."""
        return {n.name: self._hosts[n.name] for n in nodes if n.name in self._hosts}

    async def running(self) -> dict[str, Instance]:
        return {id_: machine.instance for id_, machine in self._machines.items()}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def close(self) -> None:
        self._watchers.clear()

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

    def _machine(self, function_id: str) -> _Machine:
        if function_id not in self._machines:
            raise NotFound(f"There is no function {function_id}", function=function_id)
        return self._machines[function_id]

    def _active(self, function_id: str) -> _Machine:
        machine = self._machine(function_id)
        if machine.instance.state is not FunctionState.ACTIVE:
            raise NotFound(f"Function {function_id} does not run", function=function_id)
        return machine

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
