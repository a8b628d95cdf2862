"""Streams over the operator's switches: wires and programs them, and routes around failures.

In: hops from delivery, paths and drawings from operators, events of switches. Out: bridges
(ovsdb), programs (the controller), and events to all watchers (reports.py). overlay/intent.py
decides; one task reconciles the switches with it, woken by changes, which it coalesces.

After a start nothing is removed from switches for `adopt_s`: the owners of what they hold are
still to request it again. Until then each switch has a tunnel to every neighbour.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import Unavailable
from umbel.kit.signal import Signal
from umbel.network import events
from umbel.network.drivers.openflow import waiting as waiters
from umbel.network.drivers.openflow.extra_rules import ExtraRules
from umbel.network.drivers.openflow.neighbours import Neighbours
from umbel.network.drivers.openflow.reports import Reports
from umbel.network.drivers.openflow.retries import Retries
from umbel.network.drivers.openflow.rollout import Refusal, Rollout
from umbel.network.drivers.openflow.settings import MakeBoard, OpenFlowSettings
from umbel.network.drivers.openflow.switches import Switches
from umbel.network.drivers.openflow.wires import Wires
from umbel.network.events import Watcher
from umbel.network.model import Endpoint, Hop, Pair
from umbel.network.overlay import addresses
from umbel.network.overlay.hops import intent_of
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.links import LinkState
from umbel.network.overlay.liveness import Liveness, TunnelEndRemoved, TunnelEndSeen
from umbel.network.overlay.spanning import Drawing
from umbel.network.overlay.streams import Slice, Stream, StreamIntent
from umbel.network.ports import CompileRules, ObservedSwitches
from umbel.network.slices.admission import StreamDestination
from umbel.network.switching import counters, signals
from umbel.network.switching import diff as changing
from umbel.network.switching.counters import FabricCounts
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.ports import Bridges
from umbel.network.switching.program import Meter, Program
from umbel.network.switching.signals import PortStatus, SwitchRefused
from umbel.network.topology import underlay
from umbel.network.topology.registry import SiteRegistry

log = structlog.get_logger(__name__)


class OpenFlowFabric:
    """A Fabric over the switches of `sites`. The network makes the copies."""

    copies = True

    def __init__(
        self,
        sites: SiteRegistry,
        drawing: Drawing,
        bridges: Bridges,
        board: MakeBoard,
        settings: OpenFlowSettings,
        clock: Clock,
    ) -> None:
        self.sites, self.settings, self._clock = sites, settings, clock
        switches = self._switches = Switches(sites)
        self._board = board(self._on_switch_event, admit=switches.admits, home=switches.home)
        self._rollout = Rollout(self._board, sites, self._drain)
        self.overlay = Overlay(link_state=LinkState(drawing=drawing))
        self._liveness = Liveness(settings.liveness)
        self._wires = Wires(
            sites, bridges, settings.tunnels, self._read_tunnel_ends, self._on_tunnel_removed
        )
        self._wires.lost = lambda: switches.ports.keys() - self.connected()
        self.port_maps: Mapping[str, PortMap] = self._wires.port_maps
        self.problems: Mapping[str, tuple[str, ...]] = {}
        self.neighbours = Neighbours(self._board, self.port_maps)
        self._refused_at: dict[str, str] = {}
        self._retries = Retries(settings.retry_s)
        self._reports = Reports()
        self._extra_rules = ExtraRules()
        self._controller = ""
        self._adopts_until_s = 0.0
        self._changed, self._switch_events = Signal(), Signal()
        self._followed, self._wires.on_late = sites.revision, self._changed.notify
        sites.watch(self._changed.notify)
        self._next_switch_event = self._switch_events.listen()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen for switches, and reconcile them from now on. Returns the port."""
        port = await self._board.listen(self.settings.host, self.settings.port)
        self._controller = f"tcp:{self.settings.host}:{port}"
        self._adopts_until_s = self._clock.monotonic_s() + self.settings.adopt_s
        self._task = asyncio.create_task(self._run(), name="overlay")
        return port

    async def close(self) -> None:
        """Disconnect the switches; they keep what they hold."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for one in self._waiting:
            one.cancel()
        await self._wires.close()
        await self._board.close()

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """See the Protocol. Every hop's source sends to the stream's own address, once.

        Raises InvalidRoute when hops start at several nodes, NotInTopology for a node that is not
        drawn, SwitchRefused when a switch does not take the rules: then the stream is carried as
        before, if it was. What is cut off or not connected now is carried as soon as it can be. A
        new route around a dead link that a switch refuses is tried again; until then the stream
        stays on the old one.
        """
        if not hops:
            await self.remove(stream)
            return {}
        has_node, guest_home = self.overlay.has, self.sites.guest_home
        named = self.stream(stream)
        intent = intent_of(named, hops, has_node=has_node, guest_home=guest_home)
        await self.change(self.overlay.carry(intent))
        self._check_taken(stream, intent)
        address, port = intent.stream.target, intent.stream.port
        return {hop: Endpoint(node=hop.target.node, address=address, port=port) for hop in hops}

    async def remove(self, stream: str) -> None:
        self._refused_at.pop(stream, None)
        await self.change(self.overlay.forget(stream))

    async def change(self, overlay: Overlay) -> None:
        """See the Protocol."""
        before = (self.overlay.intents, self.overlay.link_state, self._followed)
        if before == (overlay.intents, overlay.link_state, self.sites.revision):
            return
        self._set_overlay(overlay)
        await self._reconciled()

    async def _reconciled(self) -> None:
        """Wait for a reconciliation that begins after this."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._changed.notify()
        await done

    def watch(self, watch: Watcher) -> Callable[[], None]:
        """See the Protocol."""
        return self._reports.watch(watch)

    def stream(self, name: str) -> Stream:
        """The stream of a name with its address, whether it is carried yet or not."""
        intent = self.overlay.intents.get(name)
        others = [other.stream for other in self.overlay.intents.values()]
        return intent.stream if intent else addresses.allot(name, others)

    async def install_extra_rules(
        self,
        name: str,
        compile_rules: CompileRules | None,
        links: Collection[Pair] = (),
        guests: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """See the Protocol. Streams' rules come first."""
        self._extra_rules.set(name, compile_rules, links, guests)
        await self._reconciled()

    def stream_route(self, stream: str) -> tuple[tuple[Pair, ...], StreamDestination | None]:
        """See SlicingFabric."""
        if not self.overlay.carries(stream):
            return (), None
        wanted = self.overlay.intents[stream].stream
        return self.overlay.used(stream), StreamDestination(address=wanted.target, port=wanted.port)

    async def set_slice(self, stream: str, kind: Slice | None) -> None:
        """See SlicingFabric. Raises SwitchRefused; then the stream is carried as before."""
        if self.overlay.slices.get(stream) == kind:
            return
        self._set_overlay(self.overlay.set_slice(stream, kind))
        await self._reconciled()
        self._check_taken(stream)

    async def counters(self) -> FabricCounts:
        """See SlicingFabric."""
        return counters.gather(await self._rollout.counts(), self.port_maps)

    def connected(self) -> frozenset[str]:
        """The nodes whose switches can be programmed now."""
        nodes = (self.sites.node_of(dpid) for dpid in self._board.switches)
        return frozenset(node for node in nodes if node is not None)

    @property
    def observed(self) -> ObservedSwitches:
        """See the Protocol."""
        return ObservedSwitches(
            switches=self._switches.states(self.connected(), self._rollout.held),
            port_maps=dict(self.port_maps),
            problems=self.problems,
        )

    def _check_taken(self, stream: str, asked: StreamIntent | None = None) -> None:
        """Raises SwitchRefused when a switch did not take the stream as it was last `asked` for."""
        intent = self.overlay.intents.get(stream)
        if intent is not None and (why := intent.refused or intent.rejected):
            node = self._refused_at.get(stream, "")
            leaves = self.overlay.behind(asked, node) if asked else ()
            raise SwitchRefused(why, stream=stream, node=node, leaves=list(leaves))

    def _on_switch_event(self, event: signals.SwitchEvent) -> None:
        if isinstance(event, signals.PacketArrived):
            self.neighbours.on_packet(event)
            return
        node = self.sites.node_of(event.dpid)
        if node is None:  # its site went first
            return
        if isinstance(event, signals.SwitchConnected):
            self._on_connected(node)
        elif isinstance(event, signals.SwitchDisconnected):
            self._rollout.held.pop(node, None)
            self._reports.report(events.SwitchDown(node=node, datapath_id=event.dpid))
        else:
            self._on_port(node, event)
        self._changed.notify()
        self._switch_events.notify()

    def _on_connected(self, node: str) -> None:
        dpid = self.sites[node].datapath_id
        self._reports.report(events.SwitchUp(node=node, datapath_id=dpid))
        before = self._switches.connect(node, self._board.ports(dpid))
        if before is not None:  # it was away: its wiring may have changed
            self._wires.forget(node)
            self._reports.report_ports(node, before, self._switches.ports[node])
        self._read_tunnel_ends(node, frozenset())

    def _on_port(self, node: str, event: PortStatus) -> None:
        port = event.port
        if self._switches.update_port(node, event):
            kind = events.PortRemoved if event.gone else events.PortAdded
            self._reports.report(kind(node=node, port=port.number, name=port.name))
            self._wires.forget_guests(node)
        port_maps = self.port_maps.get(node, PortMap())
        for near in [
            near for near, number in port_maps.tunnel_ports.items() if number == port.number
        ]:
            if event.gone:
                self._wires.forget(node)
            self._observe(TunnelEndSeen(node=node, neighbour=near, live=port.live))

    def _read_tunnel_ends(self, node: str, new: frozenset[str]) -> None:
        """Observe a switch's tunnels by its ports."""
        ports, port_maps = self._switches.ports.get(node), self.port_maps.get(node)
        if ports is None or port_maps is None:
            return
        for near, number in port_maps.tunnel_ports.items():
            live = number in ports and ports[number].live
            if number in ports:
                self._observe(TunnelEndSeen(node=node, neighbour=near, live=live, new=near in new))

    def _on_tunnel_removed(self, node: str, near: str) -> None:
        self._observe(TunnelEndRemoved(node=node, neighbour=near))

    def _observe(self, seen: TunnelEndSeen | TunnelEndRemoved) -> None:
        now_s = self._clock.monotonic_s()
        self._liveness.observe(seen, now_s)
        self._set_overlay(self.overlay.after(self._liveness.dead(now_s)))

    def _set_overlay(self, overlay: Overlay) -> None:
        before, self.overlay = self.overlay, overlay
        self._reports.report_links(before, overlay)

    async def _run(self) -> None:
        await self._wait_for_switches()
        while True:
            changed, self._next_switch_event = self._changed.listen(), self._switch_events.listen()
            waiting, self._waiting = self._waiting, []
            again_s: float | None = self.settings.retry_s
            try:
                with waiters.answering(waiting):
                    again_s = await self._reconcile()
            except Exception:
                log.exception("reconcile crashed")
            await changed.wait(again_s)

    async def _wait_for_switches(self) -> None:
        """Wire the switches and wait until they are connected: until all have reported which links
        are dead, a tree might lead over one."""
        await self._wire()
        try:
            async with asyncio.timeout(self.settings.settle_s):
                while self.connected() < self.sites.keys():
                    await self._changed.listen().wait()
        except TimeoutError:
            missing = sorted(self.sites.keys() - self.connected())
            log.warning("some switches are not connected", nodes=missing)

    async def _reconcile(self) -> float | None:
        """Wire and program the switches. Returns in how many seconds to do it again unasked."""
        begun_s = self._clock.monotonic_s()
        self._follow_sites()
        self._set_overlay(self.overlay.after(self._liveness.dead(begun_s)))
        if self._retries.is_due(begun_s):
            self._set_overlay(self.overlay.retry())
        # A stream whose tunnels exist is repaired first: wiring the spare ones takes longer.
        ready = self.overlay.ready(self.port_maps)
        if ready:
            await self._program()
        before = dict(self.port_maps)
        is_wired = await self._wire()
        if not ready or self.port_maps != before:
            await self._program()
        # What fell due in the meantime was not handled yet.
        retry_at_s = self._retries.update(begun_s, is_refused=self.overlay.is_refused)
        due = (self._liveness.next_at_s(begun_s), self._adopts_until_s, retry_at_s)
        soon = [at for at in due if at]
        now_s = self._clock.monotonic_s()
        waits_s = [max(at - now_s, 0.0) for at in soon if at > begun_s]
        return min(waits_s if is_wired else [*waits_s, self.settings.retry_s], default=None)

    def _follow_sites(self) -> None:
        """Forget switches whose sites went, and take those that connected before theirs came."""
        self._followed = self.sites.revision
        for site in self._switches.forget_gone():
            if self._rollout.held.pop(site.node, None) is not None:
                down = events.SwitchDown(node=site.node, datapath_id=site.datapath_id)
                self._reports.report(down)
        for node in self._switches.unmet(self._board.switches):
            self._on_connected(node)

    async def _drain(self) -> None:
        """Wait until old paths are empty, or a switch reports something, which is more urgent."""
        await self._next_switch_event.wait(self.settings.drain_s)

    async def _wire(self) -> bool:
        """Make the bridges that are not wired as desired. Returns whether all could be made."""
        tunnels = self.overlay.tunnels(self._extra_rules.links)
        if self._is_adopting():  # also along links of nodes that are still to be drawn again
            tunnels = {node: tuple(site.underlay) for node, site in self.sites.items()}
        targets = addresses.foreign_targets(self.overlay.intents.values())
        dead = self.overlay.link_state.dead
        routes = underlay.routes(self.sites, dead) if self.settings.routes_nodes else {}
        more = (targets, routes, self._extra_rules.guests)
        return await self._wires.ensure(tunnels, self._controller, *more)

    async def _program(self) -> None:
        """Install the desired programs on the connected switches."""
        unread, self._switches.unread = self._switches.unread, set()
        await self._rollout.read(sorted(unread))
        while True:
            overlay = self.overlay
            compiled = overlay.compile(self.port_maps)
            want = {
                node: self._with_extra_rules(node, program)
                for node, program in compiled.programs.items()
            }
            refused = await self._rollout.install(want, overlay.depths())
            if not refused:
                break
            self._refuse(refused)
        self._set_overlay(self.overlay.accept(overlay))
        self.problems = compiled.problems
        self._reports.report_paths(overlay, compiled.problems)

    def _refuse(self, refused: Mapping[int, Refusal]) -> None:
        """Streams that a switch refused are carried as before they were changed or rerouted, or not
        at all. Raises Unavailable when it refused rules of no stream."""
        names = {intent.stream.number: name for name, intent in self.overlay.intents.items()}
        for number, one in refused.items():
            log.warning("rules refused", stream=names.get(number, ""), reason=one.why)
            if number not in names:
                raise Unavailable(one.why)
            self._refused_at[names[number]] = one.node
            self._set_overlay(self.overlay.refuse(names[number], one.why))

    def _with_extra_rules(self, node: str, program: Program) -> Program:
        """The program with extra rules, and what the switch holds for owners still to come."""
        program = self._extra_rules.merge(node, program, self.port_maps)
        if not self._is_adopting():
            return program
        known = {intent.stream.number for intent in self.overlay.intents.values()}
        held = changing.entries(self._rollout.held.get(node, Program()))
        if not self._extra_rules.is_empty:  # rules of no stream are theirs, and theirs are complete
            known.add(0)
        kept = (e for e in held if isinstance(e, Meter) or changing.stream_of(e) not in known)
        return changing.merge(program, kept)

    def _is_adopting(self) -> bool:
        return self._clock.monotonic_s() < self._adopts_until_s
