"""What every fabric promises. tests/contract/test_fabric.py is the definition in full."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.network.model import Endpoint, Hop


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
