"""The loop: one task per live event, one for the fleet of functions, one for the calendar.

In: wake-ups without payload (from the API, the drivers' watches, the journal of other instances).
Out: ensured functions and streams, fired calendar events, saved trees. Every look reads the wanted
state from the database and may be repeated at any time; an owner's lease keeps instances apart.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace

import structlog

from umbel.catalogue.model import Event, EventEvent, EventState
from umbel.catalogue.service import Catalogue
from umbel.compute.model import Instance
from umbel.delivery.loop.collector import Collector
from umbel.delivery.loop.functions import OWNER
from umbel.delivery.model import Tree
from umbel.delivery.policy import transcoders
from umbel.delivery.policy.base import Policy
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import grafting, reconcile, renditions
from umbel.delivery.trees.reconcile import Carry, Drop, Step
from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, UmbelError, Unavailable
from umbel.kit.wakeups import Wakeups
from umbel.media.model import INGEST_PORTS, StreamRole, StreamSpec, StreamState, Target
from umbel.network.model import Endpoint, Hop

FLEET, CALENDAR = "fleet", "calendar"
_MOST_ROUNDS = 12
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often to look unasked, and how long things are given; seconds."""

    look_s: float = 1.0
    sweep_s: float = 10.0
    linger_s: float = 10.0
    session_idle_s: float = 60.0
    session_ttl_s: float = 3600.0
    ready_s: float = 15.0
    silence_s: float = 3.0
    lease_s: float = 10.0


