"""What every VIM driver promises. tests/contract/test_vim.py is the definition in full."""

from collections.abc import Callable
from enum import Flag, auto
from typing import Protocol

from umbel.compute.model import Function, Instance, Node


class Feature(Flag):
    """What a VIM can do beyond the Protocol."""

    NONE = 0
    SURVIVES_CONTROL_PLANE = auto()
    MEASURES_LOAD = auto()


class Vim(Protocol):
    """Starts, watches and stops functions on nodes."""

    features: Feature

    async def spawn(self, function: Function, node: Node) -> None:
        """Start the function. A running one is left alone; a failed one is started again on the
        ports it had. Returns once the start is under way; `running` tells when it is ACTIVE.
        Raises Exhausted or Unavailable."""

    async def terminate(self, function_id: str) -> None:
        """Stop the function and wait until it is gone. An absent one is no error."""

    async def running(self) -> dict[str, Instance]:
        """What there is, and where, as seen on the nodes and not as remembered."""

    def watch(self, on_change: Callable[[str], None]) -> None:
        """Call `on_change(function_id)` when a function became ready, failed or vanished."""

    async def close(self) -> None:
        """Stop watching. Functions go on."""
