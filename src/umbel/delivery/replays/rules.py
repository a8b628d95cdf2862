"""Where a viewer of a recording is served: by the policy that chooses for live viewers. Pure.

In: the view of this moment, which live viewers count in first, and the viewers of recordings. Out:
an edge, or NoCapacity. A capture is to the policy a stream that some edges have: no way has to be
laid to the others, because the control plane gives them what they lack (SLS, figure 6).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy.base import Assignment, Policy
from umbel.delivery.replays.model import ReplayLoad, ReplayViewer
from umbel.delivery.trees.view import EDGE, FunctionView, View

MOST_VIEWERS = 200
"""Of recordings, at one edge."""
_SOURCE = "repository"


def choose(
    view: View,
    policy: Policy,
    loads: Collection[ReplayLoad],
    holding: Mapping[str, Collection[str]],
    viewer: ReplayViewer,
) -> Assignment:
    """An edge for the viewer; `holding` says by function of which captures it keeps pieces. Raises
    NoCapacity, NoSuchNode."""
    capture_id = viewer.capture_id
    stream = f"replay/{capture_id}"
    view = _with_replays(view, loads)
    having = {load.function for load in loads if load.capture_id == capture_id}
    having |= {function for function, captures in holding.items() if capture_id in captures}
    branches = tuple(
        Branch(function=edge.id, role=EDGE, node=edge.node, parent=_SOURCE)
        for edge in view.functions.values()
        if edge.id in having and edge.role == EDGE
    )
    tree = Tree(stream=stream, branches=branches)
    rates = {**view.stream_mbps, stream: viewer.mbps}
    view = replace(view, trees={**view.trees, stream: tree}, stream_mbps=rates)
    return policy.assign(view, stream, viewer.access_node)


def without(view: View, silent: Collection[str]) -> View:
    """The view in which functions that do not answer serve nobody."""
    functions = {
        id_: replace(one, usable=one.usable and id_ not in silent)
        for id_, one in view.functions.items()
    }
    return replace(view, functions=functions)


def wanted(loads: Iterable[ReplayLoad], stays: Callable[[str], bool]) -> list[Branch]:
    """The edges that are to run for viewers of recordings: not on nodes that are gone or are to
    become empty, where live viewers have to leave, too."""
    found = {
        load.function: Branch(function=load.function, role=EDGE, node=load.edge_node)
        for load in loads
        if stays(load.edge_node)
    }
    return list(found.values())


def allowances(view: View, loads: Iterable[ReplayLoad]) -> dict[str, float]:
    """What each edge with viewers of recordings may send to them: its share of the rate that live
    viewers leave on its node."""
    node_of = {load.function: load.edge_node for load in loads}
    at_node: dict[str, int] = {}
    for node in node_of.values():
        at_node[node] = at_node.get(node, 0) + 1
    return {
        function: max(0.0, view.nodes[node].mbps_free) / at_node[node]
        for function, node in node_of.items()
        if node in view.nodes
    }


def _with_replays(view: View, loads: Collection[ReplayLoad]) -> View:
    """The view that viewers of recordings see: what others of them take is not free, and edges that
    only they have wanted are there."""
    taken: dict[str, float] = {}
    viewers: dict[str, int] = {}
    functions = dict(view.functions)
    for load in loads:
        taken[load.edge_node] = taken.get(load.edge_node, 0.0) + load.mbps
        viewers[load.function] = viewers.get(load.function, 0) + load.viewers
        if load.function not in functions and load.edge_node in view.nodes:
            functions[load.function] = FunctionView(
                id=load.function,
                role=EDGE,
                node=load.edge_node,
                usable=load.edge_node not in view.broken_nodes,
                cores_free=view.costs.server_cores - view.costs.function_cores,
            )
    for function, count in viewers.items():
        if count >= MOST_VIEWERS and function in functions:
            functions[function] = replace(functions[function], usable=False)
    nodes = {
        name: replace(node, mbps_free=node.mbps_free - taken.get(name, 0.0))
        for name, node in view.nodes.items()
    }
    return replace(view, functions=functions, nodes=nodes)
