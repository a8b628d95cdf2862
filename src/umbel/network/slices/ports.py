"""What holds streams to slices: meters in switches, queues under the tunnels.

tests/contract/test_slice_fabric.py and test_queues.py define both in full.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from umbel.network.model import Pair
from umbel.network.overlay.streams import Slice
from umbel.network.slices.admission import QueueClass, SliceRequest, SliceStream, StreamDestination
from umbel.network.switching.counters import Count, FabricCounts


class SlicingFabric(Protocol):
    """A fabric that can hold streams to slices. tests/contract/test_slice_fabric.py defines it."""

    def stream_route(self, stream: str) -> tuple[tuple[Pair, ...], StreamDestination | None]:
        """The links the stream's packets cross now, as (from, to), and the destination they have
        there; no links and None when it is not carried."""

    async def set_slice(self, stream: str, kind: Slice | None) -> None:
        """Meter and mark the stream wherever a function gives it to the network, from now on and
        also when it is not carried yet; None: no longer. Idempotent."""

    async def counters(self) -> FabricCounts:
        """What the switches that answer have counted so far."""


StreamsOf = Callable[[SliceRequest], Sequence[SliceStream]]
"""The streams of a slice, by the trees as they were at one moment."""


class StreamSource(Protocol):
    """What knows which streams a slice is for."""

    async def now(self) -> StreamsOf:
        """As the trees are now."""


class Queues(Protocol):
    """Makes the queues under the tunnels. tests/contract/test_queues.py defines it."""

    async def ensure(self, node: str, device: str, classes: Sequence[QueueClass]) -> None:
        """What leaves the node by the device is queued in exactly these classes; a change of rates
        loses no packet. Idempotent. Raises Unavailable when it cannot be
        done; then there are no classes of ours."""

    async def remove(self, node: str, device: str) -> None:
        """There are no classes of ours; a shaper that the device had goes on, with the queue that
        the kernel gives it. Nothing to remove is not an error. Raises Unavailable."""

    async def counts(self, node: str, device: str) -> Mapping[int, Count]:
        """What each class sent and dropped, by number; nothing where there are none. Raises
        Unavailable."""
