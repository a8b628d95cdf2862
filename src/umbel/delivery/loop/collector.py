"""What is observed: instances from compute, streams from their media servers, promised sessions.

In: `refresh()` on a period and `refresh_function(id)` on a wake-up. Out: a `View` for the policies,
and what `observed.py` tells the reconciler. Nothing here decides.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from umbel.compute.model import (
    Function,
    FunctionState,
    Instance,
    Node,
    NodeKind,
    NodeState,
    Resources,
    Scheduling,
)
from umbel.compute.service import Compute
from umbel.delivery import guidance
from umbel.delivery.guidance import Steering
from umbel.delivery.loop import link_rates, node_health
from umbel.delivery.loop.functions import OWNER, MediaFunctions
from umbel.delivery.loop.node_health import NodeHealth
from umbel.delivery.loop.promises import Promises
from umbel.delivery.loop.stream_states import Answers
from umbel.delivery.model import (
    FunctionStatus,
    LinkStatus,
    NodeAvailability,
    NodeStatus,
    StreamStatus,
    Tree,
)
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees import renditions, replacement
from umbel.delivery.trees.view import Costs, FunctionView, NodeView, View
from umbel.kit.errors import Unavailable
from umbel.media.model import IngestState, Server, StreamRole, StreamState
from umbel.media.service import Media
from umbel.network.service import Network

_BY_POWER: Mapping[NodeState, NodeAvailability] = {
    NodeState.ACTIVE: NodeAvailability.READY,
    NodeState.DRAINING: NodeAvailability.DRAINING,
    NodeState.STANDBY: NodeAvailability.STANDBY,
    NodeState.WAKING: NodeAvailability.STANDBY,
}


@dataclass(kw_only=True)
class Collector:
    """The world as last seen. `instances` are delivery's functions, `others` other owners'.
    `has_power_model`: the policy reckons with the planner's model of power."""

    compute: Compute
    network: Network
    media: Media
    store: DeliveryStore
    media_functions: MediaFunctions
    costs: Costs
    instances: dict[str, Instance] = field(default_factory=dict)
    others: dict[str, Instance] = field(default_factory=dict)
    answers: Answers = field(init=False)
    promises: Promises = field(init=False)
    health: NodeHealth = field(default_factory=NodeHealth)
    steering: Steering | None = None
    has_power_model: bool = False

    def __post_init__(self) -> None:
        self.answers = Answers(media=self.media)
        self.promises = Promises(
            ledger=self.compute.ledger,
            store=self.store,
            functions=self.media_functions,
            costs=self.costs,
        )

    @property
    def unreliable(self) -> Collection[str]:
        """The nodes that are avoided for a while."""
        return self.health.avoided.keys()

    @property
    def streams(self) -> Mapping[str, dict[str, StreamState]]:
        """Every stream of every function that answers, or runs and answered before."""
        return self.answers.streams

    async def refresh(self) -> None:
        """Look at everything."""
        await self._refresh_instances()
        await self.promises.refresh()
        servers = [self.server(function) for function in self._active()]
        await self.answers.poll(servers, self.instances.keys(), await self._lasting())

    async def refresh_function(self, function: str) -> None:
        """Look at one function."""
        await self._refresh_instances()
        servers = [self.server(function)] if self._is_active(function) else []
        await self.answers.poll_function(function, servers, await self._lasting())

    def mark_unreliable(self, functions: Mapping[str, Function], *, now_s: float) -> bool:
        """Look which nodes are to be avoided. Returns whether there are new ones."""
        hopeless = node_health.hopeless(self.compute, functions.values())
        away = node_health.away(self.compute, self.instances.values(), self.answering())
        return self.health.note(hopeless, away, now_s=now_s)

    async def draining(self) -> list[str]:
        """The nodes that viewers should leave: they are to become empty, or an edge there is being
        replaced."""
        compute = self.compute
        leaving = {n.name for n in compute.nodes() if _is_leaving(compute, n.name)}
        leaving |= replacement.left_nodes((await self.store.trees()).values())
        if not leaving:
            return []
        return sorted({one.edge_node for one in await self.store.counts()} & leaving)

    async def _refresh_instances(self) -> None:
        running, before = await self.compute.running(), self.instances
        self.instances = {id_: one for id_, one in running.items() if one.owner == OWNER}
        for id_, one in self.instances.items():
            if id_ in before and one.started_s != before[id_].started_s:
                self.answers.forget(id_)
        self.others = {id_: one for id_, one in running.items() if one.owner != OWNER}

    async def _lasting(self) -> Collection[str]:
        """The functions that carry what they carried while they are silent: their VIM sees them
        run, or they are being copied and may stand still."""
        is_lost = self.compute.is_lost
        running = {id_ for id_, one in self.instances.items() if not is_lost(one.node)}
        return running | await self.compute.moving.copying()

    def server(self, function: str) -> Server:
        """How to reach a function's media server. Raises Unavailable while it does not run."""
        instance = self.instances.get(function)
        if instance is None or not self._is_active(function):
            raise Unavailable(f"{function} does not run", function=function)
        return Server(
            function_id=function,
            address=instance.address,
            control_port=instance.ports["control"],
            tls_port=instance.ports.get("tls", 0),
            secret=self.media_functions.secret_of(function),
        )

    def running(self) -> frozenset[str]:
        """The functions that run and answered once, although they may be silent now."""
        return frozenset(f for f in self.streams if self._is_active(f))

    def answering(self) -> frozenset[str]:
        """The functions whose media server answered at the last look."""
        return self.running() & self.answers.heard

    def stream(self, function: str, stream: str) -> StreamState | None:
        """What a function does with an stream, if it answers."""
        return self.streams.get(function, {}).get(stream) if self._is_active(function) else None

    def sending(self, stream: str) -> set[str]:
        """The functions out of which the stream comes, or through which it goes."""
        return {
            f for f, states in self.streams.items() if stream in states and states[stream].flowing
        }

    def viewers(self, stream: str) -> dict[str, set[str]]:
        """The session ids that watch now, by function."""
        return {
            function: set(states[stream].viewers)
            for function, states in self.streams.items()
            if stream in states
        }

    def view(self, trees: Mapping[str, Tree]) -> View:
        """Everything a policy may look at."""
        mbps = {stream: rate for stream in trees if (rate := self._rate(trees[stream]))}
        view = View(
            routes=self.network.topology,
            nodes={},
            trees=trees,
            stream_mbps=mbps,
            costs=self.costs,
            copies=self.network.overlay.copies,
        )
        self.promises.state(view, self.instances, self.streams)
        free, late = self.compute.ledger.free(), self.compute.past_deadline()
        return replace(
            view,
            nodes={
                n.name: self._node_view(n, free[n.name], is_evicted=n.name in late)
                for n in self.compute.nodes()
            },
            functions=self._functions(trees),
            taken_ids=frozenset(self.others),
            broken_nodes=frozenset(self.unreliable),
            steering=self.steering,
            watching=self.promises.watching,
            links_free_mbps={
                frozenset((link.a, link.b)): link.mbps - link.used_mbps - link.foreign_mbps
                for link in self.links(view)
            },
        )

    def nodes(self) -> Iterator[NodeStatus]:
        """Each node with what all owners use of it or were promised, by the last view."""
        units = guidance.units_of(self.compute.nodes())
        accounts = self.compute.ledger.by_owner()
        for node in self.compute.nodes():
            promised = {
                o: by_node[node.name] for o, by_node in accounts.items() if node.name in by_node
            }
            used, power = sum(promised.values(), Resources()), self.compute.state(node.name)
            functions = self._functions_at(node.name)
            viewers = self.promises.at(node.name)
            yield NodeStatus(
                name=node.name,
                kind=node.kind,
                pool=node.pool,
                state=self._node_state(node.name, is_empty=not functions and not viewers),
                address=node.address,
                cores=node.cores,
                cores_used=used.cores,
                memory_mb=node.memory_mb,
                memory_used_mb=used.memory_mb,
                mbps=node.mbps,
                mbps_used=used.mbps,
                power=power,
                evict_at_s=self.compute.evict_at_s(node.name),
                functions=functions,
                viewers=viewers,
                promised=promised,
                host=self.compute.ledger.host(node.name),
                watts=self._watts(node, units, used.cores),
            )

    def _watts(self, node: Node, units: guidance.Units, cores: float) -> float | None:
        state = self.compute.state(node.name)
        if node.watts is not None:
            is_resting = state is NodeState.STANDBY
            return round(node.watts.at(cores / node.cores, is_resting=is_resting), 1)
        if not self.has_power_model:
            return None
        return round(guidance.watts(node, units, state, cores / units.cores), 1)

    def _functions_at(self, node: str) -> tuple[str, ...]:
        everywhere = self.instances | self.others
        return tuple(sorted(id_ for id_, one in everywhere.items() if one.node == node))

    def _node_state(self, node: str, *, is_empty: bool) -> NodeAvailability:
        compute = self.compute
        is_lost = compute.is_lost(node) or node in self.unreliable
        match compute.scheduling(node):
            case Scheduling.DRAINING:
                is_done = is_empty and not is_lost
                return NodeAvailability.DRAINED if is_done else NodeAvailability.DRAINING
            case Scheduling.CORDONED:
                return NodeAvailability.CORDONED
            case Scheduling.OPEN:
                return NodeAvailability.LOST if is_lost else _BY_POWER[compute.state(node)]

    def links(self, view: View) -> Iterator[LinkStatus]:
        """Each link with the rate of the hops over it, and what its switches count."""
        return link_rates.statuses(self.network, view)

    def functions(self) -> Iterator[FunctionStatus]:
        """Each function there is with what it carries."""
        for instance in sorted((self.instances | self.others).values(), key=lambda i: i.id):
            states = list(self._states(instance.id))
            yield FunctionStatus(
                id=instance.id,
                owner=instance.owner,
                role=instance.description,
                node=instance.node,
                state=instance.state.value,
                address=instance.address,
                cpu_cores=round(instance.cpu_cores, 4),
                rss_mb=round(instance.rss_mb, 1),
                streams=tuple(sorted(state.stream for state in states)),
                viewers=sum(len(state.viewers) for state in states),
                mbps_out=round(sum(state.mbps_out for state in states), 3),
                is_suspended=instance.is_suspended,
            )

    def status(self, tree: Tree) -> StreamStatus | None:
        """How the stream does, if its acquirer or transcoder answers."""
        root = tree.root
        state = self.stream(root.function, tree.stream) if root is not None else None
        if state is None:
            return None
        codec = renditions.codec_of(tree.stream)
        made = IngestState(video=codec.label, height=renditions.height_of(tree.stream))
        ingest = state.ingest or made
        mbps_in = state.mbps_in if state.ingest is not None else self._rate(tree)
        return StreamStatus(
            stream=tree.stream,
            flowing=state.flowing,
            protocol=ingest.protocol,
            video=ingest.video,
            audio=ingest.audio,
            width=ingest.width,
            height=ingest.height,
            transcoding=ingest.transcoding,
            error=ingest.error,
            mbps=round(mbps_in or state.mbps_out, 3),
            viewers=sum(
                len(one.viewers)
                for states in self.streams.values()
                for stream, one in states.items()
                if tree.stream in (stream, renditions.event_of(stream))
            ),
            key_interval_s=ingest.key_interval_s,
            fps=ingest.fps,
            packet_loss=ingest.packet_loss,
            frame_loss=ingest.frame_loss,
        )

    def height(self, tree: Tree) -> int:
        """The stream's height in pixels, 0 while it is not known."""
        status = self.status(tree)
        made = renditions.height_of(tree.stream)
        return made or (status.height if status is not None else 0)

    def _active(self) -> Iterator[str]:
        return (function for function in self.instances if self._is_active(function))

    def _is_active(self, function: str) -> bool:
        instance = self.instances.get(function)
        return instance is not None and instance.state is FunctionState.ACTIVE

    def _states(self, function: str) -> Iterable[StreamState]:
        return self.streams.get(function, {}).values()

    def mbps(self, tree: Tree) -> float:
        """The stream's rate: measured, or what is promised for an unmeasured one."""
        return self._rate(tree) or self.costs.mbps_of(tree.stream)

    def _rate(self, tree: Tree) -> float:
        """The stream's measured rate: the most that comes in somewhere."""
        rates = [
            state.mbps_in
            for branch in tree.branches
            if (state := self.stream(branch.function, tree.stream)) is not None
            and state.role is not StreamRole.TRANSCODER
        ]
        return max(rates, default=0.0)

    def _functions(self, trees: Mapping[str, Tree]) -> dict[str, FunctionView]:
        """What runs or is wanted."""
        streams: dict[str, set[str]] = {}
        places: dict[str, tuple[str, str]] = {
            i.id: (i.description, i.node) for i in self.instances.values()
        }
        for tree in trees.values():
            for branch in tree.branches:
                places.setdefault(branch.function, (branch.role, branch.node))
                streams.setdefault(branch.function, set()).add(tree.stream)
        cores = {node.name: node.cores for node in self.compute.nodes()}
        return {
            function: FunctionView(
                id=function,
                role=role,
                node=node,
                usable=node not in self.unreliable,
                streams=frozenset(streams.get(function, ())),
                load=self._cpu(function) / cores.get(node, 1.0),
                cores_free=self.costs.server_cores - self._cores_used(function),
                viewers=sum(len(state.viewers) for state in self._states(function)),
            )
            for function, (role, node) in places.items()
        }

    def _cpu(self, function: str) -> float:
        instance = self.instances.get(function)
        return instance.cpu_cores if instance is not None else 0.0

    def _cores_used(self, function: str) -> float:
        """What it is measured to use, or is promised while it starts, and what its viewers will
        who do not watch yet."""
        costs, late = self.costs, self.promises.late.get(function, 0)
        used = self._cpu(function) if self._is_active(function) else costs.function_cores
        return used + late * costs.viewer_cores

    def _node_view(self, node: Node, free: Resources, *, is_evicted: bool) -> NodeView:
        return NodeView(
            name=node.name,
            is_access=node.kind is NodeKind.PROVIDER_EDGE,
            cores_free=free.cores,
            memory_free_mb=free.memory_mb,
            mbps_free=free.mbps,
            is_closed=not self.compute.accepts(node.name),
            is_evicted=is_evicted,
        )


def _is_leaving(compute: Compute, node: str) -> bool:
    is_drained = compute.scheduling(node) is Scheduling.DRAINING
    return is_drained or compute.state(node) is NodeState.DRAINING
