"""A testbed under an OpenFlow fabric.

In: a testbed that is up. Out: a fabric that runs over it, in this process or in another; links cut
and mended; what switches hold. Neighbour: overlay_traffic.py sends over it.
"""

import asyncio
import os
import pickle
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import testbed
from support.overlay_traffic import Taker
from support.testbed import Testbed
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.network.drivers.linux.hosts import NetnsHost
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.drivers.ovsdb.connection import Timeouts
from umbel.network.events import Event
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.liveness import LivenessTimers
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.switching.program import Change
from umbel.network.switching.signals import Admit, Home, OnSwitchEvent
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.wiring import TunnelSettings

LINKS = (("r", "a"), ("a", "b"), ("b", "c"), ("a", "c"), ("r", "e"), ("c", "e"))
DRAWING = Drawing(
    roles={
        "r": Role.ROOT,
        **dict.fromkeys("ab", Role.RELAY),
        **dict.fromkeys("ce", Role.LEAF),
    },
    links=LINKS,
)
"""r sends; the tree to c and e is r-a-b-c and r-e. a-c is a spare beside a-b, which a's switch
takes by itself; c-e stands in for r-e and b-c when the controller says so."""
_OTHER = """
import asyncio, pickle, sys
from support import overlay_lab
asyncio.run(overlay_lab.hold(*pickle.load(sys.stdin.buffer)))
"""


@contextmanager
def five(folder: Path) -> Iterator[Testbed]:
    """A testbed of that drawing, with a host h at e."""
    document = testbed.drawn(("r", "a", "b", "c", "e"), list(LINKS), hosts={"h": "e"})
    with testbed.running(document, folder) as up:
        yield up


PATIENT_BFD_MS = 400
"""A busy machine's switches do not seem to die."""


@contextmanager
def five_joined(folder: Path) -> Iterator[Testbed]:
    """The same, with its tunnels: no controller of a test sees them come."""

    async def joined(bed: Testbed) -> None:
        async with patient(bed) as first:
            await first.alive()

    with five(folder) as up:
        asyncio.run(joined(up))
        yield up


def patient(bed: Testbed, **changes: object) -> AbstractAsyncContextManager["Lab"]:
    """A controller to which a busy machine's switches do not seem to die."""
    return controlled(bed, DRAWING, terms(bed.controller, bfd_ms=PATIENT_BFD_MS, **changes))


@asynccontextmanager
async def whole_again(bed: Testbed) -> AsyncIterator["Lab"]:
    """Such a controller for one test, at whose end all links are whole."""
    async with patient(bed) as made:
        yield made
        await made.when(made.heard)


def terms(host: str, *, bfd_ms: int = 20, **changes: object) -> OpenFlowSettings:
    """What the lab's fabrics are told, with short waits."""
    given: dict[str, object] = {
        "host": host,
        "port": 0,
        "tunnels": TunnelSettings(key=77, bfd_ms=bfd_ms),
        "liveness": LivenessTimers(hold_down_s=2.0, grace_s=5.0),
        "settle_s": 10.0,
        "adopt_s": 0.0,
        **changes,
    }
    return OpenFlowSettings(**given)  # type: ignore[arg-type]


class Counting(Controller):
    """A controller that counts the changes it makes."""

    made = 0

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        self.made += len(changes)
        await super().apply(dpid, changes)


@dataclass
class Lab:
    """A fabric over a testbed."""

    bed: Testbed
    fabric: OpenFlowFabric
    bridges: OvsdbBridges
    board: Counting
    port: int = 0
    events: list[Event] = field(default_factory=list)

    async def connected(self) -> None:
        await self.when(lambda: self.fabric.connected() == set(self.bed.nodes))

    async def when(self, condition: object, within_s: float = 30.0) -> None:
        async def ask() -> bool:
            return bool(condition())  # type: ignore[operator]

        await until(ask, within_s=within_s)

    async def alive(self) -> None:
        """All switches are as they are to be, every tunnel lives, and no link counts as dead."""
        await self.settled()
        await self.when(self.heard)
        await self.when(lambda: not self.fabric.overlay.link_state.dead)

    def heard(self) -> bool:
        """Whether every tunnel that is plugged is live at both ends."""
        for node, port_maps in self.fabric.port_maps.items():
            live = {port.number for port in self.fabric.observed.switches[node].ports if port.live}
            if not live.issuperset(port_maps.tunnel_ports.values()):
                return False
        return True

    async def settled(self) -> None:
        """What was decided until now is in the switches: a look that begins now has ended."""
        await self.fabric.install_extra_rules("", None)

    async def carry(self, stream: str, root: str, *takers: Taker) -> Endpoint:
        """Where the root's process must send."""
        hops = [Hop(source_node=root, target=taker.end) for taker in takers]
        return next(iter((await self.fabric.ensure(stream, hops)).values()))


