"""What links carry: by the trees that go over them, and as their switches count. Values only."""

from collections.abc import Iterator

from umbel.delivery.model import LinkStatus
from umbel.delivery.trees import grafting as growing
from umbel.delivery.trees.view import View
from umbel.network.service import Network


def statuses(network: Network, view: View) -> Iterator[LinkStatus]:
    """Each link with the rate of the hops over it, and what its switches count, in Mbit/s."""
    used: dict[frozenset[str], float] = {}
    measured: dict[frozenset[str], float] = {}
    for tree in view.trees.values():
        for ends in growing.links_of(view, tree):
            used[ends] = used.get(ends, 0.0) + view.mbps(tree.stream)
            rate = view.stream_mbps.get(tree.stream, 0.0)
            measured[ends] = measured.get(ends, 0.0) + rate
    traffic = network.traffic
    for link in network.topology.current().links:
        ends = frozenset((link.a, link.b))
        sent = traffic.mbps(link.a, link.b), traffic.mbps(link.b, link.a)
        counted = max(rate or 0.0 for rate in sent)
        yield LinkStatus(
            a=link.a,
            b=link.b,
            mbps=link.mbps,
            used_mbps=used.get(ends, 0.0),
            a_sends_mbps=sent[0],
            b_sends_mbps=sent[1],
            foreign_mbps=max(0.0, counted - measured.get(ends, 0.0)),
        )
