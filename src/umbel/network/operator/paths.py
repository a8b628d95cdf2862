"""What operators ask of the network: a drawing of it, and paths. Asking what is, is inspection.py.

In: requests of the REST API. Out: the overlay changed through the fabric, and how it is then.
What was asked is kept in rows, so that a restart asks for it again. Where the fabric has no
switches (loopback) drawings and paths are refused.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import Conflict, UmbelError, Unavailable
from umbel.kit.ids import new_id
from umbel.network.model import NotProgrammed, Pair, Topology
from umbel.network.operator import moves
from umbel.network.operator.functions import Guests
from umbel.network.operator.inspection import Inspection, PathState, Picture, Switches
from umbel.network.operator.model import AskedPath
from umbel.network.operator.store import WishStore
from umbel.network.overlay import addresses
from umbel.network.overlay import drawing as drawings
from umbel.network.overlay.intent import Overlay, Wish
from umbel.network.overlay.moves import BadMove
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import BadCarriage, Path, Receiver, Stream
from umbel.network.switching.port_map import Door

log = structlog.get_logger(__name__)

_RETRY_S = 1.0


class StreamTaken(Conflict):
    """Paths of this stream are made by somebody else, or from another root or sender."""

    code = "umbel.stream_taken"


def kind_of(receiver: Receiver) -> str:
    """Unicast, multicast or broadcast."""
    address = ipaddress.IPv4Address(receiver.address)
    if address.is_multicast:
        return "multicast"
    is_all = receiver.address == "255.255.255.255" or receiver.mac.lower() == "ff:ff:ff:ff:ff:ff"
    return "broadcast" if is_all else "unicast"


class Northbound:
    """The network as operators see it: `inspection` how it is, `guests` whom streams meet."""

    def __init__(
        self, topology: Topology, store: WishStore, clock: Clock, fabric: Switches | None
    ) -> None:
        self.inspection = Inspection(topology, fabric)
        self.guests = Guests(topology, store, fabric)
        self._topology = topology
        self._store = store
        self._clock = clock
        self._fabric = fabric

    async def run(self) -> None:
        """Restore, and have rules follow functions from then on, until cancelled."""
        await self.restore()
        await self.guests.run()

    async def restore(self) -> None:
        """Ask the fabric again for what was asked before a restart. What cannot be carried any
        more, or yet, is logged and shown on its path."""
        if self._fabric is None:
            return
        drawing, paths = await self._asked_before()
        overlay = self._fabric.overlay
        if drawing is not None:
            overlay = overlay.draw(drawing)
        for asked in paths:
            try:
                overlay = overlay.path_keep(_wish(overlay, asked), asked.path)
            except BadCarriage as error:
                log.warning("path not restored", path=asked.id, **error.details)
        # All at once: of what is removed meanwhile nothing comes back.
        await self._fabric.change(overlay)

    async def _asked_before(self) -> tuple[Drawing | None, list[AskedPath]]:
        """What the rows say; a database that is away is waited for."""
        while True:
            try:
                return await self._store.drawing(), await self._store.paths()
            except Unavailable as error:
                log.warning("waiting for the database", reason=error.message)
                await asyncio.sleep(_RETRY_S)

    # -- what is asked ----------------------------------------------------------------------

    async def draw(self, nodes: Sequence[tuple[str, Role]], links: Sequence[Pair]) -> Picture:
        """The overlay is as drawn from now on. Raises BadDrawing, NotProgrammed."""
        drawing = drawings.read(nodes, links, self._topology)
        fabric = self._switches()
        await self._store.draw(drawing, self._clock.now_s())
        await fabric.change(fabric.overlay.draw(drawing))
        return self.inspection.picture()

    async def paths(self) -> list[PathState]:
        """Every path that was asked for, the oldest first."""
        return [self.inspection.path(one) for one in await self._store.paths()]

    async def path(self, id_: str) -> PathState:
        """One of them. Raises UnknownPath."""
        return self.inspection.path(await self._store.path(id_))

    async def add(self, wish: Wish, path: Path) -> PathState:
        """A path more: of a stream of the operator's own, whose address is allotted where `wish`
        names none. Raises BadCarriage, StreamTaken, NotProgrammed."""
        fabric = self._switches()
        stream = _filled(wish.stream, fabric.overlay)
        wish = replace(wish, stream=replace(stream, number=0))
        asked = AskedPath(id=new_id("path"), at_s=self._clock.now_s(), wish=wish, path=path)
        await self._may(fabric, asked)
        _with(fabric.overlay, asked)
        await self._store.add(asked)
        # The overlay may be another by now: another request, a link that was lost.
        try:
            after = _with(fabric.overlay, asked)
        except UmbelError:
            await self._store.remove(asked.id, self._clock.now_s())
            raise
        await fabric.change(after)
        return self.inspection.path(asked)

    async def remove(self, id_: str) -> None:
        """A path less; with its last one the stream goes. Raises UnknownPath."""
        asked = await self._store.path(id_)
        await self._store.remove(id_, self._clock.now_s())
        if self._fabric is not None:
            name = asked.wish.stream.name
            overlay = self._fabric.overlay
            await self._fabric.change(overlay.path_remove(name, asked.path))

    async def prepare(self, id_: str, coming: Path) -> PathState:
        """The path's stream is cloned to where its leaf will be. Raises UnknownPath, BadMove,
        BadCarriage, NoPath, SwitchRefused, NotProgrammed."""
        fabric, asked = self._switches(), await self._store.path(id_)
        _check_receiver(coming)
        name = asked.wish.stream.name
        wish = fabric.overlay.wishes.get(name)
        if wish is not None and coming in wish.paths:
            raise BadMove(f"The receiver at {coming.leaf} gets it already", leaf=coming.leaf)
        await moves.prepare(fabric, name, asked.path, coming)
        return self.inspection.path(asked)

    async def commit(self, id_: str) -> PathState:
        """The path ends where it was moved to. Raises UnknownPath, BadMove, NoPath, SwitchRefused,
        NotProgrammed."""
        fabric, before = self._switches(), await self._store.path(id_)
        name = before.wish.stream.name
        asked = replace(before, path=self._coming(before))
        moves.check(fabric, name)
        await self._store.moved(asked, self._clock.now_s())
        try:
            self._coming(before)
            moves.check(fabric, name)
        except UmbelError:
            await self._store.moved(before, self._clock.now_s())
            raise
        await moves.commit(fabric, name)
        return self.inspection.path(asked)

    async def abort(self, id_: str) -> PathState:
        """The path stays where it was. Raises UnknownPath, BadMove, NotProgrammed."""
        fabric, asked = self._switches(), await self._store.path(id_)
        self._coming(asked)
        await moves.abort(fabric, asked.wish.stream.name)
        return self.inspection.path(asked)

    # -- inside -----------------------------------------------------------------------------

    def _switches(self) -> Switches:
        if self._fabric is None:
            raise NotProgrammed
        return self._fabric

    async def _may(self, fabric: Switches, asked: AskedPath) -> None:
        name = asked.wish.stream.name
        ours = [one for one in await self._store.paths() if one.wish.stream.name == name]
        if not ours and name in fabric.overlay.wishes:
            raise StreamTaken(f"stream {name} is carried for somebody else", stream=name)
        if any(one.wish != asked.wish for one in ours):
            raise _taken_otherwise(name)
        if any(one.path == asked.path for one in ours):
            raise StreamTaken(f"stream {name} has this path already", stream=name)

    def _coming(self, asked: AskedPath) -> Path:
        coming = self.inspection.path(asked).moving
        if coming is None:
            raise BadMove(f"The path to {asked.path.leaf} is not being moved", path=asked.id)
        return coming


def _with(overlay: Overlay, asked: AskedPath) -> Overlay:
    wish = _wish(overlay, asked)
    held = overlay.wishes.get(wish.stream.name, wish)
    if (held.root, held.sender, held.stream) != (wish.root, wish.sender, wish.stream):
        raise _taken_otherwise(wish.stream.name)
    return overlay.path_add(wish, asked.path)


def _wish(overlay: Overlay, asked: AskedPath) -> Wish:
    return replace(asked.wish, stream=_filled(asked.wish.stream, overlay))


def _filled(stream: Stream, overlay: Overlay) -> Stream:
    """The stream as asked for, with what it leaves open: as it is carried, or else allotted."""
    held = overlay.wishes.get(stream.name)
    others = [wish.stream for wish in overlay.wishes.values()]
    allotted = held.stream if held else addresses.allot(stream.name, others)
    target, port = stream.target or allotted.target, stream.port or allotted.port
    return replace(stream, number=allotted.number, target=target, port=port)


def _taken_otherwise(name: str) -> StreamTaken:
    return StreamTaken(f"stream {name} has another root, sender or address", stream=name)


def _check_receiver(path: Path) -> None:
    receiver = path.receiver
    if receiver is not None and receiver.door is Door.OUTSIDE and not receiver.ethernet:
        problem = f"receiver {receiver.address} has no Ethernet address"
        raise BadCarriage("There is a problem", problems=[problem])
