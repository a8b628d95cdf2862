"""The JSON shapes of the drawn network (network.py), and how they are built from its values."""

from ipaddress import IPv4Address
from typing import Annotated

from pydantic import BaseModel, Field

from umbel.kit.clock import to_rfc3339
from umbel.network.service import (
    DrawnNetwork,
    ExplainedRule,
    LinkLiveness,
    LinkStatus,
    LinkUse,
    Path,
    PathStatus,
    PipelineStep,
    Receiver,
    ReceiverKind,
    Role,
    Side,
    SwitchStatus,
)
from umbel.portal.api.shapes import Given, NodeName

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
    """The receiver: one host, the hosts of a group, or all."""

    kind: ReceiverKind
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
    root on; and where it is being moved to. A `notice` says what to do where it is carried and
    nothing has come from its sender."""

    id: str
    requested_at: str
    stream: str
    root: str
    sender: Side
    target: SentTo
    carried: bool
    error: str
    notice: str
    links: list[tuple[str, str]]
    moving: EndOut | None


class FlowOut(BaseModel):
    """A rule of a switch and what it is for: the stream with the root of its tree, the leaves of
    the paths that lead through the node, the step of the pipeline, and all that in words."""

    node: str
    table: int
    step: PipelineStep
    priority: int
    match: dict[str, str]
    stream: str | None
    root: str | None
    leaves: list[str]
    explanation: str


def path_end(given: EndIn) -> Path:
    """Where a path shall end."""
    of = given.receiver
    receiver = Receiver(address=str(of.address), mac=of.mac or "", port=of.port or 0)
    return Path(leaf=given.leaf, receiver=receiver)


def topology(of: DrawnNetwork) -> TopologyOut:
    """The drawn network."""
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


def switch(of: SwitchStatus) -> SwitchOut:
    """A switch with its ports."""
    ports = [PortOut(number=one.number, name=one.name, live=one.live) for one in of.ports]
    return SwitchOut(
        node=of.node, datapath_id=f"{of.datapath_id:016x}", connected=of.connected, ports=ports
    )


def link(of: LinkStatus, used: dict[frozenset[str], float]) -> LinkOut:
    """A link; `used` is the rate in Mbit/s by the two ends."""
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


def path(of: PathStatus) -> PathOut:
    """A path with its stream."""
    request, end = of.request, _end_out(of.request.path)
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
        notice=of.notice,
        links=list(of.links),
        moving=_end_out(of.moving) if of.moving else None,
    )


def _end_out(path: Path) -> EndOut:
    of = path.receiver or Receiver(address="0.0.0.0")  # noqa: S104 -- no host
    return EndOut(
        leaf=path.leaf,
        receiver=ReceiverOut(
            kind=of.kind,
            address=of.address,
            mac=of.ethernet or None,
            port=of.port or None,
        ),
    )


def flow(of: ExplainedRule) -> FlowOut:
    """An explained rule."""
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
