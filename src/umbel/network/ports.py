"""What every fabric promises. tests/contract/test_fabric.py is the definition in full."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.network.model import Change, Endpoint, Hop, Program
from umbel.network.signals import Port
from umbel.network.sites import Plugs, Site, Wiring


class Fabric(Protocol):
    """Makes a delivery tree's hops carry packets. Where it `copies`, all hops of a stream start at
    one node, whose function sends each packet once: the network makes the copies."""

    @property
    def copies(self) -> bool: ...

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

    async def clear(self, dpid: int) -> None:
        """Empty it. Raises UnknownSwitch, SwitchGone."""

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        """Make the changes at once or, if it can, not at all. Raises UnknownSwitch, SwitchGone or
        SwitchRefused."""
