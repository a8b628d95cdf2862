"""The door to delivery: ingest points, viewers' sessions, and what the trees look like now.

Writes what is wanted, wakes the controller, and waits until the way is laid. Neighbours: the portal
above; catalogue, compute, network and media below, which meet only here.
"""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from umbel.catalogue.model import Event, EventEvent, EventState
from umbel.catalogue.service import Catalogue
from umbel.catalogue.visibility.model import WatchRight
from umbel.compute.model import NodeState
from umbel.delivery.admission import Admission, EventNotOpen, session_of
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.controller import DeliveryController
from umbel.delivery.loop.streams import FLEET
from umbel.delivery.model import (
    Arrival,
    FunctionStatus,
    IngestPoint,
    LinkStatus,
    Session,
    StreamStatus,
    Ticket,
    Tree,
)
from umbel.delivery.node_service import NodeService
from umbel.delivery.policy.service_levels import Claim
from umbel.delivery.recorder_service import RecorderService
from umbel.delivery.steering.service import Planning
from umbel.delivery.store import DeliveryStore
from umbel.delivery.thumbnails import NoThumbnail, Thumbnails
from umbel.delivery.traces.follow import Tracing
from umbel.delivery.trees import grafting, renditions
from umbel.delivery.trees.view import NoCapacity
from umbel.kit import tokens
from umbel.kit.db import VersionMismatch
from umbel.kit.errors import UmbelError, Unavailable
from umbel.kit.ids import new_id
from umbel.kit.journal import Change, Journal, JournalTrimmed
from umbel.kit.waiting import RETRY_S, until_answered
from umbel.media.model import StreamState, Thumbnail

log = structlog.get_logger(__name__)

_MOST_TRIES = 8
_TRIM_EVERY = 1_000


class NotReady(Unavailable):
    """The functions for this did not come up in time; try again."""

    code = "umbel.functions_not_ready"


