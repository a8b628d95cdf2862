"""Delivery in memory: a small network with room for a few viewers, no media behind it.

It keeps the promises of `portal.ports` for real: capacity is counted, trees grow and shrink with
the sessions, events open by ingest and close by their end. What it lacks is anything that runs.
"""

from dataclasses import dataclass, field

from umbel.catalogue.model import Event, EventEvent, EventOver, EventState
from umbel.catalogue.service import Catalogue
from umbel.catalogue.visibility.model import WatchRight
from umbel.delivery.model import (
    Branch,
    FunctionStatus,
    IngestPoint,
    LinkStatus,
    Session,
    StreamStatus,
    Ticket,
    Tree,
)
from umbel.delivery.thumbnails import NoThumbnail
from umbel.delivery.trees import renditions
from umbel.kit.clock import Clock
from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, Unavailable
from umbel.kit.ids import new_id
from umbel.kit.tokens import VIEWER, Claims, Signer
from umbel.media.model import Thumbnail

WATCHABLE = {EventState.OPEN, EventState.LIVE}
HEIGHT = 720
NODES = {"pe1": "127.0.1.1", "c1": "127.0.2.1", "pe4": "127.0.4.1"}


class NoSuchSession(NotFound):
    """No session has that id."""

    code = "umbel.no_such_session"


class NoSuchNode(NotFound):
    """No node has that name."""

    code = "umbel.no_such_node"


class EventNotOpen(Conflict):
    """The event is not open yet, or no more."""

    code = "umbel.event_not_open"


class NoCapacity(Exhausted):
    """No edge has room for another viewer."""

    code = "umbel.no_capacity"


class MalformedSdp(Invalid):
    """The description is not SDP."""

    code = "umbel.malformed_sdp"


