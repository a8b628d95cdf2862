"""One stream's reconciliation: what its tree wants, against what is observed, step by step.

In: the id of a stream. Out: a saved tree where viewers, nodes or functions changed, hops in the
fabric, streams in media servers, and the event's state in the catalogue. Neighbours: `controller`
decides when; `trees` and `policy` decide what (both pure).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

import structlog

from umbel.catalogue.model import Event, EventEvent, EventState
from umbel.catalogue.service import Catalogue
from umbel.delivery.loop.ahead import Ahead
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.hops import StreamHops
from umbel.delivery.loop.idle import IdleSessions
from umbel.delivery.loop.observed import observed
from umbel.delivery.loop.recordings import Recordings
from umbel.delivery.loop.revocations import Revocations, Revoked
from umbel.delivery.loop.timing import Timing
from umbel.delivery.loop.unauthorized import UnauthorizedSessions
from umbel.delivery.model import RECORDER, Ingest, Tree
from umbel.delivery.policy import recorders, transcoders
from umbel.delivery.policy.base import Policy
from umbel.delivery.store import DeliveryStore, StoredStream
from umbel.delivery.trees import grafting, reconcile, renditions
from umbel.delivery.trees.reconcile import Access, Carry, Drop, Observed, Step
from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, Unavailable
from umbel.kit.signal import Signal
from umbel.media.model import (
    INGEST_PORTS,
    StreamRole,
    StreamSpec,
    StreamState,
    Target,
    srtp_key_id,
)
from umbel.network.model import Endpoint, Hop

FLEET = "fleet"
"""The key of the functions of all trees; each stream has a key of its own, too."""

_MOST_ROUNDS = 12
log = structlog.get_logger(__name__)


class _Wanted(NamedTuple):
    """What a run is to bring about: the stream's tree, and who is let in; what was read with it."""

    tree: Tree
    keys: frozenset[str] = frozenset()
    revoked: Revoked = Revoked()
    ingest: Ingest = Ingest()
    trees: Mapping[str, Tree] = MappingProxyType({})


