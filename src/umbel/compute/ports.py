"""What every VIM driver does. tests/contract/test_vim.py defines it in full."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from umbel.compute.model import Function, HostUsage, Instance, MoveKind, Node
from umbel.kit.errors import Conflict, Exhausted, Invalid


class FunctionTaken(Conflict):
    """A function of another owner has this id; choose another id."""

    code = "umbel.function_taken"


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
    """The function cannot be moved while it runs: its VIM cannot do that, or the node is of another
    pool. Start it again on the other node."""

    code = "umbel.cannot_migrate"


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
class Migrates(Protocol):
    """A VIM that moves running functions; tests/contract/test_migrates.py defines it in full."""

    async def move(self, function: Function, node: Node, how: MoveKind) -> None:
        """Move a running function to another node. Returns once it is ACTIVE there with its id,
        owner and port names; it is never on two nodes at once as `running` shows it. When it
        raises, the function runs on where it was.

        Raises NotFound unless it is ACTIVE, CannotRun, Exhausted or Unavailable."""
