"""What every VIM driver does. tests/contract/test_vim.py defines it in full."""

from collections.abc import Callable
from typing import Protocol

from umbel.compute.model import Function, Instance, Node
from umbel.kit.errors import Conflict, Invalid


class FunctionTaken(Conflict):
    """A function of another owner has this id; choose another id."""

    code = "umbel.function_taken"


class CannotRun(Invalid):
    """The VIM of the node's pool cannot start such a function; use a node of another pool."""

    code = "umbel.cannot_run"


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
