"""Where a node's processes run: on this machine as it is, or each node in its network namespace.

A place does a piece of work where the node is: looking for free ports, starting the process. All
else (pids, files, /proc, signals) is the machine's, so the driver is the same for both.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from umbel.kit import netns

Answer = TypeVar("Answer")


class Place(Protocol):
    """Says where a node is."""

    def at(self, node: str, work: Callable[[], Answer]) -> Answer:
        """What `work` answers there. Raises OSError when the node is not to be found, else what
        `work` raises."""


class Here:
    """Every node is this machine, and differs by its address only."""

    def at(self, node: str, work: Callable[[], Answer]) -> Answer:
        return work()


class Namespaces:
    """Node X is this machine's network namespace PREFIX-X, as `umbel testbed` makes them. The
    control plane must reach the nodes' addresses, and be root."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def at(self, node: str, work: Callable[[], Answer]) -> Answer:
        return netns.inside(f"{self._prefix}-{node}", work)
