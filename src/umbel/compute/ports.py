"""What every VIM driver does. tests/contract/test_vim.py defines it in full."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from umbel.compute.model import (
    Function,
    HostUsage,
    Instance,
    Move,
    MoveKind,
    MoveProgress,
    MoveResult,
    Node,
    Snapshot,
)
from umbel.kit.errors import Conflict, Exhausted, Invalid


class FunctionTaken(Conflict):
    """A function of another owner has this id; choose another id."""

    code = "umbel.function_taken"


class UnknownOwner(Invalid):
    """No part of this installation owns functions under this name."""

    code = "umbel.unknown_owner"


class MachineFull(Exhausted):
    """The machine that is to run the function has no disk, memory or processes left. Neither the
    function nor its node is to blame: it is started as soon as there is room."""

    code = "umbel.machine_full"


class CannotRun(Invalid):
    """The VIM of the node's pool cannot start such a function; use a node of another pool."""

    code = "umbel.cannot_run"


class NoSuchPool(Invalid):
    """No pool has this name; the network file names the pools."""

    code = "umbel.no_such_pool"


class CannotMigrate(Conflict):
    """The function cannot be moved while it runs: its VIM or its owner cannot do that, or the node
    is of another pool."""

    code = "umbel.cannot_migrate"


Moves = Callable[[], Awaitable[Mapping[str, Move]]]
"""Which functions, by id, are being copied to other nodes, or were a moment ago."""


class Vim(Protocol):
    """Starts, watches and stops functions on nodes (ETSI: virtualised infrastructure manager).

    Functions outlive the control plane: a VIM that is opened later finds them with their owners.
    """

    async def start(self, owner: str, function: Function, node: Node) -> None:
        """Start the function. A running one is left alone; a failed one is started again on the
        ports it had. Returns once the start is under way; `running` shows when it is ACTIVE.
        Raises FunctionTaken, CannotRun, Exhausted or Unavailable."""

    async def stop(self, function_id: str) -> None:
        """Stop the function and wait until it is gone. An absent one is not an error."""

    async def running(self) -> dict[str, Instance]:
        """Every function by id, of all owners, as seen on the nodes and not as remembered."""

    def watch(self, on_change: Callable[[str], None]) -> None:
        """Call `on_change(function_id)` when a function became ready, failed or vanished."""

    async def close(self) -> None:
        """Stop watching. Functions go on."""


@runtime_checkable
class MeasuresHosts(Protocol):
    """A VIM that sees the machines under its nodes; tests/contract/test_hosts.py defines it."""

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        """What the machines of these nodes use now, by node; without those that are not known.
        CPU is that of the last sampling period, 0 before the first has passed. Raises
        Unavailable."""


@runtime_checkable
class LosesNodes(Protocol):
    """A VIM of several machines, of which one may be away while the others answer: `running` shows
    the functions there as last seen."""

    @property
    def lost_nodes(self) -> frozenset[str]:
        """The nodes that did not answer when `running` was last called."""


@runtime_checkable
class Migrates(Protocol):
    """A VIM that moves running functions; tests/contract/test_migrates.py defines it in full."""

    async def move(self, function: Function, node: Node, how: MoveKind) -> MoveResult:
        """Move a running function to another node. Returns once it is ACTIVE there with its id,
        owner, address and ports; it is never on two nodes at once as `running` shows it. When it
        raises, the function runs on where it was; so it does when the call is cancelled, unless it
        had been moved by then. Who calls during a move waits for the same one. A control plane
        that was killed calls again.

        Raises NotFound unless it is ACTIVE, CannotRun, Exhausted or Unavailable."""

    async def settle(self, function_id: str) -> None:
        """End a move that is under way, and one that a control plane that was killed made; the
        function runs on where it is. Nothing of the move is left on any node that answers. Raises
        Unavailable."""


@runtime_checkable
class ReportsMoves(Protocol):
    """A VIM that knows how far a move is."""

    def progress(self, function_id: str) -> MoveProgress | None:
        """How far the function's move is; None while it is not moved, or nothing is known yet."""

    def is_live(self, node: str) -> bool:
        """Whether functions of the node run while they are copied; else they stop for as long."""


@runtime_checkable
class GuestControl(Protocol):
    """A VIM whose functions are guests of a hypervisor, as tests/contract/test_guest_control.py
    defines it. All raise NoSuchGuest, HypervisorUnreachable and HypervisorFailed, and those that
    change something GuestMoving."""

    async def suspend(self, function_id: str) -> None:
        """Stop the guest's processors; its memory stays. It is neither probed nor given up.
        Idempotent."""

    async def resume(self, function_id: str) -> None:
        """Let the guest continue. Idempotent."""

    async def console(self, function_id: str) -> str:
        """The end of what the guest wrote on its console, since it was first started."""


@runtime_checkable
class KeepsSnapshots(Protocol):
    """A VIM that keeps its guests as they were; the same test defines it. All raise as
    GuestControl does."""

    async def snapshots(self, function_id: str) -> list[Snapshot]:
        """The guest's snapshots, the oldest first. They go with the guest."""

    async def snapshot(self, function_id: str, name: str) -> None:
        """Keep the guest's memory and disk as they are now. Raises SnapshotExists,
        TooManySnapshots."""

    async def revert(self, function_id: str, name: str) -> None:
        """Have the guest as it was at that snapshot. Raises NoSuchSnapshot."""

    async def remove_snapshot(self, function_id: str, name: str) -> None:
        """Forget the snapshot. Raises NoSuchSnapshot."""
