"""What operators ask of the network and are told of it: drawings, switches, links, paths, rules.

In: requests of the REST API. Out: the overlay changed through the fabric, and values that say how
things are. What was asked is kept in rows, so that a restart asks for it again. Where the fabric
has no switches (loopback) drawings and paths are refused, and the rest says what there is.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import Conflict, UmbelError, Unavailable
from umbel.kit.ids import new_id
from umbel.network import drawings, explain
from umbel.network.carriage import BadCarriage, Door, Path, Receiver, Stream
from umbel.network.events import Watch
from umbel.network.explain import Explained
from umbel.network.model import Link, Program, Topology
from umbel.network.overlay import Overlay, Wish
from umbel.network.paths import NotInTopology
from umbel.network.sites import Plugs, Site
from umbel.network.spanning import Drawing, Pair, Role, SpanningTree, pair
from umbel.network.store import AskedPath, WishStore

log = structlog.get_logger(__name__)

_RETRY_S = 1.0


class NotProgrammed(Conflict):
    """This network is not made of switches that Umbel programs: it carries streams as it is."""

    code = "umbel.network_not_programmed"


class StreamTaken(Conflict):
    """Paths of this stream are made by somebody else, or from another root or sender."""

    code = "umbel.stream_taken"


class SwitchPort(Protocol):
    """A port as a switch tells of it."""

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def live(self) -> bool: ...


class Switches(Protocol):
    """A fabric of switches: its overlay as it is to be, and what is seen of it."""

    @property
    def overlay(self) -> Overlay: ...
    @property
    def sites(self) -> Mapping[str, Site]: ...
    @property
    def plugs(self) -> Mapping[str, Plugs]: ...
    @property
    def problems(self) -> Mapping[str, tuple[str, ...]]: ...

    async def change(self, overlay: Overlay) -> None:
        """The overlay is to be so; returns when the switches that are connected are."""

    def stream(self, name: str) -> Stream:
        """The stream of a name with its address, whether it is carried yet or not."""

    def connected(self) -> frozenset[str]:
        """The nodes whose switches can be programmed now."""

    def ports(self, node: str) -> Sequence[SwitchPort]:
        """A switch's ports as last seen."""

    def held(self, node: str) -> Program | None:
        """What a connected switch holds."""

    def watch(self, watch: Watch) -> Callable[[], None]:
        """Have every event told from now on. Answers what ends that."""


class LinkUse(StrEnum):
    """What a link is in the drawn network: part of the tree, a spare of it, drawn but leading to no
    leaf, or not drawn."""

    TREE = "tree"
    SPARE = "spare"
    CUT = "cut"
    UNDRAWN = "undrawn"


class LinkLife(StrEnum):
    """Whether packets can go over a link: its tunnel tells. Where there is none, nobody looks."""

    UP = "up"
    DOWN = "down"
    UNWATCHED = "unwatched"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is drawn, over what there is. `tree` is None where no root is drawn, or where the
    network is not `programmed` by us."""

    programmed: bool
    drawing: Drawing
    topology: Topology
    tree: SpanningTree | None


@dataclass(frozen=True, kw_only=True)
class SwitchState:
    """A node's overlay switch."""

    node: str
    datapath_id: int
    connected: bool
    ports: tuple[SwitchPort, ...]


@dataclass(frozen=True, kw_only=True)
class LinkState:
    """A link, and which streams go over it now."""

    link: Link
    use: LinkUse
    life: LinkLife
    tunnel: bool
    streams: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PathState:
    """A path that was asked for: the stream with its address, the links it goes over now from the
    root on, what keeps it from being carried, and where it is being moved to."""

    asked: AskedPath
    stream: Stream
    links: tuple[Pair, ...]
    problems: tuple[str, ...]
    moving: Path | None


def kind_of(receiver: Receiver) -> str:
    """Unicast, multicast or broadcast."""
    address = ipaddress.IPv4Address(receiver.address)
    if address.is_multicast:
        return "multicast"
    is_all = receiver.address == "255.255.255.255" or receiver.mac.lower() == "ff:ff:ff:ff:ff:ff"
    return "broadcast" if is_all else "unicast"