@dataclass(kw_only=True)
class StreamReconciler:
    """Makes one stream's world as its tree wants it. `wake` asks for another key's run, `forget`
    ends a stream's own, `check` raises LeaseLost once another instance may have the stream, and
    `changed` is notified when what is observed has changed."""

    catalogue: Catalogue
    store: DeliveryStore
    collector: Collector
    policy: Policy
    recordings: Recordings
    ahead: Ahead
    clock: Clock
    timing: Timing
    changed: Signal
    wake: Callable[[str], None]
    forget: Callable[[str], Awaitable[None]]
    check: Callable[[str], None]
    _idle: IdleSessions = field(init=False)
    _unauthorized: UnauthorizedSessions = field(init=False)
    _revocations: Revocations = field(init=False)
    _sent: dict[str, dict[str, Access]] = field(default_factory=dict)
    _stream_hops: StreamHops = field(init=False)
    _silent_since: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._unauthorized = UnauthorizedSessions(store=self.store)
        self._revocations = Revocations()
        self._stream_hops = StreamHops(
            fabric=self.collector.network.overlay, clock=self.clock, changed=self.changed
        )
        self._idle = IdleSessions(
            store=self.store,
            collector=self.collector,
            sweep_s=self.timing.sweep_s,
            idle_s=self.timing.session_idle_s,
        )

    async def reconcile(self, stream: str) -> float | None:
        """Run once; answers in how many seconds to run again, or None: when it is woken."""
        found = await self._event(renditions.event_of(stream))
        if found is None or found[0].is_over:
            return self.timing.look_s if await self._clear(stream) else None
        event, keys = found
        began_s = self.clock.now_s()
        stored = await self._stored(stream)
        has_ended = await self._idle.end(stored.tree, stored.watched, self.clock.now_s())
        if await self._unauthorized.end(stream, event, self.clock.now_s()) or has_ended:
            stored = await self._stored(stream)
        tree = await self._maintained(stored)
        revoked = self._revocations.read(stream, stored.revoked, began_s)
        await self._apply(_Wanted(tree, frozenset(keys), revoked, stored.ingest, stored.trees))
        if stream != event.id:
            # Sessions may outlive their branches: they have to be ended, too. And a recorder may
            # wait for room.
            is_busy = tree.branches or stored.watched or self.recordings.lacks(stream)
            return self.timing.look_s if is_busy else None
        await self._report(event, tree)
        return self.timing.look_s

    def forget_sent(self, function: str) -> None:
        """The function may have lost the lists of who is let in."""
        self._sent.pop(function, None)

    async def is_settled(self, tree: Tree, function: str) -> bool:
        """Whether the way of the stream to the function is laid; of a rendition, whether it is
        made, too: a viewer who changes to it should have pictures at once."""
        if not reconcile.is_settled(tree, self._observed(tree), function):
            return False
        root, source_stream = tree.root, renditions.event_of(tree.stream)
        if source_stream == tree.stream or root is None:
            return True
        source = await self.store.tree(source_stream)
        if not reconcile.is_settled(source, self._observed(source), root.function):
            return False
        is_fed = source.root is not None and source.root.function in self.collector.sending(
            source_stream
        )
        return not is_fed or root.function in self.collector.sending(tree.stream)

    def refused_nodes(self, stream: str) -> frozenset[str]:
        """The nodes to which a switch lays no way for the stream, as far as this instance knows."""
        return frozenset(hop.target.node for hop in self._stream_hops.refused(stream))

    async def offer(self, tree: Tree, sdp: str) -> StreamState:
        """Tell the acquirer of an RTP publisher, ahead of the loop, so that a bad description is
        the caller's error. Raises MalformedSdp, Unavailable."""
        keys = frozenset(await self.catalogue.key_hashes(tree.stream))
        root = tree.root
        step = None if root is None else reconcile.carry(tree, root, self._observed(tree))
        if step is None:
            raise Unavailable("the acquirer does not answer", stream=tree.stream)
        spec = await self._spec(tree.stream, step, keys, Revoked())
        spec = replace(spec, rtp_offer=sdp)
        collector = self.collector
        return await collector.media.ensure(collector.server(step.function), spec)

    async def _event(self, event_id: str) -> tuple[Event, tuple[str, ...]] | None:
        """The event and the hashes of its stream keys."""
        try:
            return await self.catalogue.event_and_key_hashes(event_id)
        except NotFound:
            return None

    async def _stored(self, stream: str) -> StoredStream:
        return await self.store.stream(stream, self._revocations.since_s(stream))

    async def _maintained(self, stored: StoredStream) -> Tree:
        """The tree without idle branches and around what cannot run, saved when it changed."""
        now_s, tree = self.clock.now_s(), stored.tree
        grown, waiting = self.ahead.grown(stored.trees, tree)
        linger_s = 0.0 if self.ahead.yielding_at(tree.stream) else self.timing.linger_s
        trimmed = grafting.prune(grown, stored.watched | waiting, now_s=now_s, linger_s=linger_s)
        trimmed, is_recorded = await self.recordings.kept(trimmed)
        trimmed = transcoders.ended(trimmed)
        view = self.collector.view({**stored.trees, tree.stream: trimmed})
        policy, sending = self.policy, self.collector.sending(tree.stream)
        moved = transcoders.moved(view, trimmed, policy, sending)
        mended = grafting.repair(view, moved, policy.relaying)
        mended = transcoders.attached(view, mended, policy.relaying)
        if is_recorded:
            avoiding = replace(view, avoided_nodes=self.refused_nodes(tree.stream))
            mended = self.recordings.attached(avoiding, mended, policy.relaying)
        if mended == tree:
            return tree
        with self.collector.promises.placing(mended):
            saved = await self.store.save_tree(mended, at_s=now_s)
        self.wake(FLEET)
        self.wake(renditions.event_of(tree.stream))
        self.changed.notify()
        return saved

    async def _apply(self, want: _Wanted) -> None:
        """Do the steps until none are left. One that fails keeps no other from being done; the
        look is then repeated. Raises what failed first."""
        tree = want.tree
        access = Access(
            keys=want.keys,
            revoked=want.revoked.number,
            srtp_key_id=srtp_key_id(self._srtp_key(tree.stream)),
        )
        for _ in range(_MOST_ROUNDS):
            self.check(tree.stream)
            seen = self._carried(tree)
            hops = self._hops(tree, seen)
            await self._stream_hops.ensure(tree.stream, list(hops.values()))
            have = replace(self._reached(tree, seen, hops), upstream=self._upstream(want))
            todo = reconcile.steps(tree, have, access)
            if not todo:
                return
            doing = (self._do(tree, step, access, want.revoked) for step in todo)
            failed = [e for e in await asyncio.gather(*doing, return_exceptions=True) if e]
            self.changed.notify()
            if failed:
                raise failed[0]

    def _observed(self, tree: Tree) -> Observed:
        """What is there, with each function's port as its feeder reaches it over the fabric."""
        seen = self._carried(tree)
        return self._reached(tree, seen, self._hops(tree, seen))

    def _reached(self, tree: Tree, seen: Observed, hops: Mapping[str, Hop]) -> Observed:
        """What was seen, with those ports; `hops` are those by function."""
        reach = self._stream_hops.reach(tree.stream)
        refused = self._stream_hops.refused(tree.stream)
        carried = {
            function: replace(state, address=end.address, port=end.port)
            if (hop := hops.get(function)) is not None and (end := reach.get(hop)) is not None
            else state
            for function, state in seen.carried.items()
        }
        cut_off = frozenset(function for function, hop in hops.items() if hop in refused)
        return replace(seen, carried=carried, cut_off=cut_off)

    def _upstream(self, want: _Wanted) -> Mapping[str, frozenset[str]]:
        """The addresses from which a rendition's transcoder, or the one that takes over, gets the
        source's stream; those from which an acquirer is to take a publisher without a key."""
        tree = want.tree
        source_stream = renditions.event_of(tree.stream)
        first = [b.function for b in tree.branches if not b.parent and b.role != RECORDER]
        if not first or source_stream == tree.stream:
            return dict.fromkeys(first, frozenset(want.ingest.sources))
        source = want.trees.get(source_stream) or Tree(stream=source_stream)
        seen = self._observed(source)
        leaves = filter(None, map(source.branch, first))
        return {leaf.function: reconcile.sources(source, leaf, seen) for leaf in leaves}

    def _carried(self, tree: Tree) -> Observed:
        sent = {f: by_stream.get(tree.stream, Access()) for f, by_stream in self._sent.items()}
        return observed(self.collector, tree, sent)

    @staticmethod
    def _hops(tree: Tree, seen: Observed) -> dict[str, Hop]:
        return {
            branch.function: Hop(
                source_node=parent.node,
                target=Endpoint(node=branch.node, address=carried.address, port=carried.port),
                source_address=seen.addresses.get(parent.function, ""),
            )
            for branch in tree.branches
            if (parent := tree.branch(branch.parent)) is not None
            and (carried := seen.carried.get(branch.function)) is not None
        }

    async def _do(self, tree: Tree, step: Step, access: Access, revoked: Revoked) -> None:
        collector, stream = self.collector, tree.stream
        server = collector.server(step.function)
        match step:
            case Drop(function=function):
                self.check(stream)
                await collector.media.remove(server, stream)
                self._sent.get(function, {}).pop(stream, None)
                collector.answers.note(function, None, stream)
            case Carry(function=function):
                spec = await self._spec(stream, step, access.keys, revoked)
                self.check(stream)
                state = await collector.media.ensure(server, spec)
                self._sent.setdefault(function, {})[stream] = access
                collector.answers.note(function, state, stream)
                await self._keep_ports(stream, state)
                feeds = sorted(step.children)
                if state.role is StreamRole.TRANSCODER:
                    self.wake(renditions.event_of(stream))  # its tree may feed it now
                log.info("stream carried", stream=stream, function=function, feeds=feeds)

    async def _spec(
        self, stream: str, step: Carry, keys: frozenset[str], revoked: Revoked
    ) -> StreamSpec:
        spec = StreamSpec(
            stream=stream,
            role=StreamRole(step.role),
            hops=tuple(
                Target(address=a, port=p, burst=(a, p) in step.bursts)
                for a, p in sorted(step.targets)
            ),
            sources=tuple(sorted(step.sources)),
        )
        if spec.role is StreamRole.RECORDER:
            token = self.collector.media_functions.record_token(step.function, stream)
            spec = replace(spec, record_token=token, is_over=step.is_over, is_held=step.is_held)
        if spec.role is not StreamRole.FORWARDER:
            spec = replace(spec, srtp_key=self._srtp_key(stream))
        if spec.role is StreamRole.TRANSCODER:
            height = renditions.height_of(stream)
            return replace(spec, height=height, codec=renditions.codec_of(stream))
        if spec.role is StreamRole.EDGE:
            sessions = revoked.sessions.items()
            ended = tuple((s, int(end_s)) for s, end_s in sessions)
            return replace(spec, revoked=ended, codec=renditions.codec_of(stream))
        if spec.role is not StreamRole.ACQUIRER:
            return spec
        ingest = await self.store.ingest(stream)
        return replace(
            spec,
            key_hashes=tuple(sorted(keys)),
            rtp_offer=ingest.rtp_offer,
            ports=ingest.ports,
            sources=ingest.sources,
        )

    def _srtp_key(self, stream: str) -> bytes:
        """An event's renditions have its key: a transcoder reads one stream and makes another."""
        return self.collector.media_functions.srtp_key_of(renditions.event_of(stream))

    async def _keep_ports(self, stream: str, state: StreamState) -> None:
        """Encoders know these ports: a restarted acquirer opens them again."""
        urls = dict(state.urls)
        ports = tuple(int(urls[name].rpartition(":")[2]) for name in INGEST_PORTS if name in urls)
        if state.role is StreamRole.ACQUIRER and ports != (await self.store.ingest(stream)).ports:
            await self.store.save_ingest_ports(stream, ports)

    async def _report(self, event: Event, tree: Tree) -> None:
        """The catalogue learns whether somebody publishes. A short silence is not a stop."""
        root = tree.root
        if root is None and event.state is EventState.LIVE:  # its acquirer was evicted
            await self.catalogue.transition(event.id, EventEvent.STOP)
        state = self.collector.stream(root.function, event.id) if root is not None else None
        if state is None or state.ingest is None:
            return
        now_s = self.clock.now_s()
        if state.ingest.protocol:
            self._silent_since.pop(event.id, None)
            if event.state is EventState.OPEN:
                await self.catalogue.transition(event.id, EventEvent.START)
        elif event.state is EventState.LIVE:
            since_s = self._silent_since.setdefault(event.id, now_s)
            if now_s - since_s >= self.timing.silence_s:
                await self.catalogue.transition(event.id, EventEvent.STOP)

    async def _clear(self, stream: str) -> bool:
        """The event is over: nothing carries it, nor its renditions. Answers whether a recorder is
        left, which waits until it was pulled."""
        before, now_s = await self.store.tree(stream), self.clock.now_s()
        left = recorders.alone(before, now_s)
        if left.branches:
            left, _ = await self.recordings.kept(left)
        if left != before or not left.branches:
            await self.store.drop_tree(stream, at_s=now_s, kept=left.branches)
        await self._apply(_Wanted(left))
        await self.collector.network.overlay.remove(stream)
        self._idle.forget(stream)
        self._unauthorized.forget(stream)
        self._revocations.forget(stream)
        self._stream_hops.forget(stream)
        self._silent_since.pop(stream, None)
        if left != before or not left.branches:
            for other in await self.store.trees():
                if renditions.event_of(other) == stream:
                    self.wake(other)
            self.wake(FLEET)
        if not left.branches:
            self.recordings.forget(stream)
            await self.forget(stream)
        return bool(left.branches)
