"""One machine: functions send straight to each other's loopback address, nothing is programmed."""

from collections.abc import Mapping, Sequence

from umbel.network.model import Endpoint, Hop


class LoopbackFabric:
    """Returns each hop's own target, and remembers which streams it carries."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[Hop, ...]] = {}

    @property
    def copies(self) -> bool:
        return False

    @property
    def streams(self) -> Mapping[str, tuple[Hop, ...]]:
        """The hops of every stream carried now."""
        return self._streams

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        self._streams[stream] = tuple(hops)
        return {hop: hop.target for hop in hops}

    async def remove(self, stream: str) -> None:
        self._streams.pop(stream, None)
