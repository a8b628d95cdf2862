"""Which streams a slice is for, by the trees as they are.

In: a slice's request. Out: the event's stream, or the streams that both functions are on.
Neighbour: network/slices/service.py asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from umbel.delivery.model import Tree
from umbel.delivery.store import DeliveryStore
from umbel.network.service import SliceRequest, SliceStream, StreamsOf


@dataclass(frozen=True)
class TreeStreams:
    """The network's `StreamSource`, from the trees in the database."""

    store: DeliveryStore

    async def now(self) -> StreamsOf:
        """As the trees are now."""
        return partial(streams_of, await self.store.trees())


def streams_of(trees: Mapping[str, Tree], request: SliceRequest) -> Sequence[SliceStream]:
    """The streams of a slice. Those of two functions come with the nodes that these run on."""
    if request.functions is None:
        tree = trees.get(request.stream)
        return [SliceStream(stream=request.stream, planted=bool(tree and tree.branches))]
    found: list[SliceStream] = []
    for stream, tree in sorted(trees.items()):
        a, b = (tree.branch(name) for name in request.functions)
        if a is not None and b is not None:
            found.append(SliceStream(stream=stream, nodes=(a.node, b.node), planted=True))
    return found
