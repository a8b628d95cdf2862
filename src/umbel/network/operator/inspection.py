"""The network as it is now: what is drawn, switches, links, rules, and how paths fare. Reads only.

In: the network's topology and the fabric, which may have no switches (loopback). Out: values, for
those who ask the fabric for something (northbound) and the REST API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from umbel.network.edge.compiler import EdgeState
from umbel.network.model import Link, Pair, Topology, TopologySource, pair
from umbel.network.operator import explain
from umbel.network.operator.explain import ExplainedRule
from umbel.network.operator.model import PathRequest
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.spanning import Drawing, SpanningTree
from umbel.network.overlay.streams import Path, Stream
from umbel.network.ports import ProgrammableFabric, SwitchState
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.signals import Port
from umbel.network.topology.paths import NotInTopology

_NO_BORDERS = EdgeState()
_NOT_CARRIED = "a switch refused it; it is tried again"
_NOT_RESTORED = "it could not be restored after a restart: remove it and add it again"


class LinkUse(StrEnum):
    """What a link is in the drawn network: part of the tree, a spare of it, drawn but leading to no
    leaf, or not drawn."""

    TREE = "tree"
    SPARE = "spare"
    CUT = "cut"
    UNDRAWN = "undrawn"


class LinkLiveness(StrEnum):
    """Whether packets can go over a link, as its tunnel reports; unwatched without a tunnel."""

    UP = "up"
    DOWN = "down"
    UNWATCHED = "unwatched"


@dataclass(frozen=True, kw_only=True)
class DrawnNetwork:
    """What is drawn, over what there is. `tree` is None where no root is drawn, or where the
    network is not `programmed` by us."""

    programmed: bool
    drawing: Drawing
    topology: Topology
    tree: SpanningTree | None


@dataclass(frozen=True, kw_only=True)
class SwitchStatus:
    """A node's overlay switch."""

    node: str
    datapath_id: int
    connected: bool
    ports: tuple[Port, ...]


@dataclass(frozen=True, kw_only=True)
class LinkStatus:
    """A link, and which streams go over it now."""

    link: Link
    use: LinkUse
    liveness: LinkLiveness
    tunnel: bool
    streams: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PathStatus:
    """A path that was asked for: the stream with its address, the links it goes over now from the
    root on, what keeps it from being carried, and where it is being moved to. `notice`: nothing has
    come from its sender yet, and what may be missing for that."""

    request: PathRequest
    stream: Stream
    links: tuple[Pair, ...]
    problems: tuple[str, ...]
    moving: Path | None
    notice: str = ""