class Northbound:
    """The network as operators see it."""

    def __init__(
        self, topology: Topology, store: WishStore, clock: Clock, fabric: Switches | None
    ) -> None:
        self._topology = topology
        self._store = store
        self._clock = clock
        self._fabric = fabric

    async def restore(self) -> None:
        """Ask the fabric again for what was asked before a restart. What cannot be carried any
        more, or yet, is logged and shown on its path."""
        if self._fabric is None:
            return
        drawing, paths = await self._asked_before()
        if drawing is not None:
            await self._restored("drawing", self._fabric.overlay.draw(drawing))
        for asked in paths:
            try:
                after = self._with(self._fabric, asked)
            except UmbelError as error:
                log.warning("path not restored", path=asked.id, reason=error.message)
                continue
            await self._restored(asked.id, after)

    async def _asked_before(self) -> tuple[Drawing | None, list[AskedPath]]:
        """What the rows say; a database that is away is waited for."""
        while True:
            try:
                return await self._store.drawing(), await self._store.paths()
            except Unavailable as error:
                log.warning("waiting for the database", reason=error.message)
                await asyncio.sleep(_RETRY_S)

    async def _restored(self, what: str, overlay: Overlay) -> None:
        try:
            await self._switches().change(overlay)
        except UmbelError as error:
            log.warning("not restored", what=what, reason=error.message)

    # -- what there is ----------------------------------------------------------------------

    def picture(self) -> Picture:
        """The drawn network."""
        if self._fabric is None:
            bare = Drawing(roles={}, links=())
            return Picture(programmed=False, drawing=bare, topology=self._topology, tree=None)
        overlay = self._fabric.overlay
        return Picture(
            programmed=True,
            drawing=overlay.ground.drawing,
            topology=self._topology,
            tree=overlay.drawn(),
        )

    def switches(self) -> tuple[SwitchState, ...]:
        """Every site's switch; none where the fabric has none."""
        if self._fabric is None:
            return ()
        connected = self._fabric.connected()
        return tuple(
            SwitchState(
                node=node,
                datapath_id=site.datapath_id,
                connected=node in connected,
                ports=tuple(sorted(self._fabric.ports(node), key=lambda port: port.number)),
            )
            for node, site in self._fabric.sites.items()
        )

    def links(self) -> tuple[LinkState, ...]:
        """Every link of the network, drawn or not."""
        picture = self.picture()
        streams = self._streams_by_link()
        return tuple(
            LinkState(
                link=link,
                use=_use(picture, ends),
                life=self._life(ends),
                tunnel=self._has_tunnel(ends),
                streams=tuple(sorted(streams.get(ends, ()))),
            )
            for link in self._topology.links
            for ends in [pair(link.a, link.b)]
        )

    def way(self, stream: str) -> tuple[Pair, ...]:
        """The links that a stream goes over now, as (from, to), nearest the root first; none where
        the network is not programmed."""
        overlay = self._fabric.overlay if self._fabric is not None else None
        return overlay.used(stream) if overlay is not None and overlay.carries(stream) else ()

    def flows(self, node: str = "") -> tuple[Explained, ...]:
        """Every rule that switches hold, or those of one node, in words. Raises NotInTopology."""
        if node and node not in self._topology.nodes:
            raise NotInTopology(f"The network has no node {node}", node=node)
        fabric = self._fabric
        if fabric is None:
            return ()
        nodes = [name for name in fabric.sites if node in ("", name)]
        return tuple(
            one
            for name in nodes
            if (held := fabric.held(name)) is not None
            for one in explain.explain(name, held, fabric.plugs.get(name, Plugs()), fabric.overlay)
        )

    # -- what is asked ----------------------------------------------------------------------

    async def draw(self, nodes: Sequence[tuple[str, Role]], links: Sequence[Pair]) -> Picture:
        """The overlay is as drawn from now on. Raises BadDrawing, NotProgrammed."""
        drawing = drawings.read(nodes, links, self._topology)
        fabric = self._switches()
        await self._store.draw(drawing, self._clock.now_s())
        await fabric.change(fabric.overlay.draw(drawing))
        return self.picture()

    async def paths(self) -> list[PathState]:
        """Every path that was asked for, the oldest first."""
        return [self._state(one) for one in await self._store.paths()]

    async def path(self, id_: str) -> PathState:
        """One of them. Raises UnknownPath."""
        return self._state(await self._store.path(id_))

    async def add(self, wish: Wish, path: Path) -> PathState:
        """A path more: of a stream of the operator's own, whose address is allotted where `wish`
        names none. Raises BadCarriage, StreamTaken, NotProgrammed."""
        fabric = self._switches()
        stream = _filled(wish.stream, fabric.stream(wish.stream.name))
        wish = replace(wish, stream=replace(stream, number=0))
        asked = AskedPath(id=new_id("path"), at_s=self._clock.now_s(), wish=wish, path=path)
        await self._may(fabric, asked)
        after = self._with(fabric, asked)
        await self._store.add(asked)
        await fabric.change(after)
        return self._state(asked)

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
        BadCarriage, NotProgrammed."""
        fabric, asked = self._switches(), await self._store.path(id_)
        _check_receiver(coming)
        name = asked.wish.stream.name
        await fabric.change(fabric.overlay.prepare(name, asked.path, coming))
        return self._state(asked)

    async def commit(self, id_: str) -> PathState:
        """The path ends where it was moved to. Raises UnknownPath, BadMove, NotProgrammed."""
        fabric, asked = self._switches(), await self._store.path(id_)
        name, moving = asked.wish.stream.name, self._state(asked).moving
        after = fabric.overlay.commit(name)
        if moving is not None:
            asked = replace(asked, path=moving)
            await self._store.moved(asked, self._clock.now_s())
        await fabric.change(after)
        return self._state(asked)

    async def abort(self, id_: str) -> PathState:
        """The path stays where it was. Raises UnknownPath, BadMove, NotProgrammed."""
        fabric, asked = self._switches(), await self._store.path(id_)
        await fabric.change(fabric.overlay.abort(asked.wish.stream.name))
        return self._state(asked)

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
            raise StreamTaken(f"stream {name} has another root, sender or address", stream=name)
        if any(one.path == asked.path for one in ours):
            raise StreamTaken(f"stream {name} has this path already", stream=name)

    @staticmethod
    def _with(fabric: Switches, asked: AskedPath) -> Overlay:
        stream = asked.wish.stream
        wish = replace(asked.wish, stream=_filled(stream, fabric.stream(stream.name)))
        return fabric.overlay.path_add(wish, asked.path)

    def _state(self, asked: AskedPath) -> PathState:
        fabric, name = self._fabric, asked.wish.stream.name
        if fabric is None or name not in fabric.overlay.wishes:
            why = ("it is not carried: the network is not programmed now",)
            return PathState(
                asked=asked, stream=asked.wish.stream, links=(), problems=why, moving=None
            )
        overlay, wish = fabric.overlay, fabric.overlay.wishes[name]
        move = wish.move
        is_ours = move and Path(leaf=move.source, receiver=move.leaving) == asked.path
        return PathState(
            asked=asked,
            stream=wish.stream,
            links=_way(overlay, name, asked.path.leaf),
            problems=(wish.refused,) if wish.refused else fabric.problems.get(name, ()),
            moving=Path(leaf=move.target, receiver=move.coming) if move and is_ours else None,
        )

    def _streams_by_link(self) -> dict[Pair, set[str]]:
        found: dict[Pair, set[str]] = {}
        overlay = self._fabric.overlay if self._fabric is not None else None
        for name, wish in overlay.wishes.items() if overlay is not None else ():
            if overlay is not None and overlay.has(wish.root):
                for link in overlay.used(name):
                    found.setdefault(pair(*link), set()).add(name)
        return found

    def _has_tunnel(self, ends: Pair) -> bool:
        if self._fabric is None:
            return False
        a, b = ends
        plugs, bare = self._fabric.plugs, Plugs()
        return b in plugs.get(a, bare).toward and a in plugs.get(b, bare).toward

    def _life(self, ends: Pair) -> LinkLife:
        if self._fabric is not None and ends in self._fabric.overlay.ground.dead:
            return LinkLife.DOWN
        return LinkLife.UP if self._has_tunnel(ends) else LinkLife.UNWATCHED


def _filled(stream: Stream, allotted: Stream) -> Stream:
    """The stream as asked for, with what it leaves open."""
    target, port = stream.target or allotted.target, stream.port or allotted.port
    return replace(stream, number=allotted.number, target=target, port=port)


def _check_receiver(path: Path) -> None:
    receiver = path.receiver
    if receiver is not None and receiver.door is Door.OUTSIDE and not receiver.ethernet:
        problem = f"receiver {receiver.address} has no Ethernet address"
        raise BadCarriage("There is a problem", problems=[problem])


def _use(picture: Picture, ends: Pair) -> LinkUse:
    drawn = {pair(*link) for link in picture.drawing.links}
    if ends not in drawn:
        return LinkUse.UNDRAWN
    tree = picture.tree
    if tree is not None and ends in {pair(*link) for link in tree.links}:
        return LinkUse.TREE
    if tree is not None and ends in {pair(*link) for link in tree.redundant}:
        return LinkUse.SPARE
    return LinkUse.CUT


def _way(overlay: Overlay, name: str, leaf: str) -> tuple[Pair, ...]:
    if not overlay.has(overlay.wishes[name].root):
        return ()
    tree = overlay.tree(name)
    return tuple(pairwise(tree.chain(leaf))) if leaf in tree.nodes else ()