@dataclass
class MemoryDelivery:
    """Sessions and trees in dictionaries; `places` is how many viewers an edge takes, `down`
    whether the acquirers' node is away."""

    catalogue: Catalogue
    signer: Signer
    clock: Clock
    places: int = 100
    down: bool = False
    ttl_s: float = 3600.0
    sessions: dict[str, Session] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)

    async def open_session(
        self,
        event_id: str,
        access_node: str,
        quality: str = renditions.SOURCE,
        right: WatchRight = WatchRight(),
    ) -> Ticket:
        stream = renditions.stream_of(event_id, quality)
        event = await self.catalogue.event(event_id)
        if access_node not in NODES:
            raise NoSuchNode(node=access_node)
        if event.state not in WATCHABLE:
            raise EventNotOpen(event=event_id, state=event.state.value)
        if sum(s.edge_node == access_node for s in self.sessions.values()) >= self.places:
            raise NoCapacity(node=access_node)
        renditions.check_codec(stream, vp8=event.vp8)
        renditions.check(stream, HEIGHT)
        now_s = self.clock.now_s()
        session = Session(
            id=new_id("se"),
            stream=stream,
            access_node=access_node,
            function=f"edge-{access_node}-1",
            edge_node=access_node,
            opened_s=now_s,
            seen_s=now_s,
            expires_s=now_s + self.ttl_s,
            username=right.username,
            phrase_generation=right.phrase_generation,
        )
        self.sessions[session.id] = session
        claims = Claims(subject=session.id, scope=stream, expires_s=session.expires_s)
        base = f"http://{NODES[access_node]}:8080"
        return Ticket(
            session=session,
            whep=f"{base}/whep/{stream}",
            hls=None if quality == renditions.VP8 else f"{base}/hls/{stream}/index.m3u8",
            hls_subtitled=None
            if quality == renditions.VP8
            else f"{base}/hls/{stream}/subtitled.m3u8",
            token=self.signer.sign(claims, VIEWER),
        )

    async def session(self, session_id: str) -> Session:
        try:
            return self.sessions[session_id]
        except KeyError:
            raise NoSuchSession(session=session_id) from None

    async def close_session(self, session_id: str) -> None:
        await self.session(session_id)
        del self.sessions[session_id]

    async def thumbnail(self, event_id: str) -> Thumbnail:
        event = await self.catalogue.event(event_id)
        if event.state is not EventState.LIVE:
            raise NoThumbnail
        return Thumbnail(jpeg=b"\xff\xd8\xff" + event_id.encode(), age_s=1.0)

    async def known_access_node(self, client_ip: str) -> str:
        return {"127.0.1.9": "pe1"}.get(client_ip, "")

    async def access_node_for(self, client_ip: str) -> str:
        return await self.known_access_node(client_ip) or "pe4"

    async def open_ingest(
        self, event_id: str, sources: tuple[str, ...] | None = None
    ) -> IngestPoint:
        event = await self.catalogue.event(event_id)
        if self.down:
            raise Unavailable
        if event.is_over:
            raise EventOver(event=event_id)
        if event.state is EventState.SCHEDULED:
            await self.catalogue.transition(event_id, EventEvent.OPEN)
        provider = await self.catalogue.provider(event.provider_id)
        if sources is not None:
            self.sources[event_id] = sources
        self.roots[event_id] = provider.access_node
        self.keys[event_id] = await self.catalogue.key_hashes(event_id)
        address = NODES[provider.access_node]
        return IngestPoint(
            event_id=event_id,
            node=provider.access_node,
            function=f"acquirer-{provider.access_node}-1",
            urls={
                "rtmp": f"rtmp://{address}:1935/live",
                "srt": f"srt://{address}:9000",
                "whip": f"http://{address}:8080/whip/{event_id}",
                "rtp": f"{address}:5004",
                "mpegts": f"{address}:5006",
            },
            sources=self.sources.get(event_id, ()),
        )

    async def describe_rtp(self, event_id: str, sdp: str) -> str:
        if not sdp.startswith("v=0"):
            raise MalformedSdp(line=1, text=sdp.partition("\n")[0][:80])
        point = await self.open_ingest(event_id)
        address, port = point.urls["rtp"].split(":")
        return f"v=0\r\nc=IN IP4 {address}\r\nm=video {port} RTP/AVP 96\r\n"

    async def stream(self, event: Event) -> StreamStatus | None:
        if event.id not in self.roots:
            return None
        viewers = sum(renditions.event_of(s.stream) == event.id for s in self.sessions.values())
        live = event.state is EventState.LIVE
        return StreamStatus(
            stream=event.id,
            flowing=live,
            height=HEIGHT,
            viewers=viewers,
            qualities=renditions.offered(HEIGHT, vp8=event.vp8),
        )

    async def end(self, event_id: str) -> None:
        self.roots.pop(event_id, None)
        self.keys.pop(event_id, None)
        self.sessions = {k: s for k, s in self.sessions.items() if s.stream != event_id}

    async def tree(self, event_id: str, quality: str = renditions.SOURCE) -> Tree:
        stream = renditions.stream_of(event_id, quality)
        edges = sorted({s.edge_node for s in self.sessions.values() if s.stream == stream})
        role = "acquirer" if stream == event_id else "transcoder"
        node = self.roots.get(event_id) if stream == event_id else next(iter(edges), None)
        if node is None:
            return Tree(stream=stream)
        root = Branch(function=f"{role}-{node}-1", role=role, node=node)
        leaves = [
            Branch(function=f"edge-{n}-1", role="edge", node=n, parent=root.function) for n in edges
        ]
        return Tree(stream=stream, branches=(root, *leaves))

    async def links(self) -> list[LinkStatus]:
        return [LinkStatus(a="pe1", b="c1", mbps=1000.0, used_mbps=0.0, a_sends_mbps=2.5)]

    async def functions(self) -> list[FunctionStatus]:
        trees = [await self.tree(event) for event in self.roots]
        return [
            FunctionStatus(
                owner="delivery",
                id=branch.function,
                role=branch.role,
                node=branch.node,
                state="active",
                address=NODES[branch.node],
                cpu_cores=0.0,
                rss_mb=0.0,
                streams=(tree.stream,),
                viewers=sum(s.function == branch.function for s in self.sessions.values()),
                mbps_out=0.0,
            )
            for tree in trees
            for branch in tree.branches
        ]


@dataclass
class MemoryReplayEdges:
    """A ReplayPlacing: one edge at each of the `edges`' nodes, by its base URL. `opened` are the
    viewers, by grant and access node."""

    edges: dict[str, str] = field(default_factory=dict)
    opened: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: int = 0

    async def find(self, grant_id: str, access_node: str) -> str:
        return self.opened.get((grant_id, access_node), "")

    async def viewers(self) -> dict[str, int]:
        return {"edge-pe4-1": len(self.opened)} if self.opened else {}

    async def open(self, grant_id: str, capture_id: str, access_node: str, mbps: float) -> str:
        assert capture_id
        assert mbps > 0
        self.asked += 1
        if access_node not in NODES:
            raise NoSuchNode(node=access_node)
        base = self.edges.get(access_node, "")
        if base:
            self.opened[grant_id, access_node] = base
        return base
