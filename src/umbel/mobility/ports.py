"""What mobility needs of others: owners that let their functions move, movers that move them, and
the free rate on the way.
"""

from collections.abc import Mapping
from typing import Protocol

from umbel.compute.model import Function
from umbel.mobility.model import Json, Migration


class StepFailed(Exception):
    """A step cannot be done, now or later: the migration is undone. The text is the reason."""


class FunctionOwner(Protocol):
    """Who wants functions in compute, and can want one elsewhere."""

    async def wanted(self) -> Mapping[str, Function]:
        """Every function that it wants, by id, with where."""

    async def relocate(self, function_id: str, node: str) -> None:
        """The function was moved: from now on it is wanted on that node. Idempotent; not an error
        where it is not wanted any more."""


class GuestPaths(Protocol):
    """The network's way to a function that keeps its address. Each call may be repeated, and does
    nothing where the network does not lead to the address. They raise UmbelError."""

    async def prepare(self, address: str, source: str, target: str) -> None:
        """What is for the function is copied to the target as well."""

    async def commit(self, address: str, source: str, target: str) -> None:
        """The function is at the target: nothing of the old way is left."""

    async def abort(self, address: str, source: str, target: str) -> None:
        """The function stays at the source: nothing of the new way is left."""


class Replaces(Protocol):
    """An owner that can put another function in a function's place, make before break."""

    def refusal(self, function: Function, target: str) -> str:
        """Why the function cannot be replaced by one on that node; empty: it can. Raises
        NoSuchNode."""

    async def begin(self, function: str, node: str) -> bool:
        """Have a successor on the node. True once it can serve. Raises Exhausted."""

    async def viewers(self, function: str) -> int:
        """How many viewers have not left the function yet."""

    async def end(self, function: str) -> None:
        """The function is not wanted any more."""

    async def undo(self, function: str) -> None:
        """The function stays, and its successor takes nothing over any more."""


class Mover(Protocol):
    """One kind of migration. Each call looks at what runs, and may be repeated after a crash."""

    def refusal(self, owner: str, function: Function, target: str) -> str:
        """Why the owner's function cannot be moved there this way; empty: it can. Raises
        NoSuchNode."""

    async def prepare(self, migration: Migration) -> bool:
        """Have what the copy needs. True once it is there. Raises StepFailed."""

    async def copy(self, migration: Migration) -> bool:
        """Begin the copy or go on with it. True once the copy at the target serves. Raises
        StepFailed."""

    async def commit(self, migration: Migration) -> bool:
        """Leave nothing at the source. True once nothing is."""

    async def undo(self, migration: Migration) -> bool:
        """Leave nothing at the target. False where the copy there serves already."""

    def progress(self, migration: Migration) -> Json:
        """How far the copy is, and what it cost once it is made, as far as it is known."""


class Ways(Protocol):
    """The operator's links."""

    async def free_mbps(self, source: str, target: str) -> float | None:
        """What the way between two nodes has left; None where no way leads there."""
