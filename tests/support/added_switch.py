"""The SLS network with switches that its network file does not describe, and what an operator gives
to add one of them."""

from collections.abc import Mapping
from dataclasses import replace

from support.overlay_run import DRAWING, LINKS
from support.switchboard import World as Wires
from support.switchboard import sites
from umbel.compute.model import Node, NodeKind
from umbel.network.documents import AddedSite, LinkEnd
from umbel.network.model import Link
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site

PE9 = Node(name="pe9", kind=NodeKind.PROVIDER_EDGE, address="127.0.9.1", cores=2)
C9 = Node(name="c9", kind=NodeKind.CORE, address="127.0.19.1", cores=2)
NEAR: Mapping[str, tuple[str, ...]] = {"pe9": ("c1", "c2"), "c9": ("c1", "pe2")}
_NEW = [(node, near) for node, found in NEAR.items() for near in found]
ALL = sites((*DRAWING.roles, *NEAR), [*LINKS, *_NEW])


def wires() -> Wires:
    """All switches, those that the file does not describe as well."""
    return Wires(ALL)


def known() -> SiteRegistry:
    """What the network file describes."""
    return SiteRegistry({node: _bare(ALL[node], *NEAR) for node in DRAWING.roles})


def links(node: str) -> list[Link]:
    return [Link(a=node, b=near) for near in NEAR[node]]


def site(node: str) -> AddedSite:
    """What an operator gives with the node."""
    ends = {near: (_end(node, near), _end(near, node)) for near in NEAR[node]}
    return AddedSite(
        site=_bare(ALL[node], *NEAR[node]),
        local={near: local for near, (local, _) in ends.items()},
        remote={near: remote for near, (_, remote) in ends.items()},
    )


def _end(node: str, near: str) -> LinkEnd:
    return LinkEnd(underlay=ALL[node].underlay[near], queue=ALL[node].queues[near])


def _bare(of: Site, *without: str) -> Site:
    return replace(
        of,
        underlay={near: one for near, one in of.underlay.items() if near not in without},
        queues={near: one for near, one in of.queues.items() if near not in without},
    )
