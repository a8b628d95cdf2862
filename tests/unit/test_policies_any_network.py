"""What every policy keeps on any small network: a viewer for whom there is room is served, and no
function starts while one that runs within the same reach can take the viewer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.graphs import graphs
from support.views import ACQUIRER, X, edge, planted, room, view
from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy.base import Assignment, Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.trees.grafting import graft, leaf
from umbel.delivery.trees.view import Costs, FunctionView, NoCapacity, NodeView, View
from umbel.network.model import Link, Topology
from umbel.network.service import TopologyService

COSTS = Costs()
VIEWER, STREAM = COSTS.viewer_cores, COSTS.stream_cores + COSTS.viewer_cores
EDGE = COSTS.function_cores + STREAM
CORES = st.sampled_from([2.0, EDGE, STREAM, VIEWER, 0.0])
RATES = st.sampled_from([1000.0, COSTS.stream_mbps, 0.0])
POLICIES = [Sls(), Consolidation(), Qos(), Virca()]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
SMALL = graphs(2, 5)


@dataclass(frozen=True)
class Asked:
    """A viewer at an access node of a network, and the hops from there to each node in reach."""

    view: View
    access: str
    hops: Mapping[str, int]

    def carries(self, function: FunctionView) -> bool:
        return self.view.trees[X].branch(function.id) is not None

    def edges(self) -> Iterator[FunctionView]:
        for function in self.view.functions.values():
            if function.role == "edge" and function.node in self.hops:
                yield function

    def has(self, node: str, cores: float) -> bool:
        at = self.view.nodes[node]
        has_rate = at.mbps_free >= COSTS.stream_mbps
        return at.is_access and not at.is_closed and at.cores_free >= cores and has_rate

    def can_watch(self, function: FunctionView) -> bool:
        """Whether the edge has the stream and room for another viewer."""
        has_room = function.cores_free >= VIEWER and self.has(function.node, VIEWER)
        return self.carries(function) and has_room

    def can_join(self, function: FunctionView, policy: Policy) -> bool:
        """Whether the edge can be sent the stream, and has room for it and a viewer."""
        has_room = function.cores_free >= STREAM and self.has(function.node, STREAM)
        is_new = not self.carries(function)
        return is_new and has_room and self._reached(function.id, function.node, policy)

    def can_start(self, node: str, policy: Policy) -> bool:
        """Whether a new edge on the node could serve the viewer."""
        return self.has(node, EDGE) and self._reached("edge-new", node, policy)

    def _reached(self, function: str, node: str, policy: Policy) -> bool:
        try:
            graft(self.view, self.view.trees[X], leaf(function, node), policy.relaying)
        except NoCapacity:
            return False
        return True

    def can_serve(self, policy: Policy) -> bool:
        """Whether anybody in reach of the viewer has room for it."""
        runs = any(self.can_watch(e) or self.can_join(e, policy) for e in self.edges())
        return runs or any(self.can_start(node, policy) for node in self.hops)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    graph = draw(st.sampled_from(SMALL))
    names = [f"n{n}" for n in graph]
    free = {frozenset((f"n{a}", f"n{b}")): draw(RATES) for a, b in graph.edges}
    ends = (sorted(pair) for pair in free)
    routes = TopologyService(
        Topology(nodes=tuple(names), links=tuple(Link(a=a, b=b) for a, b in ends))
    )
    nodes = {
        name: NodeView(
            name=name,
            is_access=draw(st.integers(0, 3)) > 0,
            cores_free=draw(CORES),
            memory_free_mb=2048.0,
            mbps_free=draw(RATES),
            is_closed=draw(st.integers(0, 9)) == 9,
        )
        for name in names
    }
    access = draw(st.sampled_from(names))
    root = Branch(function="acquirer-n0-1", role="acquirer", node="n0")
    functions = {root.function: FunctionView(id=root.function, role="acquirer", node="n0")}
    branches = [root]
    for name in names:
        for number in range(draw(st.integers(0, 2)) if nodes[name].is_access else 0):
            id_ = f"edge-{name}-{number + 1}"
            functions[id_] = FunctionView(
                id=id_,
                role="edge",
                node=name,
                cores_free=draw(CORES),
                load=draw(st.sampled_from([0.1, 0.5, 0.9])),
            )
            if draw(st.booleans()):
                branches.append(replace(leaf(id_, name), parent=root.function))
    tree = Tree(stream=X, branches=tuple(branches))
    hops = {access: 0} | {way.target: way.hops for way in routes.nearest(access)}
    seen = View(
        routes=routes, nodes=nodes, functions=functions, trees={X: tree}, links_free_mbps=free
    )
    return Asked(view=seen, access=access, hops=hops)


def answer(policy: Policy, one: Asked) -> Assignment | None:
    try:
        return policy.assign(one.view, X, one.access)
    except NoCapacity:
        return None


# How far from the viewer a policy looks at once, by its hops.
REACH: Mapping[str, Callable[[int], int]] = {
    "sls": lambda hops: 2 if hops in (1, 2) else hops,
    "qos": lambda hops: hops,
    "virca": lambda hops: hops,
    "consolidation": lambda _: 0,
}


@every_policy
@given(one=asked())
def test_who_can_be_served_is_and_no_edge_starts_beside_one_with_room(
    policy: Policy, one: Asked
) -> None:
    got = answer(policy, one)
    assert (got is not None) == one.can_serve(policy)
    if got is None:
        return
    chosen = one.view.functions.get(got.function)
    if chosen is not None:
        assert one.can_watch(chosen) or one.can_join(chosen, policy)
        return
    reach = REACH[policy.name]
    near = [e for e in one.edges() if reach(one.hops[e.node]) <= reach(one.hops[got.node])]
    assert [e.id for e in near if one.can_watch(e) or one.can_join(e, policy)] == []


# -- a crowd, viewer by viewer -----------------------------------------------------------------


def crowd(policy: Policy, tree: Tree, access: str, viewers: int, **nodes: NodeView) -> list[str]:
    """The edges that serve that many viewers who come one after another, each with what it takes
    from its edge and node."""
    served: list[str] = []
    for _ in range(viewers):
        seen = view(tree, nodes=nodes)
        load = {id_: served.count(id_) * VIEWER + STREAM for id_ in set(served)}
        functions = {
            id_: replace(f, cores_free=f.cores_free - load.get(id_, 0.0))
            for id_, f in seen.functions.items()
        }
        at = {f.node: load.get(id_, 0.0) for id_, f in functions.items() if f.role == "edge"}
        free = {
            name: replace(node, cores_free=node.cores_free - at.get(name, 0.0))
            for name, node in seen.nodes.items()
        }
        got = policy.assign(replace(seen, functions=functions, nodes=free), X, access)
        tree = got.tree
        served.append(got.function)
    return served


@every_policy
def test_a_crowd_at_a_full_node_without_neighbours_shares_one_far_edge(policy: Policy) -> None:
    """No edge runs near pe5, and nothing fits there: viewers go to one edge at c1's nodes."""
    full = {name: room(name, cores_free=0.0) for name in ("pe3", "pe4", "pe5")}
    assert len(set(crowd(policy, planted(), "pe5", 20, **full))) == 1


@every_policy
def test_a_second_edge_takes_the_other_core(policy: Policy) -> None:
    """An edge is one process: when its core is busy, the node's other core is for another edge."""
    only = {f"pe{n}": room(f"pe{n}", cores_free=0.0) for n in (1, 2, 3, 5)}
    busy = {
        f"edge-pe4-{n}": FunctionView(
            id=f"edge-pe4-{n}", role="edge", node="pe4", cores_free=free, load=0.4
        )
        for n, free in ((1, 0.0), (2, 0.5))
    }
    tree = planted(edge("pe4"))
    one_full = view(tree, nodes=only, functions={"edge-pe4-1": busy["edge-pe4-1"]})
    assert policy.assign(one_full, X, "pe4").function == "edge-pe4-2"
    second = replace(edge("pe4"), function="edge-pe4-2")
    both = view(planted(edge("pe4"), second), nodes=only, functions=busy)
    assert policy.assign(both, X, "pe4").function == "edge-pe4-2"
    assert ACQUIRER in both.trees[X].branches
