"""Two real switches with a slow tunnelled link between them, and streams that want too much of it.

In: a folder of the test's own. Out: what of each stream arrives. Each node is a namespace with Open
vSwitch; `bru` has the link, whose device a shaper slows; `ov0` is where the node's functions are.
"""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import ovs
from support.ovs import Ovs, run
from support.waiting import until
from umbel.delivery.slicing import Slices, Underlay
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network import counters, flows
from umbel.network.carriage import Carriage, Receiver, Slice, Stream, Switch
from umbel.network.carriage import Path as StreamPath
from umbel.network.counters import FabricCounts
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.drivers.tc import TcQueues
from umbel.network.model import Link, Topology
from umbel.network.slices import Flow, Grade, Offer, Terms
from umbel.network.spanning import Drawing, Pair, Role, span
from umbel.network.store import SliceStore

LINK_MBPS = 20.0
DEVICE = "to-other"
PAYLOAD, FRAME = 1200, 1242
IDS = {"root": 0xA, "leaf": 0xB}
LINK = ("root", "leaf")
TUNNEL, INSIDE = 1, 2
PLUGGED = {
    "root": Switch(toward={"leaf": TUNNEL}, outside=INSIDE),
    "leaf": Switch(toward={"root": TUNNEL}, outside=INSIDE),
}
OFFER = Offer(
    topology=Topology(nodes=LINK, links=(Link(a="root", b="leaf", mbps=LINK_MBPS),)),
    terms={
        Grade.GOLD: Terms(min_mbps=10, max_mbps=12.5),
        Grade.SILVER: Terms(min_mbps=5, max_mbps=20),
        Grade.BRONZE: Terms(min_mbps=2.5, max_mbps=20),
    },
)
"""What the link of 20 Mbit/s can promise, all three at once."""
STREAMS = {"ev1": 1, "ev2": 2, "ev3": 3}
OFFERED_MBPS = {3: 20.0, 2: 10.0, 1: 10.0}
"""By stream, twice what the link carries; the last to be sent has the worst place in each batch."""
_DRAWING = Drawing(roles={"root": Role.ROOT, "leaf": Role.LEAF}, links=(LINK,))
_MACS = {"root": "02:00:00:00:02:01", "leaf": "02:00:00:00:02:02"}


def target(number: int) -> str:
    """The address of a stream inside the overlay."""
    return f"10.203.0.{number}"


def carriage(number: int, kind: Slice | None) -> Carriage:
    """A stream from the function at the root to a socket at the leaf."""
    stream = Stream(
        name=f"ev{number}", number=number, target=target(number), port=5000 + number, slice=kind
    )
    to = Receiver(address="10.202.2.1", mac=_MACS["leaf"], port=6000 + number)
    return Carriage(
        stream=stream,
        tree=span(_DRAWING),
        paths=(StreamPath(leaf="leaf", receiver=to),),
        functions={"root": INSIDE},
    )


@dataclass
class LabFabric:
    """The three streams, carried from the root to the leaf, held to the slices they are given."""

    controller: Controller
    slices: dict[str, Slice] = field(default_factory=dict)

    def way(self, stream: str) -> tuple[tuple[Pair, ...], Flow | None]:
        number = STREAMS.get(stream, len(STREAMS) + 1)
        return (LINK,), Flow(address=target(number), port=5000 + number)

    async def slice(self, stream: str, kind: Slice | None) -> None:
        self.slices.pop(stream, None)
        if kind is not None:
            self.slices[stream] = kind
        await self.install()

    async def counted(self) -> FabricCounts:
        found = {node: await self.controller.counts(dpid) for node, dpid in IDS.items()}
        return counters.gather(found, PLUGGED)

    async def install(self) -> None:
        """Put what is wanted into the switches."""
        carried = [carriage(number, self.slices.get(name)) for name, number in STREAMS.items()]
        for node, program in flows.programs(carried, PLUGGED).items():
            await self.controller.ensure(IDS[node], program)


@asynccontextmanager
async def kept(switches: Mapping[str, Ovs], database: Database) -> AsyncIterator[Slices]:
    """Slices over these switches, with the streams carried."""
    controller = Controller(lambda _: None)

    async def connected() -> bool:
        return controller.switches == set(IDS.values())

    try:
        for name, switch in switches.items():
            await controller.listen_unix(switch.controller)
            switch.connect(IDS[name])
        await until(connected)
        fabric = LabFabric(controller)
        await fabric.install()
        queues = TcQueues(lambda node: ("ip", "netns", "exec", switches[node].namespace))
        made = Slices(
            store=SliceStore(database),
            trees=DeliveryStore(database),
            offer=OFFER,
            clock=SystemClock(),
            under=Underlay(fabric=fabric, queues=queues, devices={LINK: DEVICE}),
            pace_s=60.0,
        )
        try:
            yield made
        finally:
            await made.close()
    finally:
        await controller.close()


@contextmanager
def link(folder: Path) -> Iterator[dict[str, Ovs]]:
    """The two nodes, wired."""
    with ovs.switches(folder, dict.fromkeys(LINK, "OpenFlow14")) as running:
        root, leaf = running["root"], running["leaf"]
        run(
            *("ip", "link", "add", DEVICE, "netns", root.namespace, "type", "veth"),
            *("peer", "name", DEVICE, "netns", leaf.namespace),
        )
        for number, (name, node) in enumerate(running.items(), start=1):
            _wire(node, number, name)
        yield running


