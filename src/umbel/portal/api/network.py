"""For operators: draw the network, list its switches, links and rules, add paths.

Without switches of ours (loopback) drawings and paths are refused: `umbel.network_not_programmed`.
"""

from ipaddress import IPv4Address
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from umbel.kit.clock import to_rfc3339
from umbel.network.operator import paths
from umbel.network.operator.explain import ExplainedRule
from umbel.network.operator.inspection import (
    DrawnNetwork,
    LinkLiveness,
    LinkStatus,
    LinkUse,
    PathStatus,
    SwitchStatus,
)
from umbel.network.overlay.intent import StreamIntent
from umbel.network.overlay.spanning import Role
from umbel.network.overlay.streams import Path, Receiver, Stream
from umbel.network.switching.port_map import Side
from umbel.portal import auth
from umbel.portal.api.shapes import Given, NodeName

router = APIRouter(prefix="/api/v1/network", tags=["network"])

Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Mac = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]
StreamName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$",
        description="of the operator's own: events' have an underscore in their names",
    ),
]


class DrawnNode(Given):
    """A node and what it is in the tree."""

    name: NodeName
    role: Role = Role.NONE


class DrawnLink(Given):
    """A link between two drawn nodes."""

    a: NodeName
    b: NodeName


class TopologyIn(Given):
    """What the operator draws: one root, leaves, relays, and links, tree-shaped or not."""

    nodes: Annotated[list[DrawnNode], Field(min_length=1, max_length=2_000)]
    links: Annotated[list[DrawnLink], Field(max_length=20_000)]


class NodeOut(BaseModel):
    """A node of the network; `role` is null where it is not drawn, `parent` is the next node
    towards the root where it is part of the tree."""

    name: str
    role: Role | None
    parent: str | None
    in_tree: bool


class TopologyOut(BaseModel):
    """What is drawn over the network. `tree` are the links that carry streams, as (parent, child);
    `spare` those kept for when one of them is lost; `cut` the drawn nodes that lead to no leaf."""

    programmed: bool
    root: str | None
    nodes: list[NodeOut]
    tree: list[tuple[str, str]]
    spare: list[tuple[str, str]]
    cut: list[str]


class PortOut(BaseModel):
    """A port of a switch; `live` is what failover goes by."""

    number: int
    name: str
    live: bool


class SwitchOut(BaseModel):
    """A node's overlay switch; `datapath_id` in hexadecimal."""

    node: str
    datapath_id: str
    connected: bool
    ports: list[PortOut]


class LinkOut(BaseModel):
    """A link: what it is drawn as, whether packets can go over it, whether a tunnel joins its
    ends, which streams go over it, and their rate in Mbit/s."""

    a: str
    b: str
    mbps: float
    delay_ms: float
    used_mbps: float
    use: LinkUse
    state: LinkLiveness
    tunnel: bool
    streams: list[str]


class At(Given):
    """A UDP destination."""

    address: IPv4Address
    port: Port


class From(Given):
    """Where a stream is sent from, as far as that is known."""

    address: IPv4Address
    port: Port | None = None


class ReceiverIn(Given):
    """Who takes a stream at the leaf: one host, which needs its `mac`, a multicast group, or all
    (255.255.255.255). Without a `port` the stream keeps its own."""

    address: IPv4Address
    mac: Mac | None = None
    port: Port | None = None


class EndIn(Given):
    """Where a path ends."""

    leaf: NodeName
    receiver: ReceiverIn


class PathIn(EndIn):
    """A path of a stream. The stream enters at `root`, from outside or from a process of the node,
    and is sent to `target`, which is allotted when it is not given. A stream may have paths to
    many leaves: then all of this but the end is the same."""

    stream: StreamName
    root: NodeName
    sender: Side = Side.OUTSIDE
    target: At | None = None
    source: From | None = None


class ReceiverOut(BaseModel):
    """Who takes a stream; `kind` is unicast, multicast or broadcast."""

    kind: str
    address: str
    mac: str | None
    port: int | None


class EndOut(BaseModel):
    """Where a path ends."""

    leaf: str
    receiver: ReceiverOut


class SentTo(BaseModel):
    """Where the stream is to be sent."""

    address: str
    port: int


class PathOut(EndOut):
    """A path as it is now: `carried`, or not as it should be, and then why; the links from the
    root on; and where it is being moved to."""

    id: str
    requested_at: str
    stream: str
    root: str
    sender: Side
    target: SentTo
    carried: bool
    error: str
    links: list[tuple[str, str]]
    moving: EndOut | None


class FlowOut(BaseModel):
    """A rule of a switch and what it is for: the stream with the root of its tree, the leaves of
    the paths that lead through the node, the step of the pipeline, and all that in words."""

    node: str
    table: int
    step: str
    priority: int
    match: dict[str, str]
    stream: str | None
    root: str | None
    leaves: list[str]
    explanation: str


@router.get("/topology")
async def get_topology(system: auth.SystemDep, _operator: auth.Operator) -> TopologyOut:
    """Get the drawing: the tree, its spare links, and what is cut off."""
    return _topology(system.network.inspection.picture())


@router.put("/topology")
async def draw_topology(
    system: auth.SystemDep, _operator: auth.Operator, given: TopologyIn
) -> TopologyOut:
    """Set the drawing for streams. A cycle is valid: its heavier link becomes a spare."""
    nodes = [(node.name, node.role) for node in given.nodes]
    links = [(link.a, link.b) for link in given.links]
    return _topology(await system.network.draw(nodes, links))


