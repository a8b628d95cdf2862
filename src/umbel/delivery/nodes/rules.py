"""The nodes there are: the network file with what operators changed since. Pure.

In: the file's nodes and links, changes by name. Out: nodes with their scheduling and links; the
refusals of changes that do not fit.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from umbel.compute.model import Node, NodeKind, NoSuchNode, ScheduledNode
from umbel.compute.service import NodeExists, NodeInUse, NoSuchPool, clashes, node_entry
from umbel.delivery.nodes.model import CurrentNodes, NetworkFile, NodeChange
from umbel.kit.errors import UmbelError, Unprocessable
from umbel.network.documents import NO_SITE, Site, link_entry
from umbel.network.model import Link, Topology
from umbel.network.service import Role

Changes = Mapping[str, NodeChange]


class InvalidLinks(Unprocessable):
    """A new node needs links, each from it to a node of the network."""

    code = "umbel.invalid_links"


def current(file: NetworkFile, changes: Changes, pools: Collection[str]) -> CurrentNodes:
    """The nodes and links there are. A change goes before what the file says of the node; one that
    contradicts the rest of an edited file is ignored."""
    gone = {name for name, one in changes.items() if one.removed or one.node is not None}
    gone -= {file.default_access}
    now = CurrentNodes(
        members=tuple(
            _member(node, changes.get(node.name))
            for node in file.inventory.nodes
            if node.name not in gone
        ),
        topology=_without(file.topology, gone),
        sites=file.sites,
    )
    added = [one for one in changes.values() if one.node is not None and not one.removed]
    for one in sorted(added, key=lambda one: (one.added_s, one.name)):
        now = _with(now, one, pools)
    since_s = {one.name: one.added_s for one in added}
    for one in added:
        now = _linked(now, one, list(_links(one, now, since_s)))
    return replace(now, retired=tuple(_retired(changes, now.sites or {})))


def add(
    file: NetworkFile, changes: Changes, pools: Collection[str], change: NodeChange
) -> NodeChange:
    """The change that adds a node. Raises NodeExists, NoSuchPool, InvalidLinks, NoSwitch,
    InvalidSite."""
    assert change.node is not None
    now = current(file, changes, pools)
    check_new(now, change.node, change.links, pools)
    if now.sites is None:
        change.site.check_unswitched(change.name)
        return change
    linked = [_neighbour(link, change.name) for link in change.links]
    change.site.check(now.sites, change.name, linked, in_namespaces=file.in_namespaces)
    return replace(change, site=change.site.numbered(now.sites))


def remove(file: NetworkFile, changes: Changes, pools: Collection[str], name: str) -> NodeChange:
    """The change that removes a node. Raises NoSuchNode, NodeInUse for the default access node."""
    _check_known(file, changes, pools, name)
    if name == file.default_access:
        raise NodeInUse(f"{name} is the default access node", node=name)
    site = changes[name].site if name in changes else NO_SITE
    return NodeChange(name=name, removed=True, site=site if site.site else NO_SITE)


def forget_switch(changes: Changes, site: Site) -> NodeChange:
    """The change that a removed node's switch has no bridges of ours any more. Raises NoSuchNode
    when none of that name is to be removed."""
    change = changes.get(site.node)
    if change is None or not change.removed or change.site.switch != site:
        raise NoSuchNode(f"No switch of {site.node} is to be removed", node=site.node)
    return replace(change, site=NO_SITE)


def schedule(
    file: NetworkFile,
    changes: Changes,
    pools: Collection[str],
    wanted: NodeChange,
) -> NodeChange:
    """The change that opens, cordons or drains a node as `wanted`. Raises NoSuchNode."""
    _check_known(file, changes, pools, wanted.name)
    before = changes.get(wanted.name, NodeChange(name=wanted.name))
    return replace(before, scheduling=wanted.scheduling, evict_at_s=wanted.evict_at_s)


def check_new(
    now: CurrentNodes, node: Node, links: Collection[Link], pools: Collection[str]
) -> None:
    """Raise NodeExists, NoSuchPool or InvalidLinks if the node cannot be added with its links."""
    _check_place(now, node, pools)
    others = [_neighbour(link, node.name) for link in links]
    wrong = [
        f"{link.a}-{link.b}"
        for link, other in zip(links, others, strict=True)
        if other not in now.names or others.count(other) > 1
    ]
    if wrong or not links:
        raise InvalidLinks(node=node.name, links=wrong)


def roles(now: CurrentNodes) -> dict[str, Role]:
    """The role in the overlay of each node that comes: streams end at provider edges."""
    return {
        one.node.name: Role.LEAF if one.node.kind is NodeKind.PROVIDER_EDGE else Role.RELAY
        for one in now.members
    }


def document(base: object, file: NetworkFile, now: CurrentNodes) -> object:
    """The network file's document with the nodes and links there are, for plans. What the file
    says of its own nodes and links stays; added ones say what was given."""
    if not isinstance(base, Mapping):
        return base
    known = {e["name"]: e for e in base["nodes"]}
    ends = {frozenset((e["a"], e["b"])): e for e in base.get("links") or ()}
    nodes = [
        known[one.node.name] if one.node in file.inventory.nodes else node_entry(one.node)
        for one in now.members
    ]
    links = [
        ends[frozenset((k.a, k.b))] if k in file.topology.links else link_entry(k)
        for k in now.topology.links
    ]
    hosts = [e for e in base.get("hosts") or () if e["node"] in now.names]
    return {**base, "nodes": nodes, "links": links, "hosts": hosts}


def _check_known(file: NetworkFile, changes: Changes, pools: Collection[str], name: str) -> None:
    if name not in current(file, changes, pools).names:
        raise NoSuchNode(f"There is no node {name}", node=name)


def _check_place(now: CurrentNodes, node: Node, pools: Collection[str]) -> None:
    if node.pool not in pools:
        raise NoSuchPool(f"There is no pool {node.pool}", node=node.name)
    if problems := clashes(node, [one.node for one in now.members]):
        raise NodeExists(node=node.name, problems=problems)


def _member(node: Node, change: NodeChange | None) -> ScheduledNode:
    if change is None:
        return ScheduledNode(node=node)
    return ScheduledNode(node=node, scheduling=change.scheduling, evict_at_s=change.evict_at_s)


def _with(now: CurrentNodes, change: NodeChange, pools: Collection[str]) -> CurrentNodes:
    """With an added node, not linked yet."""
    assert change.node is not None
    try:
        _check_place(now, change.node, pools)
        if now.sites is not None:
            change.site.check_switch(now.sites, change.name)
    except UmbelError as error:
        return replace(now, ignored=(*now.ignored, f"{change.name}: {error.message}"))
    topology = replace(now.topology, nodes=(*now.topology.nodes, change.name))
    after = replace(now, members=(*now.members, _member(change.node, change)), topology=topology)
    return replace(after, sites=_sites(after, change))


def _linked(now: CurrentNodes, change: NodeChange, links: list[Link]) -> CurrentNodes:
    """With an added node's links."""
    topology = replace(now.topology, links=(*now.topology.links, *links))
    return replace(now, topology=topology, sites=_sites(now, change, links))


