"""An operator's switches in memory: their bridges, their controller's end, and links to cut.

What OVSDB and OpenFlow do to real switches happens at once here, so that a fabric over them can be
asked, on virtual time, where each packet goes.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from umbel.kit.errors import UmbelError
from umbel.network.drivers.fake.switch import MemoryNetwork, MemorySwitch, Plug, Refused
from umbel.network.model import Endpoint
from umbel.network.switching import arp
from umbel.network.switching.counters import Count, SwitchCounts
from umbel.network.switching.diff import stream_of
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import CONTROLLER, Change, Field, Program, Put, Rule
from umbel.network.switching.signals import (
    Admit,
    Home,
    OnSwitchEvent,
    PacketArrived,
    Port,
    PortStatus,
    SwitchConnected,
    SwitchDisconnected,
    SwitchRefused,
    UnknownSwitch,
)
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site, Wiring

OUTSIDE, INSIDE = 100, 60
FIRST_ID = 0x756D62000000
Got = Counter[tuple[str, str, int]]


def sites(names: Sequence[str], links: Iterable[tuple[str, str]]) -> SiteRegistry:
    """A site for each name, numbered from 1."""
    near: dict[str, dict[str, str]] = {name: {} for name in names}
    for number, (a, b) in enumerate(links):
        near[a][b], near[b][a] = f"10.201.{number}.1", f"10.201.{number}.2"
    return SiteRegistry(
        {
            name: Site(
                node=name,
                ovsdb=f"tcp:10.99.{number}.1:6640",
                datapath_id=FIRST_ID + number,
                underlay=near[name],
                gateway=f"10.202.{number}.1/24",
                queues={other: f"to-{other}" for other in near[name]},
            )
            for number, name in enumerate(names, start=1)
        }
    )


def function(sites_: Mapping[str, Site], node: str, port: int) -> Endpoint:
    """A process of a node."""
    number = sites_[node].datapath_id - FIRST_ID
    return Endpoint(node=node, address=f"10.99.{number}.1", port=port)


async def _no_time() -> None:
    """At once."""


@dataclass
class World:
    """The switches, what their databases say, and who listens to them. The tables of `full` nodes
    take no further rules; without `bundles` the other changes that came along are made then.
    `tries` counts how often each was asked for changes, `asked` how often who has an IPv4 address.
    `hosts` are the Ethernet addresses of hosts outside, by their node and IPv4 address; `removed`
    are the switches whose bridges were removed, in order, once they are `removable`."""

    sites: SiteRegistry
    net: MemoryNetwork = field(default_factory=MemoryNetwork)
    wired: dict[str, dict[str, int]] = field(default_factory=dict)
    cut: set[frozenset[str]] = field(default_factory=set)
    boards: list["MemoryBoard"] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    deaf: dict[str, UmbelError] = field(default_factory=dict)
    patience: Callable[[], Awaitable[None]] = _no_time
    """What passes until a deaf node is given up."""
    expecting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The guests that each node's switch was told to expect."""
    changes: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    refuses: set[int] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    bundles: bool = True
    hosts: dict[tuple[str, str], str] = field(default_factory=dict)
    removed: list[Site] = field(default_factory=list)
    removable: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.removable.set()
        for node in self.sites:
            self.net.switches[node] = MemorySwitch()
            self.wired[node] = {}

    def board(self, on_switch_event: OnSwitchEvent, *, admit: Admit, home: Home) -> "MemoryBoard":
        """A controller takes the place of the one before."""
        made = MemoryBoard(self, on_switch_event, admit)
        self.boards = [made]
        return made

    def lose(self, a: str, b: str) -> None:
        """A link is cut: both ends notice at once."""
        self.cut.add(frozenset((a, b)))
        self._life(a, b)

    def restore(self, a: str, b: str) -> None:
        self.cut.discard(frozenset((a, b)))
        self._life(a, b)

    def leave(self, node: str) -> None:
        """A switch loses its controller."""
        self.away.add(node)
        self._each(SwitchDisconnected(dpid=self.sites[node].datapath_id))

    def come(self, node: str) -> None:
        self.away.discard(node)
        self._each(SwitchConnected(dpid=self.sites[node].datapath_id))

    def ports(self, node: str) -> tuple[Port, ...]:
        near = [
            Port(number=number, name=f"to-{other}", live=self._live(node, other))
            for other, number in self.wired[node].items()
        ]
        return (
            *near,
            Port(number=OUTSIDE, name="patch", live=True),
            Port(number=INSIDE, name="ov0", live=True),
        )

    def send(self, node: str, to: Endpoint) -> tuple[Got, list[tuple[str, str]]]:
        """One datagram from a process of a node: (node, address, port) of what arrived at
        processes, and the links that were crossed. Nothing leaves elsewhere."""
        packet: dict[Field, int | str] = {
            Field.ETH_DST: "02:00:00:00:00:fe",
            Field.ETH_TYPE: 0x0800,
            Field.IP_PROTO: 17,
            Field.IPV4_SRC: self.sites[node].gateway.partition("/")[0],
            Field.IPV4_DST: to.address,
            Field.UDP_SRC: 40_000,
            Field.UDP_DST: to.port,
        }
        delivered, crossed = self.net.send(Plug(node=node, port=INSIDE), packet)
        assert {copy.at.port for copy in delivered} <= {INSIDE, OUTSIDE}
        got = Counter(
            (
                copy.at.node,
                str(copy.packet[Field.IPV4_DST]),
                int(copy.packet[Field.UDP_DST]),
            )
            for copy in delivered
        )
        return got, crossed

    def port_map(self, node: str, near: Sequence[str]) -> None:
        """A node's tunnels are these from now on."""
        held = self.wired[node]
        for other in [name for name in held if name not in near]:
            number = held.pop(other)
            self.net.part(Plug(node=node, port=number))
            port = Port(number=number, name=f"to-{other}", live=False)
            self._each(PortStatus(dpid=self.sites[node].datapath_id, port=port, gone=True), node)
            self._life(node, other)
        for other in [name for name in near if name not in held]:
            held[other] = next(n for n in range(1, OUTSIDE) if n not in held.values())
            if node in self.wired[other]:
                self.net.join(
                    Plug(node=node, port=held[other]),
                    Plug(node=other, port=self.wired[other][node]),
                )
            self._life(node, other)

    def _live(self, a: str, b: str) -> bool:
        both = b in self.wired[a] and a in self.wired[b]
        return both and frozenset((a, b)) not in self.cut

    def _life(self, a: str, b: str) -> None:
        for here, there in ((a, b), (b, a)):
            number = self.wired[here].get(there)
            if number is None:
                continue
            down, live = self.net.switches[here].down, self._live(here, there)
            (down.discard if live else down.add)(number)
            port = Port(number=number, name=f"to-{there}", live=live)
            self._each(PortStatus(dpid=self.sites[here].datapath_id, port=port), here)

    def _each(
        self, signal: SwitchConnected | SwitchDisconnected | PortStatus, node: str = ""
    ) -> None:
        for board in self.boards:
            if node not in self.away and not board.closed and board.listening:
                board.on_switch_event(signal)