@dataclass(kw_only=True)
class Keeper:
    """Keeps what is wanted and what is there the same. `on_functions` hears of what runs at each
    look at the fleet, from the one instance that looks after it."""

    catalogue: Catalogue
    store: DeliveryStore
    collector: Collector
    policy: Policy
    clock: Clock
    pace: Pace
    owner: str
    on_functions: Callable[[Mapping[str, Instance]], None] = lambda _: None
    _wakeups: Wakeups = field(init=False)
    _leases: dict[str, float] = field(default_factory=dict)
    _keys: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    _reach: dict[str, dict[Hop, Endpoint]] = field(default_factory=dict)
    _swept: dict[str, float] = field(default_factory=dict)
    _silent_since: dict[str, float] = field(default_factory=dict)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._wakeups = Wakeups(self._look)

    async def start(self) -> None:
        """See what is there, adopt it, and begin."""
        await self.collector.refresh()
        self.collector.compute.watch(self._function_changed)
        self.collector.media.watch(self._stream_changed)
        for key in (FLEET, CALENDAR, *await self.store.trees()):
            self.wake(key)

    async def close(self) -> None:
        """End the tasks and give up the leases. What runs goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._wakeups.close()
        await self.store.release(self.owner)

    def wake(self, key: str) -> None:
        """Ask for a look at an event, FLEET or CALENDAR."""
        self._wakeups.wake(key)

    def leads(self) -> bool:
        """Whether this instance looks after the fleet of functions now."""
        return self._leases.get(FLEET, 0.0) > self.clock.now_s()

    def moved(self) -> asyncio.Event:
        """Set at the next change of what is observed; take it before looking."""
        return self._moved

    async def is_settled(self, tree: Tree, function: str) -> bool:
        """Whether the way of the stream to the function is laid; of a rendition, whether it is
        made, too: a viewer who changes to it should have pictures at once."""
        if not reconcile.settled(tree, self._observed(tree), function):
            return False
        root, source_stream = tree.root, renditions.event_of(tree.stream)
        if source_stream == tree.stream or root is None:
            return True
        source = await self.store.tree(source_stream)
        if not reconcile.settled(source, self._observed(source), root.function):
            return False
        is_fed = source.root is not None and source.root.function in self.collector.sending(
            source_stream
        )
        return not is_fed or root.function in self.collector.sending(tree.stream)

    async def offer(self, tree: Tree, sdp: str) -> StreamState:
        """Tell the acquirer of an RTP publisher, ahead of the loop, so that a bad description is
        the caller's error. Raises MalformedSdp, Unavailable."""
        keys = frozenset(await self.catalogue.key_hashes(tree.stream))
        root = tree.root
        step = None if root is None else reconcile.carry(tree, root, self._observed(tree))
        if step is None:
            raise Unavailable("the acquirer does not answer", stream=tree.stream)
        spec = replace(await self._spec(tree.stream, step, keys), rtp_offer=sdp)
        collector = self.collector
        return await collector.media.ensure(collector.server(step.function), spec)

    # -- wake-ups ---------------------------------------------------------------------------

    def _function_changed(self, function: str) -> None:
        self._keys.pop(function, None)
        self._spawn(self._look_at_function(function))

    def _stream_changed(self, function: str, stream: str) -> None:
        if not stream:
            self._keys.pop(function, None)
        self._spawn(self._look_at_function(function))

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_at_function(self, function: str) -> None:
        try:
            await self.collector.refresh_function(function)
            wanted = await self.store.trees()
        except UmbelError as error:
            log.warning("function not seen", function=function, reason=error.message)
            return
        self._stir()
        self.wake(FLEET)
        for stream, tree in wanted.items():
            if tree.branch(function) is not None:
                self.wake(stream)

    def _stir(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    # -- looks ------------------------------------------------------------------------------

    async def _look(self, key: str) -> float | None:
        if key == FLEET:
            return await self._look_at_fleet()
        if key == CALENDAR:
            return await self._look_at_calendar()
        return await self._look_at_event(key)

    async def _look_at_fleet(self) -> float:
        """The functions of all trees run; others do not."""
        if not await self._holds(FLEET):
            await self.collector.refresh()
            return self.pace.look_s
        wanted = self.collector.media_functions.to_run((await self.store.trees()).values())
        done = await self.collector.compute.ensure(OWNER, wanted)
        for function in done.stopped:
            await self.collector.media.forget(function)
        await self.collector.refresh()
        self.on_functions(self.collector.instances | self.collector.others)
        if self.collector.shun(wanted, now_s=self.clock.now_s()):
            for stream in await self.store.trees():
                self.wake(stream)
        self._stir()
        return min(self.pace.look_s, done.again_s or self.pace.look_s)

    async def _look_at_calendar(self) -> float:
        """Events end when their time is over."""
        for event_id in await self.catalogue.due(self.clock.now_s()):
            await self.catalogue.fire(event_id, EventEvent.END)
            self.wake(event_id)
        return self.pace.look_s

    async def _look_at_event(self, stream: str) -> float | None:
        """The event, or one of its renditions."""
        event = await self._event(renditions.event_of(stream))
        if event is None or event.state in (EventState.ENDED, EventState.CANCELLED):
            await self._clear(stream)
            return None
        if not await self._holds(_lease(stream)):
            return self.pace.look_s
        tree = await self._tended(await self.store.tree(stream))
        await self._apply(tree)
        if stream != event.id:
            return self.pace.look_s if tree.branches else None
        await self._tell(event, tree)
        return self.pace.look_s

    async def _event(self, event_id: str) -> Event | None:
        try:
            return await self.catalogue.event(event_id)
        except NotFound:
            return None

    async def _holds(self, name: str) -> bool:
        """Renewed at half its life, so that a live event costs no write a second."""
        now_s = self.clock.now_s()
        if self._leases.get(name, 0.0) - now_s > self.pace.lease_s / 2:
            return True
        ttl_s = self.pace.lease_s
        if not await self.store.hold(name, self.owner, now_s=now_s, ttl_s=ttl_s):
            self._leases.pop(name, None)
            return False
        self._leases[name] = now_s + ttl_s
        return True

    async def _tended(self, tree: Tree) -> Tree:
        """The tree without idle branches and around what cannot run, saved when it changed."""
        now_s = self.clock.now_s()
        await self._sweep(tree, now_s)
        counts = await self.store.counts(tree.stream)
        watched = {function for (_, function), count in counts.items() if count}
        trimmed = grafting.prune(tree, watched, now_s=now_s, linger_s=self.pace.linger_s)
        trimmed = transcoders.ended(trimmed)
        view = self.collector.view({**await self.store.trees(), tree.stream: trimmed})
        policy, sending = self.policy, self.collector.sending(tree.stream)
        moved = transcoders.moved(view, trimmed, policy, sending)
        mended = grafting.mend(view, moved, policy.relaying)
        mended = transcoders.attached(view, mended, policy.relaying)
        if mended == tree:
            return tree
        with self.collector.promises.placing(mended):
            saved = await self.store.save_tree(mended, at_s=now_s)
        self.wake(FLEET)
        self.wake(renditions.event_of(tree.stream))
        self._stir()
        return saved

    async def _sweep(self, tree: Tree, now_s: float) -> None:
        if now_s - self._swept.get(tree.stream, 0.0) < self.pace.sweep_s:
            return
        self._swept[tree.stream] = now_s
        seen = set().union(*self.collector.viewers(tree.stream).values())
        await self.store.sweep(tree.stream, seen, now_s=now_s, idle_s=self.pace.session_idle_s)

    async def _apply(self, tree: Tree) -> None:
        """Do the steps until none are left. One that fails keeps no other from being done; the
        look is then repeated. Raises what failed first."""
        keys = frozenset(await self.catalogue.key_hashes(tree.stream))
        for _ in range(_MOST_ROUNDS):
            await self._lay(tree)
            todo = reconcile.steps(tree, self._observed(tree), keys)
            if not todo:
                return
            doing = (self._do(tree, step, keys) for step in todo)
            failed = [e for e in await asyncio.gather(*doing, return_exceptions=True) if e]
            self._stir()
            if failed:
                raise failed[0]

    async def _lay(self, tree: Tree) -> None:
        """Have the fabric carry every hop whose end is known."""
        hops = list(self._hops(tree, self._carried(tree)).values())
        if hops or tree.stream in self._reach:
            reach = await self.collector.network.ensure(tree.stream, hops)
            if dict(reach) != self._reach.get(tree.stream, {}):
                # Where the network copies, a way may be laid without a step of any function.
                self._reach[tree.stream] = dict(reach)
                self._stir()

    def _observed(self, tree: Tree) -> reconcile.Observed:
        """What is there, with each function's port as its feeder reaches it over the fabric."""
        seen = self._carried(tree)
        reach, hops = self._reach.get(tree.stream, {}), self._hops(tree, seen)
        carried = {
            function: replace(state, address=end.address, port=end.port)
            if (hop := hops.get(function)) is not None and (end := reach.get(hop)) is not None
            else state
            for function, state in seen.carried.items()
        }
        return replace(seen, carried=carried)

    def _carried(self, tree: Tree) -> reconcile.Observed:
        sent = self._keys.items()
        keys = {function: keys.get(tree.stream, frozenset()) for function, keys in sent}
        return self.collector.observed(tree, keys)

    @staticmethod
    def _hops(tree: Tree, seen: reconcile.Observed) -> dict[str, Hop]:
        return {
            branch.function: Hop(
                source_node=parent.node,
                target=Endpoint(node=branch.node, address=carried.address, port=carried.port),
            )
            for branch in tree.branches
            if (parent := tree.branch(branch.parent)) is not None
            and (carried := seen.carried.get(branch.function)) is not None
        }

    async def _do(self, tree: Tree, step: Step, keys: frozenset[str]) -> None:
        collector, stream = self.collector, tree.stream
        server = collector.server(step.function)
        match step:
            case Drop(function=function):
                await collector.media.remove(server, stream)
                collector.answers.note(function, None, stream)
            case Carry(function=function):
                state = await collector.media.ensure(server, await self._spec(stream, step, keys))
                self._keys.setdefault(function, {})[stream] = keys
                collector.answers.note(function, state, stream)
                await self._keep_ports(stream, state)
                feeds = sorted(step.children)
                if state.role is StreamRole.TRANSCODER:
                    self.wake(renditions.event_of(stream))  # its tree may feed it now
                log.info("stream carried", stream=stream, function=function, feeds=feeds)

    async def _spec(self, stream: str, step: Carry, keys: frozenset[str]) -> StreamSpec:
        spec = StreamSpec(
            stream=stream,
            role=StreamRole(step.role),
            hops=tuple(Target(address=a, port=p) for a, p in sorted(step.targets)),
        )
        if spec.role is StreamRole.TRANSCODER:
            return replace(spec, height=renditions.height_of(stream))
        if spec.role is not StreamRole.ACQUIRER:
            return spec
        offer, ports = await self.store.ingest(stream)
        return replace(spec, key_hashes=tuple(sorted(keys)), rtp_offer=offer, ports=ports)

    async def _keep_ports(self, stream: str, state: StreamState) -> None:
        """Encoders were told these: a restarted acquirer opens them again."""
        urls = dict(state.urls)
        ports = tuple(int(urls[name].rpartition(":")[2]) for name in INGEST_PORTS if name in urls)
        if state.role is StreamRole.ACQUIRER and ports != (await self.store.ingest(stream))[1]:
            await self.store.save_ingest_ports(stream, ports)

    async def _tell(self, event: Event, tree: Tree) -> None:
        """The calendar learns whether somebody publishes. A short silence is not a stop."""
        root = tree.root
        state = self.collector.stream(root.function, event.id) if root is not None else None
        if state is None or state.ingest is None:
            return
        now_s = self.clock.now_s()
        if state.ingest.protocol:
            self._silent_since.pop(event.id, None)
            if event.state is EventState.OPEN:
                await self.catalogue.fire(event.id, EventEvent.START)
        elif event.state is EventState.LIVE:
            since_s = self._silent_since.setdefault(event.id, now_s)
            if now_s - since_s >= self.pace.silence_s:
                await self.catalogue.fire(event.id, EventEvent.STOP)

    async def _clear(self, stream: str) -> None:
        """The event is over: nothing carries it, nor its renditions."""
        await self.store.drop_tree(stream, at_s=self.clock.now_s())
        await self._apply(Tree(stream=stream))
        await self.collector.network.remove(stream)
        self._leases.pop(_lease(stream), None)
        for memo in (self._swept, self._silent_since, self._reach):
            memo.pop(stream, None)
        for other in await self.store.trees():
            if renditions.event_of(other) == stream:
                self.wake(other)
        self.wake(FLEET)
        await self._wakeups.forget(stream)


def _lease(stream: str) -> str:
    return f"stream:{stream}"
