"""Where a node's processes run: on this machine as it is, or in the node's network namespace.

An executor does a piece of work at a node: it looks for free ports, or starts the process. All
else (pids, files, /proc, signals) is the machine's, so the driver is the same for both.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

from umbel.kit import netns

Result = TypeVar("Result")


class Executor(Protocol):
    """Does work at a node."""

    def run_at(self, node: str, work: Callable[[], Result]) -> Result:
        """The result of `work` at the node. Raises OSError when the node is not found, else what
        `work` raises."""

    def namespace(self, node: str) -> AbstractContextManager[int | None]:
        """A descriptor of the node's network namespace; None where that is ours. Raises OSError
        when the node is not found."""


class HostExecutor:
    """Every node is this machine; nodes differ by their addresses only."""

    def run_at(self, node: str, work: Callable[[], Result]) -> Result:
        return work()

    def namespace(self, node: str) -> AbstractContextManager[int | None]:
        return nullcontext()


class NamespaceExecutor:
    """Node X is this machine's network namespace PREFIX-X, as `umbel testbed` makes them. The
    control plane must reach the nodes' addresses, and be root."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def run_at(self, node: str, work: Callable[[], Result]) -> Result:
        return netns.inside(f"{self._prefix}-{node}", work)

    @contextmanager
    def namespace(self, node: str) -> Iterator[int | None]:
        handle = netns.open_handle(f"{self._prefix}-{node}")
        try:
            yield handle
        finally:
            os.close(handle)