def _wire(node: Ovs, number: int, name: str) -> None:
    inside = ("ip", "-n", node.namespace)
    enter = ("ip", "netns", "exec", node.namespace)
    run(*inside, "link", "set", DEVICE, "up")
    tunnel = (
        "type=gre",
        f"options:local_ip=10.201.0.{number}",
        f"options:remote_ip=10.201.0.{3 - number}",
        "options:key=7",
        "options:tos=inherit",
        f"ofport_request={TUNNEL}",
    )
    node.vsctl(
        *("add-br", "bru", "--", "set", "bridge", "bru", "datapath_type=netdev", "--"),
        *("add-port", "bru", DEVICE, "--"),
        *("add-port", "br1", "gre0", "--", "set", "interface", "gre0", *tunnel, "--"),
        *("add-port", "br1", "ov0", "--", "set", "interface", "ov0", "type=internal"),
        f"ofport_request={INSIDE}",
        f'mac="{_MACS[name]}"',
    )
    _shape(enter)
    for interface, address in (("bru", f"10.201.0.{number}/30"), ("ov0", f"10.202.{number}.1/24")):
        run(*inside, "addr", "add", address, "dev", interface)
        run(*inside, "link", "set", interface, "up")
        run(*enter, "sysctl", "-qw", f"net.ipv4.conf.{interface}.rp_filter=0")
    run(*enter, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
    run(*enter, "ethtool", "-K", "ov0", "tx", "off")
    run(*inside, "route", "add", "10.203.0.0/16", "via", f"10.202.{number}.254", "dev", "ov0")
    gateway = ("lladdr", "02:00:00:00:02:fe", "nud", "permanent")
    run(*inside, "neigh", "add", f"10.202.{number}.254", *gateway, "dev", "ov0")


def _shape(enter: tuple[str, ...]) -> None:
    """As the testbed does; after the switch took the device, for it begins with clearing it."""
    tc = (*enter, "tc")
    rate = f"{LINK_MBPS}mbit"
    run(*tc, "qdisc", "replace", "dev", DEVICE, "root", "handle", "1:", "htb", "default", "1")
    run(*tc, "class", "add", "dev", DEVICE, "classid", "1:1", "htb", "rate", rate, "ceil", rate)
    run(
        *tc, "qdisc", "add", "dev", DEVICE, "parent", "1:1", "handle", "11:", "pfifo", "limit", "77"
    )


_RECEIVER = """
import json, selectors, socket, sys, time
ports = json.loads(sys.argv[1])
waiting, got = selectors.DefaultSelector(), {}
for port in ports:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)
    one.bind(("10.202.2.1", port))
    one.setblocking(False)
    got[port] = []
    waiting.register(one, selectors.EVENT_READ, got[port])
print("ready", flush=True)
patience_s = 20.0
while found := waiting.select(patience_s):
    patience_s = 1.0
    for key, _ in found:
        try:
            while True:
                data = key.fileobj.recv(2048)
                key.data.append((time.monotonic(), int.from_bytes(data[:4], "big")))
        except BlockingIOError:
            pass
print(json.dumps(got), flush=True)
"""
_SENDER = """
import json, socket, sys, time
flows, lasting, size = json.loads(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = [0] * len(flows)
began = time.monotonic()
while (at := time.monotonic() - began) < lasting:
    for n, (address, port, rate) in enumerate(flows):
        while sent[n] < at * rate:
            out.sendto(sent[n].to_bytes(4, "big") + bytes(size - 4), (address, port))
            sent[n] += 1
    time.sleep(0.001)
print(json.dumps(sent))
"""


@dataclass(frozen=True)
class Arrived:
    """What of a stream was sent and came, in packets, and its rate at the receiver in Mbit/s of
    Ethernet frames."""

    sent: int
    came: int
    mbps: float


def measure(
    switches: Mapping[str, Ovs], offered_mbps: Mapping[int, float], lasting_s: float
) -> dict[int, Arrived]:
    """Every stream at its rate, all at once. The first tenth is left out: queues fill."""
    flows = [(target(n), 5000 + n, mbps * 1e6 / 8 / FRAME) for n, mbps in offered_mbps.items()]
    ports = [6000 + n for n in offered_mbps]
    receiver = subprocess.Popen(
        [*_python(switches["leaf"], _RECEIVER), json.dumps(ports)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        said = run(
            *_python(switches["root"], _SENDER), json.dumps(flows), str(lasting_s), str(PAYLOAD)
        )
        got, _ = receiver.communicate(timeout=30)
    finally:
        receiver.kill()
        receiver.wait()
    came = {int(port) - 6000: packets for port, packets in json.loads(got).items()}
    return {
        number: _arrived(sent, came[number], lasting_s)
        for number, sent in zip(offered_mbps, json.loads(said), strict=True)
    }


def _arrived(sent: int, came: list[list[float]], lasting_s: float) -> Arrived:
    first = came[0][0] if came else 0.0
    begin, end = first + lasting_s * 0.1, first + lasting_s
    counted = sum(begin <= at_s < end for at_s, _ in came)
    mbps = counted * FRAME * 8 / (end - begin) / 1e6
    return Arrived(sent=sent, came=len(came), mbps=mbps)


def _python(node: Ovs, program: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", node.namespace, sys.executable, "-c", program)
