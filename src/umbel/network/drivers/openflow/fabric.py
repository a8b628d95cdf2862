"""Streams over the operator's switches: wires them, programs them and mends around what fails.

In: hops from delivery, paths and drawings from operators, signals from switches. Out: bridges
(ovsdb), programs (the controller), and what happened, to all watchers. overlay.py decides; one
task brings the switches there, woken by changes and coalescing them.

After a start nothing that switches hold is taken away for `adopt_s`: its owners are yet to ask
for it again. A tunnel to every neighbour is plugged in that time, so that none is unplugged either.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import Unavailable
from umbel.network import events
from umbel.network.drivers.openflow import waiting as waiters
from umbel.network.drivers.openflow.rollout import Rollout
from umbel.network.drivers.openflow.settings import CompileRules, MakeBoard, OpenFlowSettings
from umbel.network.events import Event, Watcher
from umbel.network.model import Endpoint, Hop, Pair
from umbel.network.overlay import addresses
from umbel.network.overlay.intent import Overlay, StreamIntent
from umbel.network.overlay.links import LinkState, Liveness, TunnelEndRemoved, TunnelEndSeen
from umbel.network.overlay.spanning import Drawing
from umbel.network.overlay.streams import InvalidRoute, Path, Slice, Stream, local_receiver
from umbel.network.slices.admission import StreamDestination
from umbel.network.switching import counters, signals
from umbel.network.switching import diff as changing
from umbel.network.switching.counters import FabricCounts
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.ports import Bridges
from umbel.network.switching.program import Meter, Program
from umbel.network.switching.signals import Port, PortStatus, Signal, SwitchRefused
from umbel.network.topology import wiring
from umbel.network.topology.paths import NotInTopology
from umbel.network.topology.sites import Site, Wiring

log = structlog.get_logger(__name__)


class OpenFlowFabric:
    """A Fabric over the switches of `sites`. The network makes the copies."""

    copies = True

    def __init__(
        self,
        sites: Mapping[str, Site],
        drawing: Drawing,
        bridges: Bridges,
        board: MakeBoard,
        settings: OpenFlowSettings,
        clock: Clock,
    ) -> None:
        self.sites, self.settings = sites, settings
        self._bridges, self._clock = bridges, clock
        self._board = board(self._on_signal, admit=self._admits)
        self._nodes = {site.datapath_id: node for node, site in sites.items()}
        ids = {node: site.datapath_id for node, site in sites.items()}
        self._rollout = Rollout(self._board, ids, self._drained)
        liveness = Liveness(timers=settings.liveness)
        self.overlay = Overlay(link_state=LinkState(drawing=drawing), liveness=liveness)
        self.port_maps: dict[str, PortMap] = {}
        self.problems: Mapping[str, tuple[str, ...]] = {}
        self._wired: dict[str, Wiring] = {}
        self._unread: set[str] = set()
        self._ports: dict[str, dict[int, Port]] = {}
        self._refused_ids: set[int] = set()
        self._watches: list[Watcher] = []
        self._reported: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {}
        self._extra_rules: dict[str, tuple[CompileRules, frozenset[Pair]]] = {}
        self._controller = ""
        self._adopts_until_s = 0.0
        self._flag, self._urgent = asyncio.Event(), asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen for switches, and bring them there from now on. Returns the port."""
        port = await self._board.listen(self.settings.host, self.settings.port)
        self._controller = f"tcp:{self.settings.host}:{port}"
        self._adopts_until_s = self._clock.monotonic_s() + self.settings.adopt_s
        self._task = asyncio.create_task(self._run(), name="overlay")
        return port

    async def close(self) -> None:
        """Let go of the switches; what they hold goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for one in self._waiting:
            one.cancel()
        await self._board.close()

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """See the Protocol. Every hop's source sends to the stream's own address, once.

        Raises InvalidRoute when hops start at several nodes, NotInTopology for a node that is not
        drawn, SwitchRefused when a switch does not take the rules: then nothing is carried. What
        is cut off or not connected now is carried as soon as it can be.
        """
        if not hops:
            await self.remove(stream)
            return {}
        intent = self._intent(stream, hops)
        await self.change(self.overlay.carry(intent))
        kept = self.overlay.intents.get(stream, intent)
        if kept.refused:
            raise SwitchRefused(kept.refused, stream=stream)
        address, port = intent.stream.target, intent.stream.port
        return {hop: Endpoint(node=hop.target.node, address=address, port=port) for hop in hops}

    async def remove(self, stream: str) -> None:
        await self.change(self.overlay.forget(stream))

    async def change(self, overlay: Overlay) -> None:
        """The overlay is to be so; returns when the switches that are connected are."""
        if (overlay.intents, overlay.link_state) == (self.overlay.intents, self.overlay.link_state):
            return
        self._become(overlay)
        await self._worked()

    async def _worked(self) -> None:
        """Wait for a look that begins after this."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._flag.set()
        await done

    def watch(self, watch: Watcher) -> Callable[[], None]:
        """Call `watch` with every event from now on. Returns what ends that."""
        self._watches.append(watch)
        return lambda: self._watches.remove(watch) if watch in self._watches else None

    def stream(self, name: str) -> Stream:
        """The stream of a name with its address, whether it is carried yet or not."""
        intent = self.overlay.intents.get(name)
        others = [other.stream for other in self.overlay.intents.values()]
        return intent.stream if intent else addresses.allot(name, others)

    async def install_extra_rules(
        self, name: str, compile_rules: CompileRules | None, links: Collection[Pair] = ()
    ) -> None:
        """Have switches hold, in addition to streams' rules, what `compile_rules` makes of how they
        are plugged, and tunnels along these links; None takes away what the name had. Rules of
        streams go before."""
        self._extra_rules = {key: other for key, other in self._extra_rules.items() if key != name}
        if compile_rules is not None:
            self._extra_rules[name] = (compile_rules, frozenset(links))
        await self._worked()

    def stream_route(self, stream: str) -> tuple[tuple[Pair, ...], StreamDestination | None]:
        """See Slicing."""
        if not self.overlay.carries(stream):
            return (), None
        wanted = self.overlay.intents[stream].stream
        return self.overlay.used(stream), StreamDestination(address=wanted.target, port=wanted.port)

    async def set_slice(self, stream: str, kind: Slice | None) -> None:
        """See Slicing. Raises SwitchRefused; then the stream is not carried."""
        if self.overlay.slices.get(stream) == kind:
            return
        self._become(self.overlay.set_slice(stream, kind))
        await self._worked()
        intent = self.overlay.intents.get(stream)
        if intent and intent.refused:
            raise SwitchRefused(intent.refused, stream=stream)

    async def counters(self) -> FabricCounts:
        """See Slicing."""
        return counters.gather(await self._rollout.counts(), self.port_maps)

    def connected(self) -> frozenset[str]:
        """The nodes whose switches can be programmed now."""
        return frozenset(self._nodes[d] for d in self._board.switches if d in self._nodes)

    def ports(self, node: str) -> tuple[Port, ...]:
        """A switch's ports as last seen."""
        return tuple(self._ports.get(node, {}).values())

    def held(self, node: str) -> Program | None:
        """What a connected switch holds."""
        return self._rollout.held.get(node)

    def _intent(self, stream: str, hops: Sequence[Hop]) -> StreamIntent:
        roots = {hop.source_node for hop in hops}
        if len(roots) > 1:
            problem = f"stream {stream}: hops start at {', '.join(sorted(roots))}"
            raise InvalidRoute("A stream enters the overlay at one node", problems=[problem])
        for node in sorted(roots | {hop.target.node for hop in hops}):
            if not self.overlay.has(node):
                raise NotInTopology(f"The network has no node {node}", node=node)
        ends = (Path(leaf=hop.target.node, receiver=local_receiver(hop.target)) for hop in hops)
        paths = tuple(dict.fromkeys(ends))
        return StreamIntent(stream=self.stream(stream), root=roots.pop(), paths=paths)

    def _admits(self, dpid: int) -> bool:
        if dpid not in self._nodes and dpid not in self._refused_ids:
            self._refused_ids.add(dpid)
            log.warning("foreign switch refused", datapath_id=f"{dpid:016x}")
        return dpid in self._nodes

    def _on_signal(self, signal: Signal) -> None:
        node = self._nodes[signal.dpid]
        if isinstance(signal, signals.SwitchConnected):
            self._up(node)
        elif isinstance(signal, signals.SwitchDisconnected):
            self._rollout.held.pop(node, None)
            self._report(events.SwitchDown(node=node, datapath_id=signal.dpid))
        else:
            self._port(node, signal)
        self._flag.set()
        self._urgent.set()

    def _up(self, node: str) -> None:
        dpid = self.sites[node].datapath_id
        self._report(events.SwitchUp(node=node, datapath_id=dpid))
        before, now = self._ports.get(node), {p.number: p for p in self._board.ports(dpid)}
        self._ports[node] = now
        if before is not None:  # it was away: what it is plugged into may have changed
            self._wired.pop(node, None)
            for number in before.keys() - now.keys():
                self._report(events.PortRemoved(node=node, port=number, name=before[number].name))
            for number in now.keys() - before.keys():
                self._report(events.PortAdded(node=node, port=number, name=now[number].name))
        self._unread.add(node)
        self._look_at_ends(node, frozenset())

    def _port(self, node: str, signal: PortStatus) -> None:
        port, known = signal.port, self._ports.setdefault(node, {})
        kind = events.PortRemoved if signal.gone else events.PortAdded
        if signal.gone == (port.number in known):
            self._report(kind(node=node, port=port.number, name=port.name))
        if signal.gone:
            known.pop(port.number, None)
        else:
            known[port.number] = port
        port_maps = self.port_maps.get(node, PortMap())
        for near in [
            near for near, number in port_maps.tunnel_ports.items() if number == port.number
        ]:
            if signal.gone:
                self._wired.pop(node, None)
            self._end(TunnelEndSeen(node=node, neighbour=near, live=port.live))

    def _look_at_ends(self, node: str, new: frozenset[str]) -> None:
        """What the ports of a switch say of its tunnels."""
        ports, port_maps = self._ports.get(node), self.port_maps.get(node)
        if ports is None or port_maps is None:
            return
        for near, number in port_maps.tunnel_ports.items():
            live = number in ports and ports[number].live
            if number in ports:
                self._end(TunnelEndSeen(node=node, neighbour=near, live=live, new=near in new))

    def _end(self, seen: TunnelEndSeen | TunnelEndRemoved) -> None:
        self._become(self.overlay.observe(seen, self._clock.monotonic_s()))

    def _become(self, overlay: Overlay) -> None:
        before, self.overlay = self.overlay, overlay
        for a, b in sorted(overlay.link_state.dead - before.link_state.dead):
            self._report(events.LinkDown(a=a, b=b))
        for a, b in sorted(
            (before.link_state.dead - overlay.link_state.dead) & overlay.link_state.links
        ):
            self._report(events.LinkUp(a=a, b=b))

    def _report(self, event: Event) -> None:
        log.info("network", event_kind=event.kind, **events.body(event))
        for watch in tuple(self._watches):
            watch(event)

    async def _run(self) -> None:
        await self._settle()
        while True:
            self._flag.clear()
            self._urgent.clear()
            waiting, self._waiting = self._waiting, []
            again_s: float | None = self.settings.retry_s
            try:
                with waiters.answering(waiting):
                    again_s = await self._look()
            except Exception:
                log.exception("look crashed")
            await waiters.until(self._flag, again_s)

    async def _settle(self) -> None:
        """Wire the switches and wait until they are there: before all have told which links are
        dead, a tree might lead over one."""
        await self._wire()
        try:
            async with asyncio.timeout(self.settings.settle_s):
                while self.connected() < self.sites.keys():
                    self._flag.clear()
                    await self._flag.wait()
        except TimeoutError:
            missing = sorted(self.sites.keys() - self.connected())
            log.warning("some switches are not there", nodes=missing)

    async def _look(self) -> float | None:
        """Bring all there. Returns when to look again unasked."""
        begun_s = self._clock.monotonic_s()
        self._become(self.overlay.at(begun_s))
        # A stream whose tunnels are there is mended first: plugging spare ones takes longer.
        ready = self.overlay.ready(self.port_maps)
        if ready:
            await self._program()
        before = dict(self.port_maps)
        is_whole = await self._wire()
        if not ready or self.port_maps != before:
            await self._program()
        # What fell due meanwhile is due: it was not looked at.
        soon = [at for at in (self.overlay.next_at_s(begun_s), self._adopts_until_s) if at]
        now_s = self._clock.monotonic_s()
        waits_s = [max(at - now_s, 0.0) for at in soon if at > begun_s]
        return min(waits_s if is_whole else [*waits_s, self.settings.retry_s], default=None)

    async def _drained(self) -> None:
        """Old ways ran empty, or a switch has something to say, which is more urgent."""
        await waiters.until(self._urgent, self.settings.drain_s)

    async def _wire(self) -> bool:
        """Have the bridges made that are not as they are to be. Returns whether all were."""
        more = [link for _, links in self._extra_rules.values() for link in links]
        tunnels = self.overlay.tunnels(more, whole=self._adopting())
        wanted = wiring.wirings(self.sites, tunnels, self._controller, self.settings.tunnels)
        todo = [node for node, intent in wanted.items() if self._wired.get(node) != intent]
        done = await asyncio.gather(*(self._plug(node, wanted[node]) for node in todo))
        return all(done)

    async def _plug(self, node: str, wanted: Wiring) -> bool:
        try:
            port_maps = await self._bridges.ensure(self.sites[node], wanted)
        except Unavailable as error:
            log.warning("bridges not made", node=node, code=error.code, reason=error.message)
            return False
        before = self.port_maps.get(node, PortMap()).tunnel_ports
        self.port_maps[node], self._wired[node] = port_maps, wanted
        for near in before.keys() - port_maps.tunnel_ports.keys():
            self._end(TunnelEndRemoved(node=node, neighbour=near))
        self._look_at_ends(node, frozenset(port_maps.tunnel_ports.keys() - before.keys()))
        return True

    async def _program(self) -> None:
        """Have the connected switches hold what they are to hold."""
        unread, self._unread = self._unread, set()
        await self._rollout.read(sorted(unread))
        while True:
            overlay = self.overlay
            compiled = overlay.compile(self.port_maps)
            want = {node: self._whole(node, program) for node, program in compiled.programs.items()}
            refused = await self._rollout.reach(want, overlay.depths())
            if not refused:
                break
            self._refuse(refused)
        self.problems = compiled.problems
        for name in sorted(overlay.intents.keys() | self._reported.keys()):
            self._report_path(overlay, name)

    def _refuse(self, refused: Mapping[int, str]) -> None:
        """Streams that a switch refused are not carried at all. Raises Unavailable when it refused
        what serves none."""
        names = {intent.stream.number: name for name, intent in self.overlay.intents.items()}
        for number, why in refused.items():
            log.warning("rules refused", stream=names.get(number, ""), reason=why)
            if number not in names:
                raise Unavailable(why)
            self._become(self.overlay.refuse(names[number], why))

    def _whole(self, node: str, program: Program) -> Program:
        """With what others have the switch hold, and what it held for owners yet to come."""
        for compile_rules, _ in self._extra_rules.values():
            extra = compile_rules(self.port_maps).get(node, Program())
            program = changing.merge(program, changing.entries(extra))
        if not self._adopting():
            return program
        known = {intent.stream.number for intent in self.overlay.intents.values()}
        held = changing.entries(self._rollout.held.get(node, Program()))
        if self._extra_rules:  # what serves no stream is theirs, and they have said all of it
            known.add(0)
        kept = (e for e in held if isinstance(e, Meter) or changing.stream_of(e) not in known)
        return changing.merge(program, kept)

    def _adopting(self) -> bool:
        return self._clock.monotonic_s() < self._adopts_until_s

    def _report_path(self, overlay: Overlay, name: str) -> None:
        links = overlay.used(name) if overlay.carries(name) else ()
        error = "; ".join(self.problems.get(name, ()))
        if name not in overlay.intents:
            del self._reported[name]
        elif self._reported.get(name) == (links, error):
            return
        else:
            self._reported[name] = (links, error)
        self._report(events.PathChanged(stream=name, links=links, error=error))
