"""Streams over the operator's switches: wires them, programs them and mends around what fails.

In: hops from delivery, paths and drawings from operators, signals from switches. Out: bridges
(ovsdb), programs (the controller), and what happened, to whoever watches. overlay.py decides; one
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
from umbel.network.drivers.openflow.rollout import Hands
from umbel.network.drivers.openflow.settings import MakeBoard, Terms, Weave
from umbel.network.events import Event, Watch
from umbel.network.model import Endpoint, Hop, Pair
from umbel.network.overlay import addresses, streams
from umbel.network.overlay.intent import Overlay, Wish
from umbel.network.overlay.intent import switch as plugged
from umbel.network.overlay.links import EndGone, EndSeen, Ground, Life
from umbel.network.overlay.spanning import Drawing
from umbel.network.overlay.streams import BadCarriage, Path, Slice, Stream
from umbel.network.slices.admission import Flow
from umbel.network.switching import counters
from umbel.network.switching import diff as changing
from umbel.network.switching.counters import FabricCounts
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.ports import Bridges
from umbel.network.switching.program import Meter, Program
from umbel.network.switching.signals import (
    Port,
    PortChanged,
    Signal,
    SwitchDown,
    SwitchRefused,
    SwitchUp,
)
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
        terms: Terms,
        clock: Clock,
    ) -> None:
        self.sites, self.terms = sites, terms
        self._bridges, self._clock = bridges, clock
        self._board = board(self._hear, admit=self._admits)
        self._nodes = {site.datapath_id: node for node, site in sites.items()}
        ids = {node: site.datapath_id for node, site in sites.items()}
        self._hands = Hands(self._board, ids, self._drained)
        self.overlay = Overlay(ground=Ground(drawing=drawing), life=Life(pace=terms.pace))
        self.plugs: dict[str, Plugs] = {}
        self.problems: Mapping[str, tuple[str, ...]] = {}
        self._wired: dict[str, Wiring] = {}
        self._unread: set[str] = set()
        self._ports: dict[str, dict[int, Port]] = {}
        self._refused_ids: set[int] = set()
        self._watches: list[Watch] = []
        self._told: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {}
        self._others: dict[str, tuple[Weave, frozenset[Pair]]] = {}
        self._controller = ""
        self._adopts_until_s = 0.0
        self._flag, self._urgent = asyncio.Event(), asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen for switches, and bring them there from now on. Answers the port."""
        port = await self._board.listen(self.terms.host, self.terms.port)
        self._controller = f"tcp:{self.terms.host}:{port}"
        self._adopts_until_s = self._clock.monotonic_s() + self.terms.adopt_s
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
        """As the Protocol says. Every hop's source sends to the stream's own address, once.

        Raises BadCarriage when hops start at several nodes, NotInTopology for a node that is not
        drawn, SwitchRefused when a switch does not take the rules: then nothing is carried. What
        is cut off or not connected now is carried as soon as it can be.
        """
        if not hops:
            await self.remove(stream)
            return {}
        wish = self._wish(stream, hops)
        await self.change(self.overlay.carry(wish))
        kept = self.overlay.wishes.get(stream, wish)
        if kept.refused:
            raise SwitchRefused(kept.refused, stream=stream)
        address, port = wish.stream.target, wish.stream.port
        return {hop: Endpoint(node=hop.target.node, address=address, port=port) for hop in hops}

    async def remove(self, stream: str) -> None:
        await self.change(self.overlay.forget(stream))

    async def change(self, overlay: Overlay) -> None:
        """The overlay is to be so; returns when the switches that are connected are."""
        if overlay.wishes == self.overlay.wishes and overlay.ground == self.overlay.ground:
            return
        self._become(overlay)
        await self._worked()

    async def _worked(self) -> None:
        """Wait for a look that begins after this."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._flag.set()
        await done

    def watch(self, watch: Watch) -> Callable[[], None]:
        """Have every event told from now on. Answers what ends that."""
        self._watches.append(watch)
        return lambda: self._watches.remove(watch) if watch in self._watches else None

    def stream(self, name: str) -> Stream:
        """The stream of a name with its address, whether it is carried yet or not."""
        wish = self.overlay.wishes.get(name)
        others = [other.stream for other in self.overlay.wishes.values()]
        return wish.stream if wish else addresses.allot(name, others)

    async def also(self, name: str, weave: Weave | None, links: Collection[Pair] = ()) -> None:
        """Have switches hold, besides streams' rules, what `weave` makes of how they are plugged,
        and tunnels along these links; None takes away what the name had. Rules of streams go
        before."""
        self._others = {key: other for key, other in self._others.items() if key != name}
        if weave is not None:
            self._others[name] = (weave, frozenset(links))
        await self._worked()

    def way(self, stream: str) -> tuple[tuple[Pair, ...], Flow | None]:
        """As the Protocol Slicing says."""
        if not self.overlay.carries(stream):
            return (), None
        wanted = self.overlay.wishes[stream].stream
        return self.overlay.used(stream), Flow(address=wanted.target, port=wanted.port)

    async def slice(self, stream: str, kind: Slice | None) -> None:
        """As the Protocol Slicing says. Raises SwitchRefused; then the stream is not carried."""
        if self.overlay.slices.get(stream) == kind:
            return
        self._become(self.overlay.slice(stream, kind))
        await self._worked()
        wish = self.overlay.wishes.get(stream)
        if wish and wish.refused:
            raise SwitchRefused(wish.refused, stream=stream)

    async def counted(self) -> FabricCounts:
        """As the Protocol Slicing says."""
        switches = {node: plugged(held) for node, held in self.plugs.items()}
        return counters.gather(await self._hands.counts(), switches)

    def connected(self) -> frozenset[str]:
        """The nodes whose switches can be programmed now."""
        return frozenset(self._nodes[d] for d in self._board.switches if d in self._nodes)

    def ports(self, node: str) -> tuple[Port, ...]:
        """A switch's ports as last seen."""
        return tuple(self._ports.get(node, {}).values())

    def held(self, node: str) -> Program | None:
        """What a connected switch holds."""
        return self._hands.held.get(node)

    def _wish(self, stream: str, hops: Sequence[Hop]) -> Wish:
        roots = {hop.source_node for hop in hops}
        if len(roots) > 1:
            problem = f"stream {stream}: hops start at {', '.join(sorted(roots))}"
            raise BadCarriage("A stream enters the overlay at one node", problems=[problem])
        for node in sorted(roots | {hop.target.node for hop in hops}):
            if not self.overlay.has(node):
                raise NotInTopology(f"The network has no node {node}", node=node)
        paths = (Path(leaf=hop.target.node, receiver=streams.process(hop.target)) for hop in hops)
        return Wish(stream=self.stream(stream), root=roots.pop(), paths=tuple(dict.fromkeys(paths)))

    def _admits(self, dpid: int) -> bool:
        if dpid not in self._nodes and dpid not in self._refused_ids:
            self._refused_ids.add(dpid)
            log.warning("foreign switch refused", datapath_id=f"{dpid:016x}")
        return dpid in self._nodes

    def _hear(self, signal: Signal) -> None:
        node = self._nodes[signal.dpid]
        if isinstance(signal, SwitchUp):
            self._up(node)
        elif isinstance(signal, SwitchDown):
            self._hands.held.pop(node, None)
            self._tell(events.SwitchDown(node=node, datapath_id=signal.dpid))
        else:
            self._port(node, signal)
        self._flag.set()
        self._urgent.set()

    def _up(self, node: str) -> None:
        dpid = self.sites[node].datapath_id
        self._tell(events.SwitchUp(node=node, datapath_id=dpid))
        before, now = self._ports.get(node), {p.number: p for p in self._board.ports(dpid)}
        self._ports[node] = now
        if before is not None:  # it was away: what it is plugged into may have changed
            self._wired.pop(node, None)
            for number in before.keys() - now.keys():
                self._tell(events.PortRemoved(node=node, port=number, name=before[number].name))
            for number in now.keys() - before.keys():
                self._tell(events.PortAdded(node=node, port=number, name=now[number].name))
        self._unread.add(node)
        self._look_at_ends(node, frozenset())

    def _port(self, node: str, signal: PortChanged) -> None:
        port, known = signal.port, self._ports.setdefault(node, {})
        kind = events.PortRemoved if signal.gone else events.PortAdded
        if signal.gone == (port.number in known):
            self._tell(kind(node=node, port=port.number, name=port.name))
        if signal.gone:
            known.pop(port.number, None)
        else:
            known[port.number] = port
        plugs = self.plugs.get(node, Plugs())
        for near in [near for near, number in plugs.toward.items() if number == port.number]:
            if signal.gone:
                self._wired.pop(node, None)
            self._end(EndSeen(node=node, neighbour=near, live=port.live))

    def _look_at_ends(self, node: str, new: frozenset[str]) -> None:
        """What the ports of a switch say of its tunnels."""
        ports, plugs = self._ports.get(node), self.plugs.get(node)
        if ports is None or plugs is None:
            return
        for near, number in plugs.toward.items():
            live = number in ports and ports[number].live
            if number in ports:
                self._end(EndSeen(node=node, neighbour=near, live=live, new=near in new))

    def _end(self, seen: EndSeen | EndGone) -> None:
        self._become(self.overlay.seen(seen, self._clock.monotonic_s()))

    def _become(self, overlay: Overlay) -> None:
        before, self.overlay = self.overlay, overlay
        for a, b in sorted(overlay.ground.dead - before.ground.dead):
            self._tell(events.LinkDown(a=a, b=b))
        for a, b in sorted((before.ground.dead - overlay.ground.dead) & overlay.ground.links):
            self._tell(events.LinkUp(a=a, b=b))

    def _tell(self, event: Event) -> None:
        log.info("network", event_kind=event.kind, **events.body(event))
        for watch in tuple(self._watches):
            watch(event)

    async def _run(self) -> None:
        await self._settle()
        while True:
            self._flag.clear()
            self._urgent.clear()
            waiting, self._waiting = self._waiting, []
            again_s: float | None = self.terms.retry_s
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
            async with asyncio.timeout(self.terms.settle_s):
                while self.connected() < self.sites.keys():
                    self._flag.clear()
                    await self._flag.wait()
        except TimeoutError:
            missing = sorted(self.sites.keys() - self.connected())
            log.warning("some switches are not there", nodes=missing)

    async def _look(self) -> float | None:
        """Bring all there. Answers when to look again unasked."""
        begun_s = self._clock.monotonic_s()
        self._become(self.overlay.at(begun_s))
        # A stream whose tunnels are there is mended first: plugging spare ones takes longer.
        ready = self.overlay.ready(self.plugs)
        if ready:
            await self._program()
        before = dict(self.plugs)
        is_whole = await self._wire()
        if not ready or self.plugs != before:
            await self._program()
        # What fell due meanwhile is due: it was not looked at.
        soon = [at for at in (self.overlay.next_at_s(begun_s), self._adopts_until_s) if at]
        now_s = self._clock.monotonic_s()
        waits_s = [max(at - now_s, 0.0) for at in soon if at > begun_s]
        return min(waits_s if is_whole else [*waits_s, self.terms.retry_s], default=None)

    async def _drained(self) -> None:
        """Old ways ran empty, or a switch has something to say, which is more urgent."""
        await waiters.until(self._urgent, self.terms.drain_s)

    async def _wire(self) -> bool:
        """Have the bridges made that are not as they are to be. Answers whether all were."""
        more = [link for _, links in self._others.values() for link in links]
        tunnels = self.overlay.tunnels(more, whole=self._adopting())
        wanted = wiring.wirings(self.sites, tunnels, self._controller, self.terms.cable)
        todo = [node for node, wish in wanted.items() if self._wired.get(node) != wish]
        done = await asyncio.gather(*(self._plug(node, wanted[node]) for node in todo))
        return all(done)

    async def _plug(self, node: str, wanted: Wiring) -> bool:
        try:
            plugs = await self._bridges.ensure(self.sites[node], wanted)
        except Unavailable as error:
            log.warning("bridges not made", node=node, code=error.code, reason=error.message)
            return False
        before = self.plugs.get(node, Plugs()).toward
        self.plugs[node], self._wired[node] = plugs, wanted
        for near in before.keys() - plugs.toward.keys():
            self._end(EndGone(node=node, neighbour=near))
        self._look_at_ends(node, frozenset(plugs.toward.keys() - before.keys()))
        return True

    async def _program(self) -> None:
        """Have the connected switches hold what they are to hold."""
        unread, self._unread = self._unread, set()
        await self._hands.read(sorted(unread))
        while True:
            overlay = self.overlay
            woven = overlay.weave(self.plugs)
            want = {node: self._whole(node, program) for node, program in woven.programs.items()}
            refused = await self._hands.reach(want, overlay.depths())
            if not refused:
                break
            self._refuse(refused)
        self.problems = woven.problems
        for name in sorted(overlay.wishes.keys() | self._told.keys()):
            self._tell_path(overlay, name)

    def _refuse(self, refused: Mapping[int, str]) -> None:
        """Streams that a switch refused are not carried at all. Raises Unavailable when it refused
        what serves none."""
        names = {wish.stream.number: name for name, wish in self.overlay.wishes.items()}
        for number, why in refused.items():
            log.warning("rules refused", stream=names.get(number, ""), reason=why)
            if number not in names:
                raise Unavailable(why)
            self._become(self.overlay.refuse(names[number], why))

    def _whole(self, node: str, program: Program) -> Program:
        """With what others have the switch hold, and what it held for owners yet to come."""
        for weave, _ in self._others.values():
            extra = weave(self.plugs).get(node, Program())
            program = changing.merge(program, changing.entries(extra))
        if not self._adopting():
            return program
        known = {wish.stream.number for wish in self.overlay.wishes.values()}
        held = changing.entries(self._hands.held.get(node, Program()))
        if self._others:  # what serves no stream is theirs, and they have said all of it
            known.add(0)
        kept = (e for e in held if isinstance(e, Meter) or changing.stream_of(e) not in known)
        return changing.merge(program, kept)

    def _adopting(self) -> bool:
        return self._clock.monotonic_s() < self._adopts_until_s

    def _tell_path(self, overlay: Overlay, name: str) -> None:
        links = overlay.used(name) if overlay.carries(name) else ()
        error = "; ".join(self.problems.get(name, ()))
        if name not in overlay.wishes:
            del self._told[name]
        elif self._told.get(name) == (links, error):
            return
        else:
            self._told[name] = (links, error)
        self._tell(events.PathChanged(stream=name, links=links, error=error))