def _sites(
    now: CurrentNodes, change: NodeChange, links: Collection[Link] = ()
) -> Mapping[str, Site] | None:
    """With an added node's switch, and both ends of its links."""
    if now.sites is None or change.name not in now.names:
        return now.sites
    near = [_neighbour(link, change.name) for link in links]
    return change.site.joined(now.sites, change.name, near)


def _retired(changes: Changes, sites: Mapping[str, Site]) -> Iterator[Site]:
    """The switches that came with nodes which are removed. One that another node has now stays."""
    used = {site.ovsdb for site in sites.values()}
    for change in changes.values():
        switch = change.site.switch if change.removed else None
        if switch is not None and switch.ovsdb not in used:
            yield switch


def _links(change: NodeChange, now: CurrentNodes, since_s: Mapping[str, float]) -> Iterator[Link]:
    """An added node's links to nodes that have been there since: a node that is removed takes its
    links with it, and comes back with its own."""
    for link in change.links if change.name in now.names else ():
        other = _neighbour(link, change.name)
        if other in now.names and since_s.get(other, 0.0) <= change.added_s:
            yield link


def _without(topology: Topology, gone: Collection[str]) -> Topology:
    return replace(
        topology,
        nodes=tuple(node for node in topology.nodes if node not in gone),
        links=tuple(link for link in topology.links if not {link.a, link.b} & set(gone)),
        hosts=tuple(host for host in topology.hosts if host.node not in gone),
    )


def _neighbour(link: Link, node: str) -> str:
    """The link's other end; empty for a link that is not the node's, or joins it to itself."""
    ends = {link.a, link.b} - {node}
    return ends.pop() if node in (link.a, link.b) and len(ends) == 1 else ""
