"""What makes and programs a node's switch: bridges, the controller's board, the node's own end.

tests/contract/test_bridges.py defines Bridges in full.
"""

from collections.abc import Sequence
from typing import Protocol

from umbel.network.switching.counters import SwitchCounts
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Change, Program
from umbel.network.switching.signals import Port
from umbel.network.topology.sites import Site, UnderlayRoute, Wiring


class Bridges(Protocol):
    """Makes the bridges of the operator's switches. tests/contract/test_bridges.py defines it."""

    async def check(self, site: Site) -> None:
        """Raise Unavailable when the node's database does not answer. Changes nothing."""

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        """Wire the node's br0 and br1 exactly like this; return their ports. Idempotent. Raises
        Unavailable when the node's database does not answer, Invalid when it refuses."""

    async def remove(self, site: Site) -> None:
        """Both bridges are gone. Missing ones are not an error."""


class SwitchPrograms(Protocol):
    """Reads and changes what connected switches hold, by their datapath ids."""

    async def held(self, dpid: int) -> Program | None:
        """What it holds; None when that is not all ours. Raises UnknownSwitch, SwitchGone."""

    async def counts(self, dpid: int) -> SwitchCounts:
        """What it has counted. Raises UnknownSwitch, SwitchGone, SwitchRefused."""

    async def clear(self, dpid: int) -> None:
        """Empty it. Raises UnknownSwitch, SwitchGone."""

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        """Make the changes at once or, if it can, not at all. Raises UnknownSwitch, SwitchGone or
        SwitchRefused."""


class Switchboard(SwitchPrograms, Protocol):
    """Where switches connect. Signals go to the callback that it was made with."""

    @property
    def switches(self) -> frozenset[int]:
        """Those connected now."""

    async def listen(self, host: str, port: int) -> int:
        """Accept switches over TCP. Returns the port, which the kernel picks for 0."""

    async def close(self) -> None:
        """Disconnect all switches; they keep what they hold."""

    def ports(self, dpid: int) -> tuple[Port, ...]:
        """A switch's ports. Raises UnknownSwitch."""

    async def send(self, dpid: int, port: int, frame: bytes) -> None:
        """Have the switch send a frame by a port. Raises UnknownSwitch, SwitchGone."""


class NodeSetup(Protocol):
    """Sets up what a switch's database cannot: the node's own end of its inner port."""

    async def configure(
        self,
        site: Site,
        port_maps: PortMap,
        targets: Sequence[str] = (),
        routes: Sequence[UnderlayRoute] = (),
    ) -> None:
        """The node has its addresses and routes on the devices that the switch made, and routes to
        exactly these `targets` of streams and over the links exactly these `routes`. Called again
        whenever the switch has made the devices again. Idempotent. Raises Unavailable."""
