"""The way to a guest that moves goes first, then the guest (LIME).

In: a guest's address, the nodes that it leaves and goes to. Out: what is for it, streams included,
is copied to its new port from before its copy begins; once it runs there the old way goes. Rules
follow its ports as well (edge/guest_routes.py), so nothing is left of a move that nobody ended.
Neighbour: mobility calls this at each step; moves.py moves the leaves of streams.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from umbel.network.edge.service import EdgeService
from umbel.network.operator import moves
from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.streams import Path
from umbel.network.ports import ProgrammableFabric


@dataclass(kw_only=True)
class GuestMoves:
    """All calls are idempotent, and do nothing for an address that is no guest's on the overlay."""

    fabric: ProgrammableFabric | None
    edge: EdgeService

    async def prepare(self, address: str, source: str, target: str) -> None:
        """Copies of all that is for the guest go to the target as soon as it has a port there.
        Raises NoPath, SwitchRefused, InvalidMove or Unavailable; what was prepared stays until
        `abort`."""
        fabric = self._fabric(address)
        if fabric is None:
            return
        await self.edge.expect_guest(address, target)
        for stream, leaving in [*_ends(fabric, address, source)]:
            await moves.prepare(fabric, stream, leaving, replace(leaving, leaf=target))

    async def commit(self, address: str, source: str, target: str) -> None:
        """The guest runs at the target: the old way goes. Raises as `prepare`."""
        fabric = self._fabric(address)
        if fabric is None:
            return
        for stream in _moving(fabric, address, source, target):
            with suppress(InvalidMove):  # the stream's owner was first
                await moves.commit(fabric, stream)
        await self.edge.expect_guest(address, "")

    async def abort(self, address: str, source: str, target: str) -> None:
        """The guest stays: the new way goes. Raises Unavailable."""
        fabric = self._fabric(address)
        if fabric is None:
            return
        for stream in _moving(fabric, address, source, target):
            with suppress(InvalidMove):
                await moves.abort(fabric, stream)
        await self.edge.expect_guest(address, "")

    def _fabric(self, address: str) -> ProgrammableFabric | None:
        is_guest = self.fabric is not None and self.fabric.sites.guest_home(address)
        return self.fabric if is_guest else None


def _ends(fabric: ProgrammableFabric, address: str, node: str) -> Iterator[tuple[str, Path]]:
    """The streams that end at the guest, with its paths."""
    for name, intent in fabric.overlay.intents.items():
        for path in intent.paths:
            if path.leaf == node and path.receiver and path.receiver.address == address:
                yield name, path


def _moving(fabric: ProgrammableFabric, address: str, source: str, target: str) -> list[str]:
    """The streams whose leaf moves with the guest."""
    return [
        name
        for name, intent in fabric.overlay.intents.items()
        if (move := intent.move) is not None
        and (move.source, move.target) == (source, target)
        and move.leaving is not None
        and move.leaving.address == address
    ]
