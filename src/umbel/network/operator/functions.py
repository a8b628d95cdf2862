"""Functions that streams meet on their way: rules follow as they appear, move and die.

In: what operators ask, and which of the platform's functions run where. Out: the overlay's wishes
with those functions, through the fabric. A node with a guest gives the stream to it and takes it
from it; without one it passes packets through. What was asked is rows, so it outlives a restart.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from umbel.kit.errors import Conflict, NotFound, UmbelError
from umbel.network.events import Event, PathChanged
from umbel.network.model import NotProgrammed, Topology
from umbel.network.operator.inspection import Switches
from umbel.network.operator.model import Guest
from umbel.network.operator.store import WishStore
from umbel.network.overlay.streams import Receiver
from umbel.network.switching.port_map import Door
from umbel.network.topology.paths import NotInTopology

log = structlog.get_logger(__name__)

_RETRY_S = 1.0


class GuestTaken(Conflict):
    """A stream meets one function at a node, and there is one."""

    code = "umbel.guest_taken"


class UnknownGuest(NotFound):
    """No function of that name is to be met."""

    code = "umbel.no_such_guest"


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a function runs now."""

    node: str
    address: str


@dataclass(frozen=True, kw_only=True)
class GuestState:
    """A function to be met, and where it is now: None where it does not run. `met` tells whether
    its stream is carried through that node."""

    guest: Guest
    spot: Spot | None
    met: bool


def spot_of(guest: Guest, running: Mapping[str, Spot]) -> Spot | None:
    """Where it is: as said, or where the platform's own function of that id runs."""
    if guest.function:
        return running.get(guest.function)
    return Spot(node=guest.node, address=guest.address)


def hosts(guests: Sequence[Guest], running: Mapping[str, Spot]) -> dict[str, dict[str, Receiver]]:
    """By stream and node, where its function takes it. Of two that came to one node, the one asked
    for first stays."""
    found: dict[str, dict[str, Receiver]] = {}
    for guest in guests:
        spot = spot_of(guest, running)
        if spot is not None:
            end = Receiver(address=spot.address, port=guest.port, door=Door.INSIDE)
            found.setdefault(guest.stream, {}).setdefault(spot.node, end)
    return found


class Guests:
    """The functions that operators' streams meet."""

    def __init__(self, topology: Topology, store: WishStore, fabric: Switches | None) -> None:
        self._topology, self._store, self._fabric = topology, store, fabric
        self._running: dict[str, Spot] = {}
        self._flag = asyncio.Event()

    def see(self, running: Mapping[str, Spot]) -> None:
        """The platform's functions run so, by their ids."""
        if dict(running) != self._running:
            self._running = dict(running)
            self._flag.set()

    async def all(self) -> list[GuestState]:
        """Every one that was asked for."""
        return [self._state(guest) for guest in await self._store.guests()]

    async def put(self, guest: Guest) -> GuestState:
        """Have a stream meet the function from now on, wherever it was before. Raises
        NotProgrammed, NotInTopology, GuestTaken."""
        self._must()
        if not guest.function and guest.node not in self._topology.nodes:
            raise NotInTopology(f"The network has no node {guest.node}", node=guest.node)
        spot = spot_of(guest, self._running)
        for other in await self._store.guests():
            there = spot_of(other, self._running)
            same = (other.stream, there and there.node) == (guest.stream, spot and spot.node)
            if spot is not None and same and other.name != guest.name:
                text = f"stream {guest.stream} meets {other.name} at {spot.node}"
                raise GuestTaken(text, stream=guest.stream, node=spot.node)
        await self._store.put_guest(guest)
        await self._follow()
        return self._state(guest)

    async def remove(self, name: str) -> None:
        """Its stream passes through again. Raises NotProgrammed, UnknownGuest."""
        self._must()
        if not await self._store.remove_guest(name):
            raise UnknownGuest(f"No function {name} is to be met", name=name)
        await self._follow()

    async def run(self) -> None:
        """Have rules follow what runs and what is carried, until cancelled."""
        if self._fabric is None:
            return
        end = self._fabric.watch(self._hear)
        self._flag.set()
        try:
            while True:
                await self._flag.wait()
                self._flag.clear()
                try:
                    await self._follow()
                except UmbelError as error:
                    log.warning("functions on the way not followed", reason=error.message)
                    await asyncio.sleep(_RETRY_S)
                    self._flag.set()
        finally:
            end()

    async def _follow(self) -> None:
        wanted = hosts(await self._store.guests(), self._running)
        fabric = self._must()
        overlay = fabric.overlay
        for name, wish in overlay.wishes.items():
            if dict(wish.hosts) != wanted.get(name, {}):
                overlay = overlay.meet(name, wanted.get(name, {}))
        await fabric.change(overlay)

    def _hear(self, event: Event) -> None:
        if isinstance(event, PathChanged):
            self._flag.set()

    def _must(self) -> Switches:
        if self._fabric is None:
            raise NotProgrammed
        return self._fabric

    def _state(self, guest: Guest) -> GuestState:
        spot = spot_of(guest, self._running)
        met = spot is not None and self._passes(guest.stream, spot.node)
        return GuestState(guest=guest, spot=spot, met=met)

    def _passes(self, stream: str, node: str) -> bool:
        """Whether the stream is carried through the node, to a function there."""
        if self._fabric is None or not self._fabric.overlay.carries(stream):
            return False
        overlay = self._fabric.overlay
        on = {end for link in overlay.used(stream) for end in link}
        return node in on and node in overlay.wishes[stream].hosts
