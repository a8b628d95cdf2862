"""What every fabric promises. tests/contract/test_fabric.py is the definition in full."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.network.model import Change, Endpoint, Hop, Program
from umbel.network.overlay.spanning import Pair
from umbel.network.overlay.streams import Slice
from umbel.network.slices.admission import Flow, QueueClass
from umbel.network.switching.counters import Count, FabricCounts, SwitchCounts
from umbel.network.switching.signals import Port
from umbel.network.topology.sites import Plugs, Site, Wiring


class Fabric(Protocol):
    """Makes a delivery tree's hops carry packets. Where it `copies`, all hops of a stream start at
    one node, whose function sends each packet once: the network makes the copies."""

    @property
    def copies(self) -> bool:
        """Whether the network itself sends a stream to many: then every hop may start at the root,
        which sends once, and no function need stand where ways part."""

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """Carry `stream` over exactly these hops. Answers, for each, where its source must send
        so that the packets reach the target. Doing it twice is doing it once."""

    async def remove(self, stream: str) -> None:
        """Carry the stream no more. An unknown one is no error."""


class Bridges(Protocol):
    """Makes the bridges of the operator's switches. tests/contract/test_bridges.py defines it."""

    async def ensure(self, site: Site, wiring: Wiring) -> Plugs:
        """The node's br0 and br1 are wired exactly so; answers their ports. Doing it twice is doing
        it once. Raises Unavailable when the node's database does not answer."""

    async def remove(self, site: Site) -> None:
        """Both bridges are gone. Missing ones are no error."""


class Switchboard(Protocol):
    """Where switches connect, by their datapath ids. Signals go to whom it was made with."""

    @property
    def switches(self) -> frozenset[int]:
        """Those connected now."""

    async def listen(self, host: str, port: int) -> int:
        """Take switches over TCP. Answers the port, which the kernel picks for 0."""

    async def close(self) -> None:
        """Let go of all switches; what they hold goes on."""

    def ports(self, dpid: int) -> tuple[Port, ...]:
        """A switch's ports. Raises UnknownSwitch."""

    async def held(self, dpid: int) -> Program | None:
        """What it holds; None when that is not all ours. Raises UnknownSwitch, SwitchGone."""

    async def counts(self, dpid: int) -> SwitchCounts:
        """What it has counted. Raises UnknownSwitch, SwitchGone, SwitchRefused."""

    async def clear(self, dpid: int) -> None:
        """Empty it. Raises UnknownSwitch, SwitchGone."""

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        """Make the changes at once or, if it can, not at all. Raises UnknownSwitch, SwitchGone or
        SwitchRefused."""


class Host(Protocol):
    """Sets up what a switch's database cannot: the node's own end of its inner port."""

    async def configure(self, site: Site, plugs: Plugs) -> None:
        """The node has its addresses and routes on the devices that the switch made. Called
        again whenever the switch has made them anew. Doing it twice is doing it once. Raises
        Unavailable."""


class Slicing(Protocol):
    """A fabric that can hold streams to slices. tests/contract/test_slicing.py defines it."""

    def way(self, stream: str) -> tuple[tuple[Pair, ...], Flow | None]:
        """The links the stream's packets cross now, as (from, to), and the destination they have
        there; no links and None when it is not carried."""

    async def slice(self, stream: str, kind: Slice | None) -> None:
        """Meter and mark the stream wherever a function gives it to the network, from now on and
        also when it is not carried yet; None: no more. Doing it twice is doing it once."""

    async def counted(self) -> FabricCounts:
        """What the switches that answer have counted so far."""


class Queues(Protocol):
    """Makes the queues under the tunnels. tests/contract/test_queues.py defines it."""

    async def ensure(self, node: str, device: str, classes: Sequence[QueueClass]) -> None:
        """What leaves the node by the device is queued in exactly these classes; a change of rates
        loses no packet. Doing it twice is doing it once. Raises Unavailable when it cannot be
        done; then there are no classes of ours."""

    async def remove(self, node: str, device: str) -> None:
        """There are no classes of ours; a shaper that the device had goes on, with the queue that
        the kernel gives it. Nothing to remove is no error. Raises Unavailable."""

    async def counts(self, node: str, device: str) -> Mapping[int, Count]:
        """What each class sent and dropped, by number; nothing where there are none. Raises
        Unavailable."""
