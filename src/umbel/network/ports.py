"""What every fabric promises. tests/contract/test_fabric.py is the definition in full."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.network.model import Endpoint, Hop
from umbel.network.sites import Plugs, Site, Wiring


class Fabric(Protocol):
    """Makes a delivery tree's hops carry packets."""

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
