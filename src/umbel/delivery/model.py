"""What delivery talks about: trees, sessions and how a provider gets in.

Other domains' things appear by their plain ids; translation is delivery's own work. Trees and
sessions are a stream's: the event's id names its source, `renditions` the smaller ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from umbel.catalogue.visibility.model import WatchRight
from umbel.compute.model import DEFAULT_POOL, HostUsage, NodeKind, NodeState, Resources

RECORDER = "recorder"
"""The role of a leaf that records the stream."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One function of a tree. `parent` is the function it takes the stream from; the root has
    none. `role` is one of acquirer, forwarder, transcoder, edge, recorder. While an edge is being
    replaced, `replaced_by` is the one that takes over its viewers. Since `idle_since_s` an edge has
    no viewers; for a recorder, which has no parent then, the stream is over."""

    function: str
    role: str
    node: str
    parent: str = ""
    idle_since_s: float | None = None
    replaced_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What carries one stream: its functions, root first. Empty before ingest and after the end,
    and a rendition's while nobody watches it. Recorders that have no parent any more wait until
    what they have was pulled."""

    stream: str
    branches: tuple[Branch, ...] = ()
    version: int = field(default=0, compare=False)

    @property
    def root(self) -> Branch | None:
        """The acquirer's branch, or a rendition's transcoder."""
        return next((b for b in self.branches if not b.parent and b.role != RECORDER), None)

    def children(self, function: str) -> Iterator[Branch]:
        """The branches fed by `function`."""
        return (b for b in self.branches if b.parent == function)

    def branch(self, function: str) -> Branch | None:
        """The branch of that function."""
        return next((b for b in self.branches if b.function == function), None)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Who wants to watch a stream, from where, and what lets them in."""

    stream: str
    access_node: str
    right: WatchRight


@dataclass(frozen=True, kw_only=True)
class Session:
    """One viewer's right to watch one stream at one edge. What let them into an event that is not
    for everybody: the account `username`, or a `phrase_generation`, as catalogue's WatchRight."""

    id: str
    stream: str
    access_node: str
    function: str
    edge_node: str
    opened_s: float
    seen_s: float
    expires_s: float
    username: str = ""
    phrase_generation: str = ""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a viewer gets: where to watch and the token that opens it.

    The URLs of HLS carry the token already, because players cannot add a header. VP8 has none.
    `hls_subtitled` is later, and has captions where the event has some.
    """

    session: Session
    whep: str
    hls: str | None
    hls_subtitled: str | None
    token: str

    @classmethod
    def of(cls, session: Session, urls: Mapping[str, str], token: str) -> Self:
        """With the edge's URLs by protocol."""
        opened = {name: f"{url}?token={token}" for name, url in urls.items()}
        return cls(
            session=session,
            whep=urls["whep"],
            hls=opened.get("hls"),
            # An edge that started before an update has none.
            hls_subtitled=opened.get("hls_subtitled"),
            token=token,
        )


@dataclass(frozen=True, kw_only=True)
class RecorderAt:
    """Where a stream's segments are pulled now: by the function's life there. `is_over`: nothing is
    added to what it has. The token is never logged."""

    stream: str
    function: str
    node: str
    url: str
    token: str = field(repr=False)
    is_over: bool = False


@dataclass(frozen=True, kw_only=True)
class IngestPoint:
    """Where an encoder pushes: URLs by protocol (`rtmp`, `srt`, `whip`) and ADDRESS:PORT texts
    (`rtp`, `mpegts`)."""

    event_id: str
    node: str
    function: str
    urls: Mapping[str, str]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """What an event's acquirer has to know, also a restarted one: the SDP of a described RTP
    publisher (empty: there is none), the ports that encoders know, and the addresses and prefixes
    from which RTP and MPEG-TS are taken (none: the first host that sends publishes)."""

    rtp_offer: str = ""
    ports: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()


class NodeAvailability(StrEnum):
    """Whether functions are placed on a node. LOST: its VIM does not answer, or functions fail
    there again and again. DRAINED: nothing is left of a DRAINING node's functions and viewers."""

    READY = "ready"
    CORDONED = "cordoned"
    DRAINING = "draining"
    DRAINED = "drained"
    STANDBY = "standby"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """A node with what is used of it. CPU in cores, memory in MiB, rate in Mbit/s. `watts` follow
    from the operator's figures for the node, else from the planner's power model under a policy
    that saves power; None without either. `promised` is what each owner uses or was promised;
    `functions` run there, and its edges serve `viewers`; what a draining one still carries at
    `evict_at_s` is ended. `host` is what all that runs on its machine uses of it; None where it is
    not measured."""

    name: str
    kind: NodeKind
    address: str
    cores: float
    cores_used: float
    memory_mb: float
    memory_used_mb: float
    mbps: float
    mbps_used: float
    pool: str = DEFAULT_POOL
    state: NodeAvailability = NodeAvailability.READY
    power: NodeState = NodeState.ACTIVE
    evict_at_s: float | None = None
    functions: tuple[str, ...] = ()
    viewers: int = 0
    promised: Mapping[str, Resources] = field(default_factory=dict)
    watts: float | None = None
    host: HostUsage | None = None


@dataclass(frozen=True, kw_only=True)
class LinkStatus:
    """A link with the streams' rate over it, in Mbit/s; what switches count that `a` and `b` send
    over it, foreign packets included (None where no switch counts); and how much of that is
    `foreign_mbps`, beyond what is measured of the streams."""

    a: str
    b: str
    mbps: float
    used_mbps: float
    a_sends_mbps: float | None = None
    b_sends_mbps: float | None = None
    foreign_mbps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FunctionStatus:
    """A function with what it carries. `role` is its description's name; other owners' functions
    have others than delivery's."""

    id: str
    owner: str
    role: str
    node: str
    state: str
    address: str
    cpu_cores: float
    rss_mb: float
    streams: tuple[str, ...]
    viewers: int
    mbps_out: float
    is_suspended: bool = False


@dataclass(frozen=True, kw_only=True)
class StreamStatus:
    """How an event's stream does: what comes in, and who watches, in all `qualities` on offer.
    `key_interval_s`: seconds between the key pictures that come in, `fps`: pictures a second, each
    0 while it is not known. `packet_loss` and `frame_loss` are shares, from 0 to 1, of the last
    seconds: lost on the way from the encoder, and left out by it."""

    stream: str
    flowing: bool
    protocol: str = ""
    video: str = ""
    audio: str = ""
    width: int = 0
    height: int = 0
    transcoding: str = ""
    error: str = ""
    mbps: float = 0.0
    viewers: int = 0
    qualities: tuple[str, ...] = ()
    key_interval_s: float = 0.0
    fps: float = 0.0
    packet_loss: float = 0.0
    frame_loss: float = 0.0
