"""Views over SLS's test network, for the policies and the trees."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from umbel.delivery.model import Branch, Tree
from umbel.delivery.trees.view import FunctionView, NodeView, View
from umbel.network.service import TopologyService
from umbel.network.topology import document, files

X = "ev_x"
TOPOLOGY = document.parse(files.builtin("sls"))
ROUTES = TopologyService(TOPOLOGY)
ACQUIRER = Branch(function="acquirer-pe1-1", role="acquirer", node="pe1")


def room(name: str, **free: float) -> NodeView:
    """A node with plenty of everything but what is said."""
    plenty: dict[str, Any] = {"cores_free": 2.0, "memory_free_mb": 2048.0, "mbps_free": 1000.0}
    return NodeView(name=name, is_access=name.startswith("pe"), **{**plenty, **free})


def planted(*branches: Branch, stream: str = X) -> Tree:
    """A tree with its acquirer at pe1."""
    return Tree(stream=stream, branches=(ACQUIRER, *branches), version=1)


def edge(node: str, parent: str = ACQUIRER.function) -> Branch:
    return Branch(function=f"edge-{node}-1", role="edge", node=node, parent=parent)


def forwarder(node: str, parent: str = ACQUIRER.function) -> Branch:
    return Branch(function=f"forwarder-{node}-1", role="forwarder", node=node, parent=parent)


def running(tree: Tree) -> dict[str, FunctionView]:
    """The functions of a tree, as if each ran."""
    return {
        b.function: FunctionView(
            id=b.function, role=b.role, node=b.node, streams=frozenset({tree.stream})
        )
        for b in tree.branches
    }


def view(
    *trees: Tree,
    nodes: Mapping[str, NodeView] | None = None,
    functions: Mapping[str, FunctionView] | None = None,
    links: Mapping[frozenset[str], float] | None = None,
    broken: frozenset[str] = frozenset(),
    copies: bool = False,
) -> View:
    """A view of trees whose functions run, over an idle network but for what is said."""
    seen: dict[str, FunctionView] = {}
    for tree in trees:
        for name, function in running(tree).items():
            streams = function.streams | (seen[name].streams if name in seen else frozenset())
            seen[name] = replace(function, streams=streams)
    free = {frozenset((link.a, link.b)): link.mbps for link in TOPOLOGY.links}
    return View(
        routes=ROUTES,
        nodes={name: room(name) for name in TOPOLOGY.nodes} | dict(nodes or {}),
        functions=seen | dict(functions or {}),
        trees={tree.stream: tree for tree in trees},
        links_free_mbps=free | dict(links or {}),
        broken_nodes=broken,
        copies=copies,
    )