@asynccontextmanager
async def controlled(bed: Testbed, drawing: Drawing, given: OpenFlowSettings) -> AsyncIterator[Lab]:
    """A fabric over the testbed; its end leaves the switches as they are."""
    sites = SiteRegistry({name: node.site for name, node in bed.nodes.items()})
    host = NetnsHost(bed.sites.namespace_of)
    bridges = OvsdbBridges(host, patience=Timeouts(first_s=0.05, most_s=0.2))
    boards: list[Counting] = []

    def board(on_switch_event: OnSwitchEvent, *, admit: Admit, home: Home) -> Counting:
        boards.append(Counting(on_switch_event, admit=admit, home=home))
        return boards[-1]

    fabric = OpenFlowFabric(sites, drawing, bridges, board, given, SystemClock())
    lab = Lab(bed, fabric, bridges, boards[0])
    fabric.watch(lab.events.append)
    lab.port = await fabric.start()
    try:
        await lab.connected()
        yield lab
    finally:
        await fabric.close()
        await bridges.close()


async def hold(
    bed: Testbed, drawing: Drawing, given: OpenFlowSettings, stream: str, hops: Sequence[Hop]
) -> None:
    """Control the testbed and carry a stream until killed; say when it is carried."""
    async with controlled(bed, drawing, given) as lab:
        await lab.fabric.ensure(stream, hops)
        await lab.alive()
        print("carried", flush=True)
        await asyncio.Event().wait()


@contextmanager
def another(
    bed: Testbed, drawing: Drawing, given: OpenFlowSettings, stream: str, hops: Sequence[Hop]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that controls the testbed and carries a stream already. It is killed at the end,
    if not before."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump((bed, drawing, given, stream, hops), process.stdin)
        process.stdin.close()
        lines = iter(process.stdout.readline, b"")
        assert any(b"carried" in line for line in lines), "the other controller ended"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def bare(bed: Testbed) -> None:
    """The nodes have no bridges any more."""
    bridges = OvsdbBridges()
    try:
        await asyncio.gather(*(bridges.remove(node.site) for node in bed.nodes.values()))
    finally:
        await bridges.close()


@contextmanager
def cut(bed: Testbed, *links: tuple[str, str]) -> Iterator[None]:
    """These links carry nothing in this block."""
    try:
        for a, b in links:
            _set(bed, a, b, "down")
        yield
    finally:
        for a, b in links:
            _set(bed, a, b, "up")


def _set(bed: Testbed, a: str, b: str, state: str) -> None:
    # Not the switch's own device: vswitchd may turn that on again at any time.
    (wire,) = [cable.wire for cable in bed.nodes[a].plan.cables if cable.neighbour == b]
    bed.nodes[a].run("ip", "link", "set", wire, state)


def groups(bed: Testbed, node: str) -> list[str]:
    """What `ovs-ofctl dump-groups` says of a node's br1."""
    said = bed.nodes[node].run("ovs-ofctl", "-O", "OpenFlow14", "dump-groups", "br1")
    return sorted(line.strip() for line in said.splitlines()[1:] if line.strip())


def dumped(bed: Testbed, node: str) -> list[str]:
    """What `ovs-ofctl dump-flows` says of a node's br1, less its counters."""
    noise = r"(cookie|duration|n_packets|n_bytes|idle_age)=\S+, ?|reset_counts "
    said = bed.nodes[node].run("ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br1")
    return sorted(re.sub(noise, "", line).strip() for line in said.splitlines()[1:])


async def carried(lab: Lab, *takers: Taker, stream: str = "ev1") -> Endpoint:
    """The stream comes from r to these, and all tunnels live."""
    to = await lab.carry(stream, "r", *takers)
    await lab.alive()
    return to


def held(bed: Testbed) -> dict[str, tuple[list[str], list[str]]]:
    """Every switch's rules and groups, as its own tool tells them."""
    return {n: (dumped(bed, n), groups(bed, n)) for n in bed.nodes}