@dataclass
class MemoryBoard:
    """The controller's end: every switch that is not away is connected as soon as it listens and
    admits it."""

    world: World
    on_switch_event: OnSwitchEvent
    admit: Admit
    listening: bool = False
    closed: bool = False

    @property
    def switches(self) -> frozenset[int]:
        there = self.world.sites.keys() - self.world.away
        ids = (self.world.sites[node].datapath_id for node in there)
        return frozenset(dpid for dpid in ids if self.admit(dpid))

    async def listen(self, host: str, port: int) -> int:
        self.listening = True
        for node, site in self.world.sites.items():
            if node not in self.world.away and self.admit(site.datapath_id):
                self.on_switch_event(SwitchConnected(dpid=site.datapath_id))
        return port or 6653

    async def close(self) -> None:
        self.closed = True

    async def send(self, dpid: int, port: int, frame: bytes) -> None:
        """A host that the world has answers to an ARP request, and its switch sends that up."""
        node, asked = self._node(dpid), arp.parse(frame)
        assert asked is not None
        self.world.asked[asked.target] += 1
        mac = self.world.hosts.get((node, asked.target)) if port == OUTSIDE else None
        if mac is None:
            return
        packet: dict[Field, int | str] = {
            Field.ETH_DST: arp.ASKER,
            Field.ETH_SRC: mac,
            Field.ETH_TYPE: arp.ETHERTYPE,
            Field.ARP_SPA: asked.target,
        }
        went = self.world.net.switches[node].process(packet, OUTSIDE)
        if any(out == CONTROLLER for out, _ in went):
            self.on_switch_event(PacketArrived(dpid=dpid, frame=arp.reply(mac, asked.target)))

    def ports(self, dpid: int) -> tuple[Port, ...]:
        return self.world.ports(self._node(dpid))

    async def held(self, dpid: int) -> Program | None:
        return self.world.net.switches[self._node(dpid)].program

    async def counts(self, dpid: int) -> SwitchCounts:
        metered = self.world.net.switches[self._node(dpid)].metered
        return SwitchCounts(meters={n: Count(packets=times) for n, times in metered.items()})

    async def clear(self, dpid: int) -> None:
        self.world.net.switches[self._node(dpid)] = MemorySwitch()

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        node = self._node(dpid)
        self.world.tries[node] += 1
        for change in changes:
            if isinstance(change, Put) and stream_of(change.entry) in self.world.refuses:
                raise SwitchRefused(type=5, number=1)
        if node in self.world.full:
            self._fill(node, changes)
        try:
            self.world.net.switches[node].apply(changes)
        except Refused as error:
            raise SwitchRefused(error.message) from None
        self.world.changes[node] += len(changes)

    def _fill(self, node: str, changes: Sequence[Change]) -> None:
        """Raises SwitchRefused when there are further rules among the changes."""
        further = [c for c in changes if isinstance(c, Put) and c.new and isinstance(c.entry, Rule)]
        if not further:
            return
        if not self.world.bundles:
            self.world.net.switches[node].apply([c for c in changes if c not in further])
        raise SwitchRefused(type=5, number=1)

    def _node(self, dpid: int) -> str:
        for node, site in self.world.sites.items():
            if site.datapath_id == dpid and node not in self.world.away:
                return node
        raise UnknownSwitch(dpid=dpid)


@dataclass
class MemoryBridges:
    """Bridges that are made at once. Those of `deaf` nodes fail as said there, after
    the world's `patience`."""

    world: World

    async def check(self, site: Site) -> None:
        if site.node in self.world.deaf:
            await self.world.patience()
            raise self.world.deaf[site.node]

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        await self.check(site)
        self.world.expecting[site.node] = wiring.guests
        self.world.port_map(site.node, [tunnel.neighbour for tunnel in wiring.tunnels])
        number = site.datapath_id - FIRST_ID
        return PortMap(
            tunnel_ports=dict(self.world.wired[site.node]),
            patch_port=OUTSIDE,
            local_port=INSIDE,
            local_mac=f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}",
        )

    async def remove(self, site: Site) -> None:
        """With br1 its rules go, and its connection."""
        await self.check(site)
        await self.world.removable.wait()
        self.world.port_map(site.node, [])
        self.world.net.switches[site.node] = MemorySwitch()
        self.world.removed.append(site)