@dataclass(kw_only=True)
class Delivery:
    """Everything the portal may ask of delivery."""

    catalogue: Catalogue
    store: DeliveryStore
    collector: Collector
    controller: DeliveryController
    journal: Journal
    signer: tokens.Signer
    default_access_node: str
    nodes: NodeService
    thumbnails: Thumbnails
    recorders: RecorderService
    planning: Planning | None = None
    tracing: Tracing | None = None

    @property
    def admission(self) -> Admission:
        """Who is admitted, and where."""
        loop = self.controller
        return Admission(collector=self.collector, policy=loop.policy, ahead=loop.ahead)

    async def run(self) -> None:
        """Keep the events until cancelled. A database that is away is waited for; a part that fails
        ends all, and raises."""
        try:
            head = await until_answered(self.journal.head)
            await until_answered(self.nodes.sync)
            await until_answered(self.controller.start)
            async with asyncio.TaskGroup() as tasks:
                for part in (self.planning, self.tracing):
                    if part is not None:
                        tasks.create_task(part.run(), name=type(part).__name__)
                while True:
                    head = await self._follow(head)
        finally:
            await self.nodes.close()
            await self.controller.close()

    async def _follow(self, head: int) -> int:
        """Heed other instances' and the portal's changes; answers how far it got."""
        try:
            async for change in self.journal.follow(head):
                await self._apply_change(change)
                head = change.seq
                if head % _TRIM_EVERY == 0:
                    await self.journal.trim()
        except JournalTrimmed:
            head = await until_answered(self.journal.head)
            await until_answered(self.nodes.sync)
            return head
        except Unavailable as error:
            log.warning("journal not read", reason=error.message)
            await asyncio.sleep(RETRY_S)
        return head

    # -- providers --------------------------------------------------------------------------

    async def open_ingest(
        self, event_id: str, sources: tuple[str, ...] | None = None
    ) -> IngestPoint:
        """Ensure an acquirer at the provider's edge node, and return where to push. RTP and MPEG-TS
        are taken from the `sources` alone, from the first host that sends where there are none;
        None leaves them as they are.

        Raises EventNotOpen, NoCapacity, NotReady.
        """
        event = await self.catalogue.event(event_id)
        if event.state in (EventState.ENDED, EventState.CANCELLED):
            raise EventNotOpen(state=event.state.value)
        tree = await self._rooted_tree(event)
        if sources is not None:
            await self.store.save_ingest_sources(event_id, sources)
        if event.state is EventState.SCHEDULED:
            await self.catalogue.transition(event_id, EventEvent.OPEN)
        self._wake(event_id)
        root = tree.root
        state = None if root is None else await self._ready(tree, root.function)
        if root is None or state is None:
            raise NotReady
        urls = dict(state.urls)
        return IngestPoint(
            event_id=event_id,
            node=root.node,
            function=root.function,
            urls=urls,
            sources=(await self.store.ingest(event_id)).sources,
        )

    async def describe_rtp(self, event_id: str, sdp: str) -> str:
        """Declare an RTP publisher's format (SDP); return SDP that says where to send.

        Raises MalformedSdp, and what open_ingest raises.
        """
        await self.open_ingest(event_id)
        state = await self.controller.offer(await self.store.tree(event_id), sdp)
        await self.store.save_rtp_offer(event_id, sdp)
        return state.rtp_answer

    async def end(self, event_id: str) -> None:
        """The event was ended or cancelled: take its tree down."""
        self._wake(event_id)

    # -- viewers ----------------------------------------------------------------------------

    async def open_session(
        self,
        event_id: str,
        access_node: str,
        quality: str = renditions.SOURCE,
        right: WatchRight = WatchRight(),
    ) -> Ticket:
        """Assign an edge to a viewer, connect it where needed, and wait until it is ready. The
        session ends once the viewer has no such `right` any more.

        Raises NoSuchEvent, NoSuchNode, NoSuchQuality, EventNotOpen, NoCapacity, NotReady.
        """
        stream = renditions.stream_of(event_id, quality)
        event = await self.catalogue.event(event_id)
        if event.state not in (EventState.OPEN, EventState.LIVE):
            raise EventNotOpen(state=event.state.value)
        renditions.check_codec(stream, vp8=event.vp8)
        levels = await self.catalogue.service_levels.commitments()
        claim = Claim(provider_id=event.provider_id, commitments=tuple(levels))
        viewer = Arrival(stream=stream, access_node=access_node, right=right)
        avoided: frozenset[str] = frozenset()
        for _ in range(_MOST_TRIES):
            avoided |= self.controller.refused_nodes(stream)
            try:
                session, tree = await self._assigned(viewer, claim, avoided)
            except (NoCapacity, NotReady):
                if self.tracing is not None or claim.own.level.viewers:
                    await self._turned_away(stream, access_node)
                raise
            try:
                state = await self._ready(tree, session.function, avoided)
            except NotReady:
                await self._close(session, "refused")
                raise
            if state is not None:
                break
            await self._close(session, "closed")
        else:
            raise NotReady
        claims = tokens.Claims(subject=session.id, scope=stream, expires_s=session.expires_s)
        token = self.signer.sign(claims, tokens.VIEWER)
        return Ticket.of(session, dict(state.urls), token)

    async def session(self, session_id: str) -> Session:
        """The session. Raises NoSuchSession."""
        return await self.store.session(session_id)

    async def close_session(self, session_id: str) -> None:
        """The viewer leaves. Raises NoSuchSession."""
        await self._close(await self.store.session(session_id), "closed")

    async def thumbnail(self, event_id: str) -> Thumbnail:
        """A small picture of what is live. Raises NoSuchEvent, NoThumbnail."""
        event = await self.catalogue.event(event_id)
        if event.state is not EventState.LIVE:
            raise NoThumbnail
        return await self.thumbnails.get(await self.store.tree(event_id))

    async def access_node_for(self, client: str) -> str:
        """The provider edge a client's address hangs on, by the nodes' prefixes."""
        return await self.known_access_node(client) or self.default_access_node

    async def known_access_node(self, client: str) -> str:
        """The same where a node has a prefix of the address; else empty."""
        node = self.collector.compute.access_node(client)
        return node.name if node is not None else ""

    # -- what is there ----------------------------------------------------------------------

    async def tree(self, event_id: str, quality: str = renditions.SOURCE) -> Tree:
        """The tree of the event in a quality. Raises NoSuchEvent, NoSuchQuality."""
        await self.catalogue.event(event_id)
        return await self.store.tree(renditions.stream_of(event_id, quality))

    async def stream(self, event: Event) -> StreamStatus | None:
        """How the event's stream does; None while nothing carries it."""
        status = self.collector.status(await self.store.tree(event.id))
        if status is None:
            return None
        return replace(status, qualities=renditions.offered(status.height, vp8=event.vp8))

    async def links(self) -> list[LinkStatus]:
        """Every link with the streams' rate over it."""
        return list(self.collector.links(self.collector.view(await self.store.trees())))

    async def functions(self) -> list[FunctionStatus]:
        """Every function with what it carries."""
        return list(self.collector.functions())

    # -- inside -----------------------------------------------------------------------------

    def _now_s(self) -> float:
        return self.controller.clock.now_s()

    def _wake(self, event_id: str) -> None:
        self.controller.wake(FLEET)
        self.controller.wake(event_id)

    async def _close(self, session: Session, why: str) -> None:
        await self.store.close_session(session, at_s=self._now_s(), why=why)
        self.collector.promises.count(session, -1)
        self._wake(session.stream)

    async def _turned_away(self, stream: str, access_node: str) -> None:
        """A trace tells of those, too, for whom there was no room; so does a report of the
        provider's service level."""
        body = {"what": "turned-away", "stream": stream, "access_node": access_node}
        try:
            await self.store.note("session", new_id("se"), body, self._now_s())
        except UmbelError as error:
            log.warning("refusal not noted", reason=error.message)

    async def _apply_change(self, change: Change) -> None:
        """Another instance, or the portal, changed something."""
        if change.kind == "node":
            await self.nodes.sync()
        if change.kind in {"tree", "event", "recording"}:
            self.controller.wake(change.subject)
            self.controller.wake(FLEET)

    async def _rooted_tree(self, event: Event) -> Tree:
        """The event's tree with at least its acquirer."""
        provider = await self.catalogue.provider(event.provider_id)
        failures = itertools.count()
        for _ in range(_MOST_TRIES):
            wanted = await self.store.trees()
            tree = wanted.get(event.id)
            if tree is not None and tree.root is not None:
                return tree
            try:
                view = self.collector.view(wanted)
                planted = grafting.new_tree(view, event.id, provider.access_node)
            except NoCapacity:
                if not await self._made_room(event.id, provider.access_node, next(failures)):
                    raise
                continue
            if tree is not None:
                # Recorders of its life before may have something left.
                branches = (*planted.branches, *tree.branches)
                planted = replace(planted, branches=branches, version=tree.version)
            try:
                with self.collector.promises.placing(planted):
                    return await self.store.save_tree(planted, at_s=self._now_s())
            except VersionMismatch:
                await self.nodes.sync()
                continue
        raise NotReady

    async def _assigned(
        self, viewer: Arrival, claim: Claim, avoided: frozenset[str]
    ) -> tuple[Session, Tree]:
        """A stored session, and the tree it counts on. Who loses a race reads again. Where nobody
        else has room, a node that is avoided is better than none: its switch may take the way."""
        stream, access_node = viewer.stream, viewer.access_node
        promises, ttl_s = self.collector.promises, self.controller.timing.session_ttl_s
        failures = itertools.count()
        for _ in range(_MOST_TRIES):
            wanted = await self.store.trees()
            try:
                assignment = self.admission.assignment(wanted, stream, access_node, claim, avoided)
            except NoCapacity:
                if avoided:
                    avoided = frozenset()
                    continue
                if not await self._found_room(stream, access_node, next(failures)):
                    raise
                continue
            is_new = assignment.tree != wanted.get(stream)
            session = session_of(viewer, assignment, self._now_s(), ttl_s)
            known, new = promises.at(session.edge_node), assignment.tree if is_new else None
            try:
                with self._promised(session, assignment.tree, is_new=is_new):
                    await self.store.open_session(session, new, known=known)
            except VersionMismatch:
                await promises.refresh()
                await self.nodes.sync()
                continue
            if is_new:
                self._wake(stream)
            return session, assignment.tree
        raise NotReady

    async def _found_room(self, stream: str, access_node: str, failures: int) -> bool:
        """Whether room was made: by what waits for expected viewers, at one node and then
        everywhere, or by a node that rested."""
        # What rests is looked at before anything is awaited: a node that is up by then has room.
        node = None if self.planning is None else self.planning.reserve(access_node)
        every = failures > 0
        if failures < 2 and await self.controller.make_way(stream, access_node, every=every):
            return True
        return self.planning is not None and await self.planning.rescue(stream, access_node, node)

    @contextmanager
    def _promised(self, session: Session, tree: Tree, *, is_new: bool) -> Iterator[None]:
        """Count what a viewer is promised while it is being stored."""
        promises, mbps = self.collector.promises, self.collector.mbps(tree)
        with promises.placing(tree, is_new=is_new), promises.storing(session, mbps):
            yield

    async def _made_room(self, event_id: str, node: str, failures: int) -> bool:
        """Whether the node has room now for what could not be placed there: it rested, or what
        waited for expected viewers went."""
        closed = self.collector.compute.state(node) is not NodeState.ACTIVE
        if failures < 2 and await self.controller.make_way(event_id, node, is_bound=True):
            return True
        return closed and self.planning is not None and await self.planning.claim(node)

    async def _ready(
        self, tree: Tree, function: str, avoided: frozenset[str] = frozenset()
    ) -> StreamState | None:
        """The state of the stream at the function, once the path to it is set up; None when the
        tree no longer has the function, or a switch refuses the way to its node, unless that is
        one of the `avoided`.

        Raises NotReady.
        """
        try:
            async with asyncio.timeout(self.controller.timing.ready_s):
                while True:
                    changed = self.controller.changed.listen()
                    state = self.collector.stream(function, tree.stream)
                    if state is not None and await self.controller.is_settled(tree, function):
                        return state
                    await changed.wait()
                    tree = await self.store.tree(tree.stream)
                    branch = tree.branch(function)
                    refused = self.controller.refused_nodes(tree.stream) - avoided
                    if branch is None or branch.node in refused:
                        return None
        except TimeoutError:
            raise NotReady(function=function) from None