@router.get("/switches")
async def list_switches(system: auth.SystemDep, _operator: auth.Operator) -> list[SwitchOut]:
    """List every node's switch with its ports. The list is empty where Umbel programs no
    switches."""
    return [_switch(one) for one in system.network.inspection.switches()]


@router.get("/links")
async def list_network_links(system: auth.SystemDep, _operator: auth.Operator) -> list[LinkOut]:
    """List every link: tree or spare, up or down, and the streams over it."""
    used = {frozenset((one.a, one.b)): one.used_mbps for one in await system.delivery.links()}
    return [_link(one, used) for one in system.network.inspection.links()]


@router.get("/flows")
async def list_flows(
    system: auth.SystemDep,
    _operator: auth.Operator,
    node: Annotated[str, Query(max_length=64, description="of this node's switch alone")] = "",
) -> list[FlowOut]:
    """Every rule the switches hold, explained."""
    return [_flow(one) for one in system.network.inspection.flows(node, system.edge.snapshot)]


@router.get("/paths")
async def list_paths(system: auth.SystemDep, _operator: auth.Operator) -> list[PathOut]:
    """List every path, the oldest first."""
    return [_path(one) for one in await system.network.paths()]


@router.post("/paths", status_code=201)
async def add_path(system: auth.SystemDep, _operator: auth.Operator, given: PathIn) -> PathOut:
    """Route a stream from the root to a receiver at a leaf. Without a path its packets are
    dropped."""
    stream = Stream(
        name=given.stream,
        number=0,
        target=str(given.target.address) if given.target else "",
        port=given.target.port if given.target else 0,
        source=str(given.source.address) if given.source else "",
        source_port=(given.source.port or 0) if given.source else 0,
    )
    intent = StreamIntent(stream=stream, root=given.root, sender=given.sender)
    return _path(await system.network.add(intent, _end(given)))


@router.get("/paths/{path_id}")
async def get_path(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> PathOut:
    """One path."""
    return _path(await system.network.path(path_id))


@router.delete("/paths/{path_id}", status_code=204)
async def remove_path(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> None:
    """Delete the path. The packets of a stream without paths are dropped."""
    await system.network.remove(path_id)


@router.post("/paths/{path_id}/move")
async def move_leaf(
    system: auth.SystemDep, _operator: auth.Operator, path_id: str, given: EndIn
) -> PathOut:
    """Start a move: until commit or abort another receiver, at any leaf, also gets the stream."""
    return _path(await system.network.prepare(path_id, _end(given)))


@router.post("/paths/{path_id}/move/commit")
async def commit_move(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> PathOut:
    """Commit the move: the old receiver no longer gets the stream."""
    return _path(await system.network.commit(path_id))


@router.post("/paths/{path_id}/move/abort")
async def abort_move(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> PathOut:
    """Abort the move: the path stays as it was."""
    return _path(await system.network.abort(path_id))


def _end(given: EndIn) -> Path:
    of = given.receiver
    receiver = Receiver(address=str(of.address), mac=of.mac or "", port=of.port or 0)
    return Path(leaf=given.leaf, receiver=receiver)


def _topology(of: DrawnNetwork) -> TopologyOut:
    tree = of.tree
    parents = dict(tree.parents) if tree is not None else {}
    nodes = [
        NodeOut(
            name=name,
            role=of.drawing.roles.get(name),
            parent=parents.get(name),
            in_tree=tree is not None and name in tree.nodes,
        )
        for name in of.topology.nodes
    ]
    return TopologyOut(
        programmed=of.programmed,
        root=tree.root if tree is not None else None,
        nodes=nodes,
        tree=list(tree.links) if tree is not None else [],
        spare=list(tree.redundant) if tree is not None else [],
        cut=list(tree.cut) if tree is not None else [],
    )


def _switch(of: SwitchStatus) -> SwitchOut:
    ports = [PortOut(number=one.number, name=one.name, live=one.live) for one in of.ports]
    return SwitchOut(
        node=of.node, datapath_id=f"{of.datapath_id:016x}", connected=of.connected, ports=ports
    )


def _link(of: LinkStatus, used: dict[frozenset[str], float]) -> LinkOut:
    link = of.link
    return LinkOut(
        a=link.a,
        b=link.b,
        mbps=link.mbps,
        delay_ms=link.delay_ms,
        used_mbps=used.get(frozenset((link.a, link.b)), 0.0),
        use=of.use,
        state=of.liveness,
        tunnel=of.tunnel,
        streams=list(of.streams),
    )


def _path(of: PathStatus) -> PathOut:
    request, end = of.request, _told(of.request.path)
    return PathOut(
        id=request.id,
        requested_at=to_rfc3339(request.at_s),
        stream=of.stream.name,
        root=request.intent.root,
        sender=request.intent.sender,
        target=SentTo(address=of.stream.target, port=of.stream.port),
        leaf=end.leaf,
        receiver=end.receiver,
        carried=not of.problems,
        error="; ".join(of.problems),
        links=list(of.links),
        moving=_told(of.moving) if of.moving else None,
    )


def _told(path: Path) -> EndOut:
    of = path.receiver or Receiver(address="0.0.0.0")  # noqa: S104 -- nobody
    return EndOut(
        leaf=path.leaf,
        receiver=ReceiverOut(
            kind=paths.kind_of(of),
            address=of.address,
            mac=of.ethernet or None,
            port=of.port or None,
        ),
    )


def _flow(of: ExplainedRule) -> FlowOut:
    return FlowOut(
        node=of.node,
        table=of.rule.table,
        step=of.step,
        priority=of.rule.priority,
        match={name.value: str(value) for name, value in of.rule.match},
        stream=of.stream or None,
        root=of.root or None,
        leaves=list(of.leaves),
        explanation=of.text,
    )
