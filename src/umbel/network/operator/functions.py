"""Functions that streams meet on their way: rules follow as they appear, move and die.

In: what operators ask, and which of the platform's functions run where. Out: the overlay's intents
with those functions, through the fabric, and events of those that operators run themselves. A node
with an in-line function gives the stream to it and takes it from it; without one it passes packets
through. What was asked is rows, so it outlives a restart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from umbel.kit.errors import Conflict, NotFound, UmbelError
from umbel.kit.signal import Signal
from umbel.network import events
from umbel.network.events import Event, FunctionAppeared, FunctionLeft, PathChanged, Watcher
from umbel.network.model import NotProgrammed, TopologySource
from umbel.network.operator.model import InlineFunction
from umbel.network.operator.store import OperatorStore
from umbel.network.overlay.streams import Receiver
from umbel.network.ports import ProgrammableFabric
from umbel.network.switching.port_map import Side
from umbel.network.topology.paths import NotInTopology

log = structlog.get_logger(__name__)

INLINE = "inline"
"""The role of a function that an operator runs, in its events."""

_RETRY_S = 1.0


class InlineFunctionExists(Conflict):
    """The stream already passes through another function on this node."""

    code = "umbel.inline_function_exists"


class NoSuchInlineFunction(NotFound):
    """There is no in-line function with that name."""

    code = "umbel.no_such_inline_function"


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where a function runs now."""

    node: str
    address: str


@dataclass(frozen=True, kw_only=True)
class InlineFunctionStatus:
    """A function to be met, and where it is now: None where it does not run. `met` tells whether
    its stream is carried through that node."""

    function: InlineFunction
    location: Location | None
    on_path: bool


def location_of(function: InlineFunction, running: Mapping[str, Location]) -> Location | None:
    """Where it is: as said, or where the platform's own function of that id runs."""
    if function.function:
        return running.get(function.function)
    return Location(node=function.node, address=function.address)


def receivers_by_node(
    functions: Sequence[InlineFunction],
    running: Mapping[str, Location],
    home_of: Callable[[str], str] = lambda _: "",
) -> dict[str, dict[str, Receiver]]:
    """By stream and node, where its function takes it. Of two that came to one node, the one asked
    for first stays. `home_of` answers for a guest's address the node that it is from."""
    found: dict[str, dict[str, Receiver]] = {}
    for function in functions:
        location = location_of(function, running)
        if location is not None:
            end = Receiver(
                address=location.address,
                port=function.port,
                side=Side.INSIDE,
                is_guest=bool(home_of(location.address)),
            )
            found.setdefault(function.stream, {}).setdefault(location.node, end)
    return found


class InlineFunctions:
    """The functions that operators' streams meet."""

    def __init__(
        self, topology: TopologySource, store: OperatorStore, fabric: ProgrammableFabric | None
    ) -> None:
        self._topology, self._store, self._fabric = topology, store, fabric
        self._running: dict[str, Location] = {}
        self._changed = Signal()
        self._watchers: list[Watcher] = []

    def watch(self, watch: Watcher) -> None:
        """Call `watch` when a function that an operator runs appears at a node or leaves it. The
        platform's own are observed where they are run."""
        self._watchers.append(watch)

    def observe(self, running: Mapping[str, Location]) -> None:
        """The platform's functions run so, by their ids."""
        if dict(running) != self._running:
            self._running = dict(running)
            self._changed.notify()

    async def all(self) -> list[InlineFunctionStatus]:
        """Every one that was asked for."""
        return [self._state(function) for function in await self._store.functions()]

    async def put(self, function: InlineFunction) -> InlineFunctionStatus:
        """Have a stream meet the function from now on, wherever it was before. Raises
        NotProgrammed, NotInTopology, InlineFunctionExists."""
        self._require_fabric()
        is_placed = function.image or not function.function
        if is_placed and function.node not in self._topology().nodes:
            raise NotInTopology(f"The network has no node {function.node}", node=function.node)
        location = location_of(function, self._running)
        functions = await self._store.functions()
        for other in functions:
            there = location_of(other, self._running)
            same = (other.stream, there and there.node) == (
                function.stream,
                location and location.node,
            )
            if location is not None and same and other.name != function.name:
                text = f"stream {function.stream} meets {other.name} at {location.node}"
                raise InlineFunctionExists(text, stream=function.stream, node=location.node)
        await self._store.put_function(function)
        self._report(next((one for one in functions if one.name == function.name), None), function)
        await self._reconcile()
        return self._state(function)

    async def remove(self, name: str) -> None:
        """Its stream passes through again. Raises NotProgrammed, NoSuchInlineFunction."""
        self._require_fabric()
        functions = await self._store.functions()
        if not await self._store.remove_function(name):
            raise NoSuchInlineFunction(f"No function {name} is to be met", name=name)
        self._report(next((one for one in functions if one.name == name), None), None)
        await self._reconcile()

    async def relocate(self, function_id: str, node: str) -> None:
        """The platform runs a function with an image on that node from now on. Not an error where
        none has the id."""
        for one in await self._store.functions():
            if one.image and one.function == function_id and one.node != node:
                await self._store.put_function(replace(one, node=node))

    async def run(self) -> None:
        """Have rules follow what runs and what is carried, until cancelled."""
        if self._fabric is None:
            return
        end = self._fabric.watch(self._on_event)
        try:
            while True:
                changed, again_s = self._changed.listen(), None
                try:
                    await self._reconcile()
                except UmbelError as error:
                    log.warning("in-line functions not updated", reason=error.message)
                    again_s = _RETRY_S
                await changed.wait(again_s)
        finally:
            end()

    async def _reconcile(self) -> None:
        functions = await self._store.functions()
        fabric = self._require_fabric()
        receivers = receivers_by_node(functions, self._running, fabric.sites.guest_home)
        wanted = {function.stream for function in functions}
        overlay = fabric.overlay
        for name, intent in overlay.intents.items():
            found = receivers.get(name, {})
            waits = intent.move is not None and intent.move.processed and name not in wanted
            if dict(intent.processes) != found or waits:
                overlay = overlay.set_processes(name, found, wanted=name in wanted)
        await fabric.change(overlay)

    def _report(self, before: InlineFunction | None, now: InlineFunction | None) -> None:
        left, appeared = (one.reported_at if one is not None else "" for one in (before, now))
        if left == appeared:
            return
        found: list[Event] = []
        if before is not None and left:
            found.append(FunctionLeft(node=left, function=before.name, role=INLINE))
        if now is not None and appeared:
            found.append(FunctionAppeared(node=appeared, function=now.name, role=INLINE))
        for event in found:
            log.info("network", event_kind=event.kind, **events.body(event))
            for watch in self._watchers:
                watch(event)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, PathChanged):
            self._changed.notify()

    def _require_fabric(self) -> ProgrammableFabric:
        if self._fabric is None:
            raise NotProgrammed
        return self._fabric

    def _state(self, function: InlineFunction) -> InlineFunctionStatus:
        location = location_of(function, self._running)
        on_path = location is not None and self._passes(function.stream, location.node)
        return InlineFunctionStatus(function=function, location=location, on_path=on_path)

    def _passes(self, stream: str, node: str) -> bool:
        """Whether the stream is carried through the node, to a function there."""
        if self._fabric is None or not self._fabric.overlay.carries(stream):
            return False
        overlay = self._fabric.overlay
        on = {end for link in overlay.used(stream) for end in link}
        return node in on and node in overlay.intents[stream].processes
