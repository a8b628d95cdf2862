"""A testbed under an OpenFlow fabric, with processes of nodes that send and take a stream.

In: a testbed that is up. Out: a fabric that runs over it; takers, which are sockets inside nodes;
senders, which are processes of nodes that number their datagrams; links cut and mended.
"""

import asyncio
import re
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from support.testbed import Testbed
from support.waiting import until
from umbel.kit import netns
from umbel.kit.clock import SystemClock
from umbel.network.drivers.hosts import NetnsHost
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.terms import Terms
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.events import Event
from umbel.network.ground import Pace
from umbel.network.model import Endpoint, Hop
from umbel.network.spanning import Drawing, pair
from umbel.network.wiring import Cable

_SENDER = """
import socket, sys, time
address, port, rate, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
sys.stdin.readline()
began = time.perf_counter()
for number in range(most):
    late = began + number / rate - time.perf_counter()
    if late > 0:
        time.sleep(late)
    sending.sendto(number.to_bytes(4, "big") + bytes(96), (address, port))
print(number + 1, time.perf_counter() - began, flush=True)
"""
_BUFFER = 64 << 20
_SO_RCVBUFFORCE = 33


def terms(host: str, *, bfd_ms: int = 20, **changes: object) -> Terms:
    """What the lab's fabrics are told, with short waits."""
    given: dict[str, object] = {
        "host": host,
        "port": 0,
        "cable": Cable(key=77, bfd_ms=bfd_ms),
        "pace": Pace(hold_down_s=2.0, grace_s=5.0),
        "settle_s": 10.0,
        "adopt_s": 0.0,
        **changes,
    }
    return Terms(**given)  # type: ignore[arg-type]


@dataclass
class Taker:
    """A process's socket: what came, by number."""

    end: Endpoint
    socket: socket.socket

    def took(self) -> Counter[int]:
        """How often each datagram came since this was asked last."""
        found: Counter[int] = Counter()
        while True:
            try:
                data = self.socket.recv(2000)
            except BlockingIOError:
                return found
            found[struct.unpack_from("!I", data)[0]] += 1


@dataclass
class Sender:
    """A process that sends when it is told to."""

    process: subprocess.Popen[str]

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    async def end(self) -> int:
        """How many were sent, after the last."""
        assert self.process.stdout is not None
        said = await asyncio.to_thread(self.process.stdout.readline)
        return int(said.split()[0])


@dataclass
class Lab:
    """A fabric over a testbed."""

    bed: Testbed
    fabric: OpenFlowFabric
    bridges: OvsdbBridges
    events: list[Event] = field(default_factory=list)

    async def connected(self) -> None:
        await self.when(lambda: self.fabric.connected() == set(self.bed.nodes))

    async def when(self, condition: object, within_s: float = 30.0) -> None:
        async def ask() -> bool:
            return bool(condition())  # type: ignore[operator]

        await until(ask, within_s=within_s)

    async def alive(self) -> None:
        """Every tunnel that is plugged is live at both ends."""

        def all_live() -> bool:
            for node, plugs in self.fabric.plugs.items():
                live = {port.number for port in self.fabric.ports(node) if port.live}
                if not live.issuperset(plugs.toward.values()):
                    return False
            return not self.fabric.overlay.ground.dead

        await self.when(all_live)

    async def carry(self, stream: str, root: str, *takers: Taker) -> Endpoint:
        """Where the root's process must send."""
        hops = [Hop(source_node=root, target=taker.end) for taker in takers]
        return next(iter((await self.fabric.ensure(stream, hops)).values()))


@asynccontextmanager
async def controlled(bed: Testbed, drawing: Drawing, given: Terms) -> AsyncIterator[Lab]:
    """A fabric over the testbed; its end leaves the switches as they are."""
    sites = {name: node.site for name, node in bed.nodes.items()}
    host = NetnsHost({name: node.namespace for name, node in bed.nodes.items()})
    bridges = OvsdbBridges(host)
    fabric = OpenFlowFabric(sites, drawing, bridges, Controller, given, SystemClock())
    lab = Lab(bed, fabric, bridges)
    fabric.watch(lab.events.append)
    await fabric.start()
    try:
        await lab.connected()
        yield lab
    finally:
        await fabric.close()
        await bridges.close()


async def bare(bed: Testbed) -> None:
    """The nodes have no bridges any more."""
    bridges = OvsdbBridges()
    try:
        await asyncio.gather(*(bridges.remove(node.site) for node in bed.nodes.values()))
    finally:
        await bridges.close()


@contextmanager
def taking(bed: Testbed, *nodes: str) -> Iterator[list[Taker]]:
    """A taker at each of these nodes, also several at one."""

    def bound(address: str) -> socket.socket:
        taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taker.setblocking(False)
        taker.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        taker.bind((address, 0))
        return taker

    takers = []
    try:
        for name in nodes:
            node = bed.nodes[name]
            made = netns.inside(node.namespace, lambda at=node.management: bound(at))
            end = Endpoint(node=name, address=node.management, port=made.getsockname()[1])
            takers.append(Taker(end, made))
        yield takers
    finally:
        for taker in takers:
            taker.socket.close()


@contextmanager
def sending(bed: Testbed, node: str, to: Endpoint, *, rate: float, most: int) -> Iterator[Sender]:
    """A process of the node that sends so many datagrams a second, so many in all."""
    command = [sys.executable, "-c", _SENDER, to.address, str(to.port), str(rate), str(most)]
    process = subprocess.Popen(
        ["ip", "netns", "exec", bed.nodes[node].namespace, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Sender(process)
    finally:
        process.kill()
        process.communicate()


async def sent(bed: Testbed, node: str, to: Endpoint, *, rate: float = 200, most: int = 50) -> int:
    """Send them all; they had a moment to arrive."""
    with sending(bed, node, to, rate=rate, most=most) as sender:
        sender.begin()
        count = await sender.end()
    await asyncio.sleep(0.2)
    return count


def cut(bed: Testbed, a: str, b: str) -> None:
    """The link carries nothing any more."""
    _set(bed, a, b, "down")


def mend(bed: Testbed, a: str, b: str) -> None:
    """It carries again."""
    _set(bed, a, b, "up")


def _set(bed: Testbed, a: str, b: str, state: str) -> None:
    bed.nodes[a].run("ip", "link", "set", bed.nodes[a].site.cables[b], state)


def dumped(bed: Testbed, node: str) -> list[str]:
    """What `ovs-ofctl dump-flows` says of a node's br1, less its counters."""
    noise = r"(cookie|duration|n_packets|n_bytes|idle_age)=\S+, ?|reset_counts "
    said = bed.nodes[node].run("ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br1")
    return sorted(re.sub(noise, "", line).strip() for line in said.splitlines()[1:])


def links(drawing: Drawing) -> set[tuple[str, str]]:
    """The drawn links by `pair`."""
    return {pair(a, b) for a, b in drawing.links}
