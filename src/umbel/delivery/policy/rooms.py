"""The room that assignments take. Pure.

In: a view, and what a policy assigned in it. Out: the view as it is afterwards, so that what is
placed next with it is not promised the same room; and what of two views is the difference.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from umbel.delivery.model import Tree
from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees import grafting
from umbel.delivery.trees.view import FunctionView, View

_WHOLE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is taken or kept of one node."""

    cores: float = 0.0
    memory_mb: float = 0.0
    mbps: float = 0.0

    def plus(self, other: "Room") -> "Room":
        """Both."""
        return Room(
            cores=self.cores + other.cores,
            memory_mb=self.memory_mb + other.memory_mb,
            mbps=self.mbps + other.mbps,
        )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Room taken or kept: by node, CPU cores by function, and Mbit/s by link."""

    nodes: Mapping[str, Room] = field(default_factory=dict)
    functions: Mapping[str, float] = field(default_factory=dict)
    links: Mapping[frozenset[str], float] = field(default_factory=dict)


def kept(before: View, after: View) -> Kept:
    """The room that one view has and the other has not."""
    nodes = {
        name: Room(
            cores=node.cores_free - after.nodes[name].cores_free,
            memory_mb=node.memory_free_mb - after.nodes[name].memory_free_mb,
            mbps=node.mbps_free - after.nodes[name].mbps_free,
        )
        for name, node in before.nodes.items()
        if node != after.nodes[name]
    }
    functions = {
        id_: one.cores_free - after.functions[id_].cores_free
        for id_, one in before.functions.items()
        if one != after.functions[id_]
    }
    links = {
        link: free - after.links_free_mbps[link]
        for link, free in before.links_free_mbps.items()
        if free != after.links_free_mbps[link]
    }
    return Kept(nodes=nodes, functions=functions, links=links)


def together(rooms: Iterable[Kept]) -> Kept:
    """All of it."""
    nodes: dict[str, Room] = {}
    functions: Counter[str] = Counter()
    links: Counter[frozenset[str]] = Counter()
    for room in rooms:
        for name, more in room.nodes.items():
            nodes[name] = nodes[name].plus(more) if name in nodes else more
        functions.update(room.functions)
        links.update(room.links)
    return Kept(nodes=nodes, functions=functions, links=links)


def without(view: View, room: Kept, share: float = 1.0) -> View:
    """The view without that share of the room. What there is no more is left out."""
    nodes, functions, links = dict(view.nodes), dict(view.functions), dict(view.links_free_mbps)
    for name in room.nodes.keys() & nodes.keys():
        node, less = nodes[name], room.nodes[name]
        nodes[name] = replace(
            node,
            cores_free=node.cores_free - share * less.cores,
            memory_free_mb=node.memory_free_mb - share * less.memory_mb,
            mbps_free=node.mbps_free - share * less.mbps,
        )
    for id_ in room.functions.keys() & functions.keys():
        cores_free = functions[id_].cores_free - share * room.functions[id_]
        functions[id_] = replace(functions[id_], cores_free=cores_free)
    for link in room.links.keys() & links.keys():
        links[link] -= share * room.links[link]
    return replace(view, nodes=nodes, functions=functions, links_free_mbps=links)


def taken(view: View, stream: str, found: Assignment, most: int) -> tuple[View, int]:
    """The view with the tree that was found, and as many viewers at its edge as fit, one at
    least."""
    view = with_tree(view, found.tree)
    edge, node, costs = view.functions[found.function], view.nodes[found.node], view.costs
    mbps = view.mbps(stream)
    by_cores = min(edge.cores_free, node.cores_free) / costs.viewer_cores
    fit = math.floor(min(by_cores, node.mbps_free / mbps) + _WHOLE)
    count = max(1, min(most, fit))
    cores = count * costs.viewer_cores
    room = Kept(
        nodes={found.node: Room(cores=cores, mbps=count * mbps)},
        functions={found.function: cores},
    )
    return without(view, room), count


def with_tree(view: View, tree: Tree) -> View:
    """The view as it is once the tree's new branches are there."""
    before, costs = view.trees.get(tree.stream, Tree(stream=tree.stream)), view.costs
    links = Counter(grafting.links_of(view, tree)) - Counter(grafting.links_of(view, before))
    for branch in tree.branches:
        if before.branch(branch.function) is not None:
            continue
        room = Room(cores=costs.stream_cores, memory_mb=costs.stream_mb)
        functions = dict(view.functions)
        if branch.function not in functions:
            cores = room.cores + costs.cores_of(branch.role)
            room = Room(cores=cores, memory_mb=costs.mb_of(branch.role))
            functions[branch.function] = FunctionView(
                id=branch.function,
                role=branch.role,
                node=branch.node,
                cores_free=costs.server_cores - costs.function_cores,
            )
        view = without(
            replace(view, functions=functions),
            Kept(nodes={branch.node: room}, functions={branch.function: costs.stream_cores}),
        )
    mbps = view.mbps(tree.stream)
    free = dict(view.links_free_mbps)
    for link, copies in links.items():
        free[link] = free.get(link, 0.0) - copies * mbps
    return replace(view, links_free_mbps=free, trees={**view.trees, tree.stream: tree})
