"""What carries streams, and what programs switches: two capabilities, of one driver or of two.

tests/contract/test_fabric.py defines `Fabric`; a fabric without switches has nothing to program.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from umbel.network.events import Watcher
from umbel.network.model import Endpoint, Hop, Pair
from umbel.network.overlay.intent import Overlay
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Program
from umbel.network.switching.signals import Port
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site

CompileRules = Callable[[Mapping[str, PortMap]], Mapping[str, Program]]
"""Makes what switches are to hold in addition to streams' rules, by node, of all port maps."""

Ethernet = Callable[[Site, str], Awaitable[str]]
"""Finds the Ethernet address of a host of the site's access network; empty: no host there has the
IPv4 address. Raises Unavailable, NotFound, Invalid when the site cannot be asked."""


class Fabric(Protocol):
    """Makes a delivery tree's hops carry packets. Where it `copies`, all hops of a stream start at
    one node, whose function sends each packet once: the network makes the copies."""

    @property
    def copies(self) -> bool:
        """Whether the network itself sends a stream to many: then every hop may start at the root,
        which sends once, and no function need stand where ways part."""

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """Carry `stream` over exactly these hops. Returns, for each, where its source must send
        so that the packets reach the target. Idempotent."""

    async def remove(self, stream: str) -> None:
        """Carry the stream no longer. An unknown one is not an error."""


@dataclass(frozen=True, kw_only=True)
class SwitchState:
    """A node's switch as last observed: whether it is connected, its ports, and what it holds,
    which is known of connected ones only."""

    connected: bool = False
    ports: tuple[Port, ...] = ()
    held: Program | None = None


@dataclass(frozen=True, kw_only=True)
class ObservedSwitches:
    """All switches, by node: their states, and how their ports are plugged. `problems` are the
    reasons why streams are not carried as they should be, by stream."""

    switches: Mapping[str, SwitchState] = field(default_factory=dict)
    port_maps: Mapping[str, PortMap] = field(default_factory=dict)
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def connected(self) -> frozenset[str]:
        """The nodes whose switches can be programmed now."""
        return frozenset(node for node, one in self.switches.items() if one.connected)


class ProgrammableFabric(Protocol):
    """A fabric of switches that Umbel programs. tests/unit/test_overlay_fabric.py defines it."""

    @property
    def sites(self) -> SiteRegistry:
        """Where the switches are now, by node."""

    @property
    def overlay(self) -> Overlay:
        """The desired state: the drawing, the streams with their paths, and the dead links."""

    @property
    def observed(self) -> ObservedSwitches:
        """The switches as they are."""

    async def change(self, overlay: Overlay) -> None:
        """Make this the desired state; returns when the connected switches have it."""

    async def install_extra_rules(
        self,
        name: str,
        compile_rules: CompileRules | None,
        links: Collection[Pair] = (),
        guests: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Install what `compile_rules` makes in addition to streams' rules, now and whenever a port
        map changes, and tunnels along the links; None removes what the name had. `guests` are the
        nodes, by address, where guests are about to get ports: port maps have these ports from now
        on. Returns when the connected switches hold it; raises Unavailable when one cannot be
        brought there now."""

    def watch(self, watch: Watcher) -> Callable[[], None]:
        """Call `watch` with every event from now on. Returns what ends that."""
