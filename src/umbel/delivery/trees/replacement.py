"""An edge is replaced by another on a node that an operator chose, make before break. Pure.

In: trees in which a branch names its successor. Out: trees with the successor, and without the
edge once its viewers have left; new viewers go to the successor at once.
"""

from collections.abc import Iterable
from dataclasses import replace

from umbel.delivery.model import Branch, Tree
from umbel.delivery.trees.grafting import Relaying, graft, leaf, without_idle_forwarders
from umbel.delivery.trees.view import View


def successor(tree: Tree, function: str) -> Branch | None:
    """The branch that replaces the function's."""
    branch = tree.branch(function)
    return tree.branch(branch.replaced_by) if branch is not None and branch.replaced_by else None


def begun(view: View, tree: Tree, function: str, new: Branch, relaying: Relaying) -> Tree:
    """The tree with the successor, which the function's branch names. Raises NoCapacity."""
    grafted = graft(view, tree, leaf(new.function, new.node), relaying)
    return _marked(grafted, function, new.function)


def undone(tree: Tree, function: str) -> Tree:
    """The function stays; its successor is an edge like any other."""
    return _marked(tree, function, "")


def ended(tree: Tree, function: str) -> Tree:
    """The tree without the function's branch."""
    return without_idle_forwarders(tree, [b for b in tree.branches if b.function != function])


def takes_over(view: View, tree: Tree, function: str) -> Branch | None:
    """The successor, where the function has one that can take another viewer."""
    new = successor(tree, function)
    edge = view.functions.get(new.function) if new is not None else None
    if new is None or edge is None or not view.carried(tree, new):
        return None
    return new if view.fits_viewer(edge, tree.stream) else None


def left_nodes(trees: Iterable[Tree]) -> set[str]:
    """The nodes whose viewers should ask again: an edge there is being replaced."""
    return {b.node for tree in trees for b in tree.branches if successor(tree, b.function)}


def _marked(tree: Tree, function: str, by: str) -> Tree:
    branches = (replace(b, replaced_by=by) if b.function == function else b for b in tree.branches)
    return replace(tree, branches=tuple(branches))
