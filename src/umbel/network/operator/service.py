"""What operators ask of the network: a drawing of it, and paths. Asking what is, is inspection.py.

In: requests of the REST API. Out: the overlay changed through the fabric, and how it is then.
What was asked is kept in rows, so that a restart asks for it again. Where the fabric has no
switches (loopback) drawings and paths are refused.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import Conflict, UmbelError
from umbel.kit.ids import new_id
from umbel.kit.waiting import until_answered
from umbel.network.model import NotProgrammed, Pair, TopologySource
from umbel.network.operator import moves
from umbel.network.operator.functions import InlineFunctions
from umbel.network.operator.inspection import DrawnNetwork, Inspection, PathStatus
from umbel.network.operator.model import PathRequest
from umbel.network.operator.store import OperatorStore
from umbel.network.operator.upkeep import EVERY_S, PathUpkeep, intent_of
from umbel.network.overlay import drawing as drawings
from umbel.network.overlay import streams
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import InvalidRoute, Path, StreamIntent
from umbel.network.ports import Ethernet, ProgrammableFabric

log = structlog.get_logger(__name__)


class StreamTaken(Conflict):
    """Another part of the platform routes this stream, or it has another root or sender."""

    code = "umbel.stream_taken"


class OperatorService:
    """The network as operators see it: `inspection` how it is, `functions` those that streams pass
    through."""

    def __init__(
        self,
        topology: TopologySource,
        store: OperatorStore,
        clock: Clock,
        fabric: ProgrammableFabric | None,
        neighbours: Ethernet | None = None,
    ) -> None:
        self._upkeep = PathUpkeep(
            store=store, clock=clock, fabric=fabric, neighbours=neighbours, pause=asyncio.sleep
        )
        self.inspection = Inspection(topology, fabric, self._upkeep.unreached, self._upkeep.unsent)
        self.functions = InlineFunctions(topology, store, fabric)
        self._topology = topology
        self._drawn_over = topology()
        self._store = store
        self._clock = clock
        self._fabric = fabric
        self._neighbours = neighbours
        self._found: dict[str, Path] = {}

    async def run(self) -> None:
        """Restore, and have rules follow functions and receivers from then on, until cancelled."""
        await self.restore()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_after_paths())
            tasks.create_task(self.functions.run())

    async def _look_after_paths(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.refresh_paths()
            except UmbelError as error:
                log.warning("paths not refreshed", code=error.code, reason=error.message)

    async def refresh_paths(self) -> None:
        """Look after the paths that are due now, without waiting for the next time."""
        await self._upkeep.refresh()

    async def restore(self) -> None:
        """Ask the fabric again for what was asked before a restart. What cannot be carried any
        more, or yet, is logged and shown on its path."""
        if self._fabric is None:
            return
        drawing, paths = await until_answered(self._stored)
        overlay = self._fabric.overlay
        if drawing is not None:
            overlay = overlay.draw(drawing)
        for request in paths:
            try:
                overlay = overlay.restore_path(intent_of(overlay, request), request.path)
            except InvalidRoute as error:
                log.warning("path not restored", path=request.id, **error.details)
        # All at once, so that nothing removed in the meantime comes back.
        await self._fabric.change(overlay)

    async def _stored(self) -> tuple[Drawing | None, list[PathRequest]]:
        """What the rows say."""
        return await self._store.drawing(), await self._store.paths()

    # -- what is asked ----------------------------------------------------------------------

    async def draw(self, nodes: Sequence[tuple[str, Role]], links: Sequence[Pair]) -> DrawnNetwork:
        """The overlay is as drawn from now on. Raises InvalidDrawing, NotProgrammed."""
        drawing = drawings.read(nodes, links, self._topology())
        fabric = self._require_fabric()
        await self._store.draw(drawing, self._clock.now_s())
        await fabric.change(fabric.overlay.draw(drawing))
        return self.inspection.picture()

    async def follow_nodes(self, roles: Mapping[str, Role]) -> None:
        """Draw the nodes that came since, with their `roles`, and links, and those that went no
        more; also in what is drawn again after a restart."""
        fabric, before, now = self._fabric, self._drawn_over, self._topology()
        if fabric is None or now == before:
            return
        await self._store.redraw(
            lambda last: drawings.follow(last, before, now, roles), self._clock.now_s()
        )
        drawing = drawings.follow(fabric.overlay.link_state.drawing, before, now, roles)
        await fabric.change(fabric.overlay.draw(drawing))
        self._drawn_over = now

    async def paths(self) -> list[PathStatus]:
        """List every path, the oldest first."""
        return [self.inspection.path(one) for one in await self._store.paths()]

    async def path(self, id_: str) -> PathStatus:
        """One of them. Raises NoSuchPath."""
        return self.inspection.path(await self._store.path(id_))

    async def add(self, intent: StreamIntent, path: Path) -> PathStatus:
        """A path more: of a stream of the operator's own, whose address is allotted where `intent`
        names none. The leaf's switch is asked for the Ethernet address of a receiver without one.
        Raises InvalidRoute, StreamTaken, NotProgrammed."""
        fabric = self._require_fabric()
        given, path = path, await self._resolved(fabric, path)
        request = PathRequest(
            id=new_id("path"),
            at_s=self._clock.now_s(),
            intent=intent,
            path=path,
            is_found=path != given,
        )
        stream = intent_of(fabric.overlay, request).stream
        request = replace(request, intent=replace(intent, stream=replace(stream, number=0)))
        await self._check_free(fabric, request)
        _with(fabric.overlay, request)
        await self._store.add(request)
        # The overlay may be another by now: another request, a link that was lost.
        try:
            after = _with(fabric.overlay, request)
        except UmbelError:
            await self._store.remove(request.id, self._clock.now_s())
            raise
        await fabric.change(after)
        return self.inspection.path(request)

    async def remove(self, id_: str) -> None:
        """A path less; with its last one the stream goes. Raises NoSuchPath."""
        request = await self._store.path(id_)
        await self._store.remove(id_, self._clock.now_s())
        if self._fabric is not None:
            name = request.intent.stream.name
            overlay = self._fabric.overlay
            await self._fabric.change(overlay.remove_path(name, request.path))

    async def prepare(self, id_: str, coming: Path) -> PathStatus:
        """The path's stream is cloned to where its leaf will be. Raises NoSuchPath, InvalidMove,
        InvalidRoute, NoPath, SwitchRefused, NotProgrammed."""
        fabric, request = self._require_fabric(), await self._store.path(id_)
        given, coming = coming, await self._resolved(fabric, coming)
        _check_receiver(coming)
        name = request.intent.stream.name
        intent = fabric.overlay.intents.get(name)
        if intent is not None and coming in intent.paths:
            raise InvalidMove(f"The receiver at {coming.leaf} gets it already", leaf=coming.leaf)
        await moves.prepare(fabric, name, request.path, coming)
        self._found.pop(id_, None)
        if coming != given:
            self._found[id_] = coming
        return self.inspection.path(request)

    async def commit(self, id_: str) -> PathStatus:
        """The path ends where it was moved to. Raises NoSuchPath, InvalidMove, NoPath,
        SwitchRefused, NotProgrammed."""
        fabric, before = self._require_fabric(), await self._store.path(id_)
        name = before.intent.stream.name
        coming = self._coming(before)
        request = replace(before, path=coming, is_found=self._found.get(id_) == coming)
        moves.check(fabric, name)
        await self._store.moved(request, self._clock.now_s())
        try:
            self._coming(before)
            await moves.commit(fabric, name)
        except UmbelError:
            await self._store.moved(before, self._clock.now_s())
            raise
        return self.inspection.path(request)

    async def abort(self, id_: str) -> PathStatus:
        """Abort the move: the path stays as it was. Raises NoSuchPath, InvalidMove,
        NotProgrammed."""
        fabric, request = self._require_fabric(), await self._store.path(id_)
        self._coming(request)
        await moves.abort(fabric, request.intent.stream.name)
        return self.inspection.path(request)

    # -- inside -----------------------------------------------------------------------------

    def _require_fabric(self) -> ProgrammableFabric:
        if self._fabric is None:
            raise NotProgrammed
        return self._fabric

    async def _resolved(self, fabric: ProgrammableFabric, path: Path) -> Path:
        """The path with its receiver's Ethernet address, if it needs one and a host answers."""
        receiver, site = path.receiver, fabric.sites.get(path.leaf)
        if self._neighbours is None or site is None or receiver is None:
            return path
        if not streams.unresolved(path):
            return path
        try:
            mac = await self._neighbours(site, receiver.address)
        except UmbelError as error:
            log.warning("receiver not found", node=path.leaf, reason=error.message)
            return path
        return replace(path, receiver=replace(receiver, mac=mac))

    async def _check_free(self, fabric: ProgrammableFabric, request: PathRequest) -> None:
        name = request.intent.stream.name
        ours = [one for one in await self._store.paths() if one.intent.stream.name == name]
        if not ours and name in fabric.overlay.intents:
            raise StreamTaken(f"stream {name} is carried for somebody else", stream=name)
        if any(one.intent != request.intent for one in ours):
            raise _conflict(name)
        if any(one.path == request.path for one in ours):
            raise StreamTaken(f"stream {name} has this path already", stream=name)

    def _coming(self, request: PathRequest) -> Path:
        coming = self.inspection.path(request).moving
        if coming is None:
            raise InvalidMove(
                f"The path to {request.path.leaf} is not being moved", path=request.id
            )
        return coming


def _with(overlay: Overlay, request: PathRequest) -> Overlay:
    intent = intent_of(overlay, request)
    held = overlay.intents.get(intent.stream.name, intent)
    if (held.root, held.sender, held.stream) != (intent.root, intent.sender, intent.stream):
        raise _conflict(intent.stream.name)
    return overlay.add_path(intent, request.path)


def _conflict(name: str) -> StreamTaken:
    return StreamTaken(f"stream {name} has another root, sender or address", stream=name)


def _check_receiver(path: Path) -> None:
    if problem := streams.unresolved(path):
        raise InvalidRoute("There is a problem", problems=[problem])
