"""Where a recorder stands, and how long it stays in its stream's tree. Pure.

A recorder is a leaf. It stands where the stream's root does, or at the nearest node that has room.
One whose stream is over for it has no parent, and since when (`idle_since_s`): it takes no more
packets, and stays until all it has was pulled. Neighbour: loop/recordings.py says what is wanted.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from umbel.delivery.model import RECORDER, Branch, Tree
from umbel.delivery.trees import grafting
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import NoCapacity, View

LONGEST_PULL_S = 60.0
"""How long a recorder stays whose stream is over, at most."""


def of(tree: Tree) -> list[Branch]:
    """The tree's recorders, in the order in which they came."""
    return [b for b in tree.branches if b.role == RECORDER]


def kept(tree: Tree, *, is_wanted: bool, finished: Collection[str], now_s: float) -> Tree:
    """The tree without recorders that nobody wants any more: none of them where the stream is not
    to be recorded, and none whose stream is over for them and that are among those `finished`, or
    late. Without a root it is over for all of them."""
    if tree.root is None:
        tree = _ended(tree, of(tree), now_s)
    gone = [b for b in of(tree) if not is_wanted or _is_done(b, finished, now_s)]
    if not gone:
        return tree
    return grafting.without_idle_forwarders(tree, [b for b in tree.branches if b not in gone])


def alone(tree: Tree, now_s: float) -> Tree:
    """The recorders without all the others: the stream is over."""
    left = _ended(tree, of(tree), now_s)
    return replace(left, branches=tuple(of(left)))


def attached(
    view: View, tree: Tree, *, sending: Collection[str], now_s: float, relaying: Relaying
) -> Tree:
    """The tree with one recorder that can stay. Another takes over from one on a node that is
    closed or avoided, and begins before that one ends: once it gets packets, or none flow. Raises
    NoCapacity when there is no room for it."""
    root = tree.root
    if root is None:
        return tree
    live = [b for b in of(tree) if b.parent]
    stay = [b for b in live if view.carried(tree, b) and _may_stand(view, b.node)]
    if not stay:
        return _with_new(view, tree, root, relaying)
    chosen = next((b for b in stay if b.function in sending), stay[0])
    if chosen.function not in sending and root.function in sending:
        return tree
    before, after = live[: live.index(chosen)], live[live.index(chosen) + 1 :]
    # Those after it were never pulled.
    tree = _ended(tree, before, now_s)
    if not after:
        return tree
    return grafting.without_idle_forwarders(tree, [b for b in tree.branches if b not in after])


def _with_new(view: View, tree: Tree, root: Branch, relaying: Relaying) -> Tree:
    for node in (root.node, *(way.target for way in view.routes.nearest(root.node))):
        for function in _functions_at(view, tree, node) if _may_stand(view, node) else ():
            try:
                leaf = grafting.leaf(function, node, RECORDER)
                return grafting.graft(view, tree, leaf, relaying)
            except NoCapacity:
                continue
    raise NoCapacity(
        "No node has room for a recorder of this stream: add CPU, memory or a node, or end others.",
        stream=tree.stream,
    )


def _may_stand(view: View, node: str) -> bool:
    return not view.node(node).is_closed and node not in view.avoided_nodes


def _functions_at(view: View, tree: Tree, node: str) -> Iterator[str]:
    """The node's recorders that can take another stream, then a new one, if it has room."""
    there = (f for f in view.functions.values() if f.node == node and f.role == RECORDER)
    for function in sorted(there, key=lambda f: f.id):
        is_new = function.usable and tree.branch(function.id) is None
        if is_new and view.fits_recording(function, tree.stream):
            yield function.id
    if view.fits_recorder(node, tree.stream):
        yield view.fresh_id(RECORDER, node)


def _is_done(branch: Branch, finished: Collection[str], now_s: float) -> bool:
    since_s = branch.idle_since_s
    is_late = since_s is not None and now_s - since_s >= LONGEST_PULL_S
    return since_s is not None and (branch.function in finished or is_late)


def _ended(tree: Tree, recorders: Collection[Branch], now_s: float) -> Tree:
    """The stream is over for these recorders."""
    over = {b.function for b in recorders if b.idle_since_s is None}
    if not over:
        return tree
    branches = (
        replace(b, parent="", idle_since_s=now_s) if b.function in over else b
        for b in tree.branches
    )
    return grafting.without_idle_forwarders(tree, list(branches))