@dataclass(frozen=True)
class Inspection:
    """Looks at the network; at nothing but its topology where no fabric is programmed. `unreached`
    says why paths' receivers get nothing, and `unsent` why nothing may have come, by path."""

    topology: TopologySource
    fabric: ProgrammableFabric | None
    unreached: Mapping[str, str] = field(default_factory=dict)
    unsent: Mapping[str, str] = field(default_factory=dict)

    def picture(self) -> DrawnNetwork:
        """The drawn network."""
        if self.fabric is None:
            bare = Drawing(roles={}, links=())
            return DrawnNetwork(programmed=False, drawing=bare, topology=self.topology(), tree=None)
        overlay = self.fabric.overlay
        return DrawnNetwork(
            programmed=True,
            drawing=overlay.link_state.drawing,
            topology=self.topology(),
            tree=overlay.drawn(),
        )

    def switches(self) -> tuple[SwitchStatus, ...]:
        """Every site's switch; none where the fabric has none."""
        if self.fabric is None:
            return ()
        states, bare = self.fabric.observed.switches, SwitchState()
        return tuple(
            SwitchStatus(
                node=node,
                datapath_id=site.datapath_id,
                connected=state.connected,
                ports=tuple(sorted(state.ports, key=lambda port: port.number)),
            )
            for node, site in self.fabric.sites.items()
            for state in [states.get(node, bare)]
        )

    def links(self) -> tuple[LinkStatus, ...]:
        """Every link of the network, drawn or not."""
        uses, streams = _uses(self.picture()), self._streams_by_link()
        fabric = self.fabric
        port_maps = {} if fabric is None else fabric.observed.port_maps
        dead = frozenset() if fabric is None else fabric.overlay.link_state.dead
        return tuple(
            LinkStatus(
                link=link,
                use=uses.get(ends, LinkUse.UNDRAWN),
                liveness=_liveness(has_tunnel=has_tunnel, is_dead=ends in dead),
                tunnel=has_tunnel,
                streams=tuple(sorted(streams.get(ends, ()))),
            )
            for link in self.topology().links
            for ends in [pair(link.a, link.b)]
            for has_tunnel in [_has_tunnel(port_maps, ends)]
        )

    def links_of(self, stream: str) -> tuple[Pair, ...]:
        """The links that a stream goes over now, as (from, to), nearest the root first; none where
        the network is not programmed."""
        overlay = self.fabric.overlay if self.fabric is not None else None
        return overlay.used(stream) if overlay is not None and overlay.carries(stream) else ()

    def flows(self, node: str = "", edge: EdgeState = _NO_BORDERS) -> tuple[ExplainedRule, ...]:
        """Every rule that switches hold, or those of one node, in words. Raises NotInTopology."""
        if node and node not in self.topology().nodes:
            raise NotInTopology(f"The network has no node {node}", node=node)
        fabric = self.fabric
        if fabric is None:
            return ()
        request, found = explain.index(fabric.overlay, edge), list[ExplainedRule]()
        observed = fabric.observed
        for name, state in observed.switches.items():
            port_map = observed.port_maps.get(name, PortMap())
            if node in ("", name) and state.held is not None:
                found += explain.explain(name, state.held, port_map, request)
        return tuple(found)

    def path(self, request: PathRequest) -> PathStatus:
        """How a path that was asked for fares."""
        fabric, name = self.fabric, request.intent.stream.name
        if fabric is None or name not in fabric.overlay.intents:
            why = ("the network is not programmed now" if fabric is None else _NOT_RESTORED,)
            return PathStatus(
                request=request, stream=request.intent.stream, links=(), problems=why, moving=None
            )
        overlay, intent = fabric.overlay, fabric.overlay.intents[name]
        move = intent.move
        unreached = self.unreached.get(request.id)
        is_ours = move and Path(leaf=move.source, receiver=move.leaving) == request.path
        return PathStatus(
            request=request,
            stream=intent.stream,
            links=_path_links(overlay, name, request.path.leaf),
            problems=(*_problems(fabric, name, request.path), *([unreached] if unreached else [])),
            moving=Path(leaf=move.target, receiver=move.coming) if move and is_ours else None,
            notice=self.unsent.get(request.id, ""),
        )

    def _streams_by_link(self) -> dict[Pair, set[str]]:
        found: dict[Pair, set[str]] = {}
        overlay = self.fabric.overlay if self.fabric is not None else None
        for name, intent in overlay.intents.items() if overlay is not None else ():
            if overlay is not None and overlay.has(intent.root):
                for link in overlay.used(name):
                    found.setdefault(pair(*link), set()).add(name)
        return found


def _has_tunnel(port_maps: Mapping[str, PortMap], ends: Pair) -> bool:
    (a, b), bare = ends, PortMap()
    return b in port_maps.get(a, bare).tunnel_ports and a in port_maps.get(b, bare).tunnel_ports


def _liveness(*, has_tunnel: bool, is_dead: bool) -> LinkLiveness:
    if is_dead:
        return LinkLiveness.DOWN
    return LinkLiveness.UP if has_tunnel else LinkLiveness.UNWATCHED


def _uses(picture: DrawnNetwork) -> Mapping[Pair, LinkUse]:
    """What the drawn links are; others are not drawn."""
    uses = {pair(*link): LinkUse.CUT for link in picture.drawing.links}
    if picture.tree is not None:
        uses |= {pair(*link): LinkUse.SPARE for link in picture.tree.redundant}
        uses |= {pair(*link): LinkUse.TREE for link in picture.tree.links}
    return uses


def _problems(fabric: ProgrammableFabric, name: str, path: Path) -> tuple[str, ...]:
    """What keeps a stream from a path's leaf: its problems but for those of its others alone."""
    overlay, intent = fabric.overlay, fabric.overlay.intents[name]
    if intent.refused:
        return (intent.refused,)
    if path not in intent.paths:
        return (intent.rejected or _NOT_CARRIED,)
    observed = fabric.observed
    reported = tuple(one for one in observed.problems.get(name, ()) if one != intent.rejected)
    if not overlay.carries(name):
        return reported
    by_leaf = {one: overlay.obstacles(name, one, observed.port_maps) for one in intent.leaves}
    here = by_leaf.pop(path.leaf, ())
    elsewhere = {problem for problems in by_leaf.values() for problem in problems}
    if not here:
        elsewhere.add(overlay.held_back(name))
    return tuple(problem for problem in reported if problem in here or problem not in elsewhere)


def _path_links(overlay: Overlay, name: str, leaf: str) -> tuple[Pair, ...]:
    if not overlay.has(overlay.intents[name].root):
        return ()
    tree = overlay.tree(name)
    return tuple(pairwise(tree.chain(leaf))) if leaf in tree.depths else ()
