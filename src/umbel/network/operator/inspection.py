"""The network as it is now: what is drawn, switches, links, rules, and how paths fare. Reads only.

In: the network's topology and the fabric, which may have no switches (loopback). Out: values, for
those who ask the fabric for something (northbound) and the REST API.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

from umbel.network.edge.compiler import Borders
from umbel.network.events import Watch
from umbel.network.model import Link, Pair, Topology, pair
from umbel.network.operator import explain
from umbel.network.operator.explain import Explained
from umbel.network.operator.model import AskedPath
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.spanning import Drawing, SpanningTree
from umbel.network.overlay.streams import Path, Stream
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.program import Program
from umbel.network.topology.paths import NotInTopology
from umbel.network.topology.sites import Site

_NO_BORDERS = Borders()
_NOT_RESTORED = "it could not be asked for again after a restart: remove it and ask anew"


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


@dataclass(frozen=True)
class Inspection:
    """Looks at the network; at nothing but its topology where no fabric is programmed."""

    topology: Topology
    fabric: Switches | None

    def picture(self) -> Picture:
        """The drawn network."""
        if self.fabric is None:
            bare = Drawing(roles={}, links=())
            return Picture(programmed=False, drawing=bare, topology=self.topology, tree=None)
        overlay = self.fabric.overlay
        return Picture(
            programmed=True,
            drawing=overlay.ground.drawing,
            topology=self.topology,
            tree=overlay.drawn(),
        )

    def switches(self) -> tuple[SwitchState, ...]:
        """Every site's switch; none where the fabric has none."""
        if self.fabric is None:
            return ()
        connected = self.fabric.connected()
        return tuple(
            SwitchState(
                node=node,
                datapath_id=site.datapath_id,
                connected=node in connected,
                ports=tuple(sorted(self.fabric.ports(node), key=lambda port: port.number)),
            )
            for node, site in self.fabric.sites.items()
        )

    def links(self) -> tuple[LinkState, ...]:
        """Every link of the network, drawn or not."""
        uses, streams = _uses(self.picture()), self._streams_by_link()
        return tuple(
            LinkState(
                link=link,
                use=uses.get(ends, LinkUse.UNDRAWN),
                life=self._life(ends),
                tunnel=self._has_tunnel(ends),
                streams=tuple(sorted(streams.get(ends, ()))),
            )
            for link in self.topology.links
            for ends in [pair(link.a, link.b)]
        )

    def way(self, stream: str) -> tuple[Pair, ...]:
        """The links that a stream goes over now, as (from, to), nearest the root first; none where
        the network is not programmed."""
        overlay = self.fabric.overlay if self.fabric is not None else None
        return overlay.used(stream) if overlay is not None and overlay.carries(stream) else ()

    def flows(self, node: str = "", borders: Borders = _NO_BORDERS) -> tuple[Explained, ...]:
        """Every rule that switches hold, or those of one node, in words. Raises NotInTopology."""
        if node and node not in self.topology.nodes:
            raise NotInTopology(f"The network has no node {node}", node=node)
        fabric = self.fabric
        if fabric is None:
            return ()
        asked, found = explain.asked(fabric.overlay, borders), list[Explained]()
        for name in fabric.sites:
            held, plugs = fabric.held(name), fabric.plugs.get(name, Plugs())
            if node in ("", name) and held is not None:
                found += explain.explain(name, held, plugs, asked)
        return tuple(found)

    def path(self, asked: AskedPath) -> PathState:
        """How a path that was asked for fares."""
        fabric, name = self.fabric, asked.wish.stream.name
        if fabric is None or name not in fabric.overlay.wishes:
            why = ("the network is not programmed now" if fabric is None else _NOT_RESTORED,)
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
            problems=_problems(fabric, name, asked.path.leaf),
            moving=Path(leaf=move.target, receiver=move.coming) if move and is_ours else None,
        )

    def _streams_by_link(self) -> dict[Pair, set[str]]:
        found: dict[Pair, set[str]] = {}
        overlay = self.fabric.overlay if self.fabric is not None else None
        for name, wish in overlay.wishes.items() if overlay is not None else ():
            if overlay is not None and overlay.has(wish.root):
                for link in overlay.used(name):
                    found.setdefault(pair(*link), set()).add(name)
        return found

    def _has_tunnel(self, ends: Pair) -> bool:
        if self.fabric is None:
            return False
        a, b = ends
        plugs, bare = self.fabric.plugs, Plugs()
        return b in plugs.get(a, bare).toward and a in plugs.get(b, bare).toward

    def _life(self, ends: Pair) -> LinkLife:
        if self.fabric is not None and ends in self.fabric.overlay.ground.dead:
            return LinkLife.DOWN
        return LinkLife.UP if self._has_tunnel(ends) else LinkLife.UNWATCHED


def _uses(picture: Picture) -> Mapping[Pair, LinkUse]:
    """What the drawn links are; others are not drawn."""
    uses = {pair(*link): LinkUse.CUT for link in picture.drawing.links}
    if picture.tree is not None:
        uses |= {pair(*link): LinkUse.SPARE for link in picture.tree.redundant}
        uses |= {pair(*link): LinkUse.TREE for link in picture.tree.links}
    return uses


def _problems(fabric: Switches, name: str, leaf: str) -> tuple[str, ...]:
    """What keeps a stream from a leaf: its problems but for those of its other leaves alone."""
    overlay, wish = fabric.overlay, fabric.overlay.wishes[name]
    if wish.refused:
        return (wish.refused,)
    told = fabric.problems.get(name, ())
    if not overlay.carries(name):
        return told
    by_leaf = {one: overlay.obstacles(name, one, fabric.plugs) for one in wish.leaves}
    here = by_leaf.pop(leaf, ())
    elsewhere = {problem for problems in by_leaf.values() for problem in problems}
    return tuple(problem for problem in told if problem in here or problem not in elsewhere)


def _way(overlay: Overlay, name: str, leaf: str) -> tuple[Pair, ...]:
    if not overlay.has(overlay.wishes[name].root):
        return ()
    tree = overlay.tree(name)
    return tuple(pairwise(tree.chain(leaf))) if leaf in tree.depths else ()
