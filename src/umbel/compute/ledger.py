"""What is used and promised on each node, by owner. Every placer reads it before it places.

In: what functions are measured to use, what each owner wants to run, and what else each promised.
Out: what is free. A placer awaits nothing between looking and promising, so that two placers of one
control plane never sell the same room twice. Nothing is stored: owners state their promises again.
"""

from collections.abc import Callable, Iterable, Mapping

from umbel.compute import host_room
from umbel.compute.model import (
    Function,
    FunctionState,
    HostUsage,
    Instance,
    Node,
    Reservation,
    Resources,
)
from umbel.kit.errors import Exhausted

NOTHING = Resources()
ByNode = Mapping[str, Resources]


class NoRoom(Exhausted):
    """The node has not enough CPU, memory or rate left; choose another node or try again later."""

    code = "umbel.no_room_on_node"


class Ledger:
    """The nodes' accounts. Rates are not measured by compute: owners promise them in full."""

    def __init__(self, nodes: Callable[[], Iterable[Node]]) -> None:
        self._nodes = nodes
        self._instances: Mapping[str, Instance] = {}
        self._hosts: Mapping[str, HostUsage] = {}
        self._functions: dict[str, Mapping[str, Function]] = {}
        self._promises: dict[str, ByNode] = {}
        self._targets: tuple[tuple[str, Function], ...] = ()

    def measure(
        self, instances: Mapping[str, Instance], hosts: Mapping[str, HostUsage] | None = None
    ) -> None:
        """Take these functions as what runs now, of all owners, and what the nodes' machines are
        measured to use, by node."""
        self._instances = instances
        self._hosts = dict(hosts or {})

    def expect(self, owner: str, functions: Mapping[str, Function]) -> None:
        """Take these as the functions that the owner wants, by id: their resources are promised
        as their descriptions say. Replaces what the owner wanted before."""
        self._functions[owner] = dict(functions)

    def expect_also(self, owner: str, functions: Mapping[str, Function]) -> None:
        """Take these functions as wanted too, until the owner's next `expect`."""
        self._functions[owner] = {**self._functions.get(owner, {}), **functions}

    def expect_at_targets(self, moving: Iterable[tuple[str, Function]]) -> None:
        """These functions, each with its owner, are on their way to the nodes given: they are
        promised their resources there, too, until the owner wants them there."""
        self._targets = tuple(moving)

    def promise(self, owner: str, by_node: ByNode) -> None:
        """Set what the owner promised in addition to its functions' resources, by node."""
        self._promises[owner] = dict(by_node)

    def add(self, owner: str, by_node: ByNode) -> None:
        """Add to what the owner has promised, until its next `promise`; amounts may be
        negative."""
        promised = dict(self._promises.get(owner, {}))
        _add(promised, by_node)
        self._promises[owner] = promised

    def reserve(self, owner: str, functions: Iterable[Function]) -> None:
        """Promise these functions' resources to the owner, all or none, until its next `expect`.
        One that it has already counts once. Raises NoRoom."""
        before = self._functions.get(owner, {})
        new = {function.id: function for function in functions}
        self.expect_also(owner, new)
        used, free = self.used(), self.free()
        for node in {function.node for function in new.values()}:
            if not NOTHING.fits(free.get(node, NOTHING - used[node])):
                self._functions[owner] = before
                raise NoRoom(node=node)

    def used(self) -> dict[str, Resources]:
        """What is used or promised on each node, by all owners."""
        used: dict[str, Resources] = {}
        for by_node in self.by_owner().values():
            _add(used, by_node)
        return used

    def free(self) -> dict[str, Resources]:
        """What is left on each node, and on its machine where that is less; negative where more is
        used than there is."""
        used, capacity = self.used(), self._capacity()
        free = {node: room - used.get(node, NOTHING) for node, room in capacity.items()}
        by_host: dict[str, list[str]] = {}
        for node in capacity:  # a node that was removed may still be among the measured ones
            if node in self._hosts:
                by_host.setdefault(self._hosts[node].host, []).append(node)
        for here in by_host.values():
            left = host_room.left(
                self._hosts[here[0]], here, capacity, used, self._instances.values()
            )
            free |= {node: host_room.least(free[node], left) for node in here}
        return free

    def host(self, node: str) -> HostUsage | None:
        """What the node's machine was measured to use; None where nobody measures it."""
        return self._hosts.get(node)

    def by_owner(self) -> dict[str, dict[str, Resources]]:
        """What each owner uses or was promised on each node."""
        accounts: dict[str, dict[str, Resources]] = {}
        for instance in self._instances.values():
            measured = Resources(cores=instance.cpu_cores, memory_mb=instance.rss_mb)
            _add(accounts.setdefault(instance.owner, {}), {instance.node: measured})
        for owner, functions in self._functions.items():
            account = accounts.setdefault(owner, {})
            for function in functions.values():
                _add(account, {function.node: self._still_promised(owner, function)})
        for owner, function in self._targets:
            wanted = self._functions.get(owner, {}).get(function.id)
            if wanted is None or wanted.node != function.node:
                account = accounts.setdefault(owner, {})
                _add(account, {function.node: self._still_promised(owner, function)})
        for owner, by_node in self._promises.items():
            _add(accounts.setdefault(owner, {}), by_node)
        return accounts

    def _still_promised(self, owner: str, function: Function) -> Resources:
        """What the function was promised and is not measured to use."""
        resources = function.description.resources
        instance = self._instances.get(function.id)
        if instance is None or instance.owner != owner or instance.node != function.node:
            return resources
        if function.description.reservation is Reservation.UNTIL_MEASURED:
            return NOTHING if instance.state is FunctionState.ACTIVE else resources
        measured = Resources(cores=instance.cpu_cores, memory_mb=instance.rss_mb)
        return (resources - measured).or_none()

    def _capacity(self) -> dict[str, Resources]:
        return {node.name: node.capacity for node in self._nodes()}


def _add(account: dict[str, Resources], by_node: ByNode) -> None:
    for node, amount in by_node.items():
        account[node] = account.get(node, NOTHING) + amount
