"""A tree's hops as a stream of the overlay. Pure.

In: the hops that delivery wants, all from one node. Out: the stream's intent.
"""

from collections.abc import Callable, Sequence

from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.streams import (
    InvalidRoute,
    Stream,
    StreamIntent,
    local_receiver,
    path_to,
)
from umbel.network.topology.paths import NotInTopology


def intent_of(
    stream: Stream,
    hops: Sequence[Hop],
    *,
    has_node: Callable[[str], bool],
    guest_home: Callable[[str], str],
) -> StreamIntent:
    """The stream from its root to the targets of the hops. Reports of the receivers go to the
    function that sends to all of them, where its address is known. Raises InvalidRoute,
    NotInTopology."""
    roots = {hop.source_node for hop in hops}
    if len(roots) > 1:
        problem = f"stream {stream.name}: hops start at {', '.join(sorted(roots))}"
        raise InvalidRoute("A stream enters the overlay at one node", problems=[problem])
    for node in sorted(roots | {hop.target.node for hop in hops}):
        if not has_node(node):
            raise NotInTopology(f"The network has no node {node}", node=node)
    root, senders = roots.pop(), {hop.source_address for hop in hops} - {""}
    reports = None
    if len(senders) == 1:
        # At any of its ports: it sends each stream from one that the kernel chose.
        reports = local_receiver(Endpoint(node=root, address=senders.pop(), port=0))
    return StreamIntent(
        stream=stream,
        root=root,
        paths=tuple(dict.fromkeys(path_to(hop.target, guest_home) for hop in hops)),
        reports=reports,
    )
