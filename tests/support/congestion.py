"""A testbed of two nodes with a slow link between them, and streams that want too much of it.

In: a folder of the test's own. Out: slices kept over the operator's fabric, as the platform wires
them, and what of each stream arrives at the far node.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import overlay_lab, testbed
from support.overlay_lab import Lab
from support.testbed import Node, Testbed
from umbel.delivery.slice_streams import TreeStreams
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.linux.tc import TcQueues
from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.slices.admission import Grade, Offer, Terms
from umbel.network.slices.service import Slices, Underlay
from umbel.network.slices.store import SliceStore

LINK_MBPS = 20.0
PAYLOAD, FRAME = 1200, 1242
LINK = ("root", "leaf")
OFFER = Offer(
    topology=Topology(nodes=LINK, links=(Link(a="root", b="leaf", mbps=LINK_MBPS),)),
    terms={
        Grade.GOLD: Terms(min_mbps=10, max_mbps=12.5),
        Grade.SILVER: Terms(min_mbps=5, max_mbps=20),
        Grade.BRONZE: Terms(min_mbps=2.5, max_mbps=20),
    },
)
"""What the link of 20 Mbit/s can promise, all three at once."""
STREAMS = {"ev1": 1, "ev2": 2, "ev3": 3, "ev4": 4}
OFFERED_MBPS = {3: 20.0, 2: 10.0, 1: 10.0}
"""By stream, twice what the link carries; the last to be sent has the worst place in each batch."""
_DRAWING = Drawing(roles={"root": Role.ROOT, "leaf": Role.LEAF}, links=(LINK,))


@dataclass
class Congestion:
    """Slices over the testbed's fabric, which carries the streams from one node to the other.
    `targets` are where the root's function sends each, by number."""

    bed: Testbed
    slices: Slices
    lab: Lab
    targets: dict[int, Endpoint]

    async def measure(
        self, offered_mbps: Mapping[int, float], lasting_s: float
    ) -> dict[int, "Arrived"]:
        """Every stream at its rate, all at once. The first tenth is left out: queues fill."""
        return await asyncio.to_thread(_measure, self.bed, self.targets, offered_mbps, lasting_s)

    def shown(self) -> str:
        """The queues of the link's near end."""
        near = self.bed.nodes["root"]
        return near.run("tc", "qdisc", "show", "dev", near.site.queues["leaf"])


@contextmanager
def link(folder: Path) -> Iterator[Testbed]:
    """The two nodes."""
    with testbed.running(testbed.line(*LINK, mbps=LINK_MBPS), folder) as bed:
        yield bed


@asynccontextmanager
async def kept(bed: Testbed, database: Database) -> AsyncIterator[Congestion]:
    """Slices over this testbed, with the streams carried."""
    async with overlay_lab.controlled(
        bed, _DRAWING, overlay_lab.terms(bed.controller, bfd_ms=200)
    ) as lab:
        targets = {}
        for name, number in STREAMS.items():
            end = Endpoint(node="leaf", address=_taker(bed), port=6000 + number)
            hop = Hop(source_node="root", target=end)
            targets[number] = (await lab.fabric.ensure(name, [hop]))[hop]
        await lab.alive()
        slices = Slices(
            store=SliceStore(database),
            streams=TreeStreams(DeliveryStore(database)),
            offers=lambda: OFFER,
            clock=SystemClock(),
            underlay=Underlay(
                fabric=lab.fabric,
                queues=TcQueues(lambda node: ("ip", "netns", "exec", bed.nodes[node].namespace)),
                sites={node.name: node.site for node in bed.nodes.values()},
            ),
            interval_s=60.0,
        )
        try:
            await slices._reconciled()
            yield Congestion(bed, slices, lab, targets)
        finally:
            await slices.close()


def _taker(bed: Testbed) -> str:
    return bed.nodes["leaf"].management


_RECEIVER = """
import json, selectors, socket, sys, time
ports = json.loads(sys.argv[1])
waiting, got = selectors.DefaultSelector(), {}
for port in ports:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)
    one.bind((sys.argv[2], port))
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


def _measure(
    bed: Testbed,
    targets: Mapping[int, Endpoint],
    offered_mbps: Mapping[int, float],
    lasting_s: float,
) -> dict[int, Arrived]:
    flows = [
        (targets[n].address, targets[n].port, mbps * 1e6 / 8 / FRAME)
        for n, mbps in offered_mbps.items()
    ]
    ports = [6000 + n for n in offered_mbps]
    receiver = subprocess.Popen(
        [*_python(bed.nodes["leaf"], _RECEIVER), json.dumps(ports), _taker(bed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        words = (sys.executable, "-c", _SENDER, json.dumps(flows), str(lasting_s), str(PAYLOAD))
        said = bed.nodes["root"].run(*words)
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


def _python(node: Node, program: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", node.namespace, sys.executable, "-c", program)
