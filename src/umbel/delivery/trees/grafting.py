"""Growing and trimming delivery trees. Pure: a tree and a view in, a tree out.

The policies decide *where* a viewer is served; these functions decide *how* the stream gets there.
"""

import itertools
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum

from umbel.delivery.model import RECORDER, Branch, Tree
from umbel.delivery.trees.view import ACQUIRER, EDGE, FORWARDER, TRANSCODER, NoCapacity, View
from umbel.kit.errors import Unavailable


class Relaying(Enum):
    """Where forwarders stand between the acquirer and the edges."""

    EVERY_CORE = "every core node on the path (SLS figure 4)"
    NONE = "nowhere while the links can carry one copy per edge"


def new_tree(view: View, stream: str, node: str) -> Tree:
    """A tree of the acquirer alone, on the provider's node. Raises NoCapacity, NoSuchNode."""
    view.node(node)
    function = _server_at(view, node, ACQUIRER)
    if function is None:
        raise NoCapacity(f"no room for an acquirer on {node}", node=node)
    return Tree(stream=stream, branches=(leaf(function, node, ACQUIRER),))


def graft(view: View, tree: Tree, new: Branch, relaying: Relaying) -> Tree:
    """The tree with that leaf connected: an edge, a transcoder or a recorder; it has no parent yet.
    Raises NoCapacity when a link or node is full."""
    root, node = tree.root, new.node
    if root is None or tree.branch(new.function) is not None:
        return tree
    walk = _walk(view, root, new)
    mbps = view.mbps(tree.stream)
    if view.copies:
        return _graft_at_root(view, tree, root, new, walk)
    if relaying is Relaying.NONE and view.fits_path(walk, mbps):
        return _with(tree, replace(new, parent=root.function))
    sibling = next((b for b in tree.branches if _may_share(view, tree, b, new)), None)
    if sibling is not None:
        return _with(tree, replace(new, parent=sibling.function))
    parent, rest = _deepest(view, tree, walk)
    if not view.fits_path([parent.node, *rest], mbps):
        raise NoCapacity(f"no link to {node} has {mbps:.1f} Mbit/s left", node=node)
    for stop in rest[:-1]:
        if not view.node(stop).is_access and view.carried(tree, _forwarder_at(view, stop)):
            branch = replace(_forwarder_at(view, stop), parent=parent.function)
            tree, parent = _with(tree, branch), branch
    return _with(tree, replace(new, parent=parent.function))


def _walk(view: View, root: Branch, new: Branch) -> tuple[str, ...]:
    """The nodes from the root to the new leaf's, both included."""
    try:
        return view.routes.path(root.node, new.node).nodes
    except Unavailable as error:
        raise NoCapacity(f"no path leads from {root.node} to {new.node}", node=new.node) from error


def _graft_at_root(view: View, tree: Tree, root: Branch, new: Branch, walk: Sequence[str]) -> Tree:
    """The tree with the leaf fed by the root alone: switches copy where ways part, so only links
    that the stream does not use yet must have room."""
    used, mbps, node = set(links_of(view, tree)), view.mbps(tree.stream), new.node
    fresh = [pair for pair in itertools.pairwise(walk) if frozenset(pair) not in used]
    if not all(view.fits_path(pair, mbps) for pair in fresh):
        raise NoCapacity(f"no link to {node} has {mbps:.1f} Mbit/s left", node=node)
    return _with(tree, replace(new, parent=root.function))


def prune(tree: Tree, watched: Collection[str], *, now_s: float, linger_s: float) -> Tree:
    """The tree without edges that had no viewer for `linger_s`, nor forwarders that feed none.

    `watched` names the functions with a session of this stream. One that replaces another waits
    for its viewers.
    """
    watched = {*watched, *(b.replaced_by for b in tree.branches)}
    kept = [
        replace(b, idle_since_s=_idle_since(b, watched, now_s))
        for b in tree.branches
        if b.role != EDGE or b.function in watched or not _is_stale(b, now_s, linger_s)
    ]
    return without_idle_forwarders(tree, kept)


def repair(view: View, tree: Tree, relaying: Relaying) -> Tree:
    """The tree around forwarders and leaves that cannot run; the leaves left are grafted again.

    The root stays; a leaf that no link can feed is left out.
    """
    if view.copies:
        tree = _flat(tree)
    there = {b.function for b in tree.branches}
    if all(view.carried(tree, b) and (b.parent or b.function) in there for b in tree.branches):
        return tree
    sound = [b for b in tree.branches if not b.parent or view.carried(tree, b)]
    names = {b.function for b in sound}
    cut_off = [b for b in sound if b.role != FORWARDER and not _reaches_root(b, sound, names)]
    return grafted(
        view,
        without_idle_forwarders(tree, [b for b in sound if b not in cut_off]),
        cut_off,
        relaying,
    )


def grafted(view: View, tree: Tree, leaves: Iterable[Branch], relaying: Relaying) -> Tree:
    """The tree with those leaves connected again, as far as links and nodes have room: viewers of
    an edge that is left out ask again, a transcoder is tried again at the next look."""
    for new in leaves:
        with suppress(NoCapacity):
            tree = graft(view, tree, replace(new, parent=""), relaying)
    return tree


def without_idle_forwarders(tree: Tree, branches: list[Branch]) -> Tree:
    """The tree with those branches alone, except for forwarders that then feed none, however long
    their chain."""
    while True:
        parents = {b.parent for b in branches}
        useful = [b for b in branches if b.role != FORWARDER or b.function in parents]
        if len(useful) == len(branches):
            return replace(tree, branches=tuple(useful))
        branches = useful


def links_of(view: View, tree: Tree) -> list[frozenset[str]]:
    """The links its packets pass, each as often as they pass it: once where switches copy."""
    passed = [
        frozenset(pair)
        for source, target in edges_of(tree)
        for pair in itertools.pairwise(view.routes.path(source, target).nodes)
    ]
    return list(dict.fromkeys(passed)) if view.copies else passed


def edges_of(tree: Tree) -> list[tuple[str, str]]:
    """The hops as (parent's node, child's node), nearest the root first."""
    by_name = {b.function: b for b in tree.branches}
    return [(by_name[b.parent].node, b.node) for b in tree.branches if b.parent in by_name]


def depth(tree: Tree) -> int:
    """How many hops the longest way from the acquirer to an edge has."""
    parents = {b.function: b.parent for b in tree.branches}

    def distance(function: str) -> int:
        return 1 + distance(parents[function]) if parents.get(function) else 0

    return max((distance(b.function) for b in tree.branches), default=0)


def leaf(function: str, node: str, role: str = EDGE) -> Branch:
    """A function to be grafted onto a tree."""
    return Branch(function=function, role=role, node=node)


def _flat(tree: Tree) -> Tree:
    """Every leaf at the root: forwarders that another fabric needed are not needed here."""
    root = tree.root
    if root is None or all(b.role != FORWARDER for b in tree.branches):
        return tree
    rest = (b for b in tree.branches if b.role != FORWARDER and (b.parent or b.role == RECORDER))
    moved = (replace(b, parent=root.function) if b.parent else b for b in rest)
    return replace(tree, branches=(root, *moved))


def _with(tree: Tree, branch: Branch) -> Tree:
    return replace(tree, branches=(*tree.branches, branch))


def _deepest(view: View, tree: Tree, walk: tuple[str, ...]) -> tuple[Branch, list[str]]:
    """The last function of the tree along the walk that can pass the stream on, and the nodes
    after it."""
    for index in range(len(walk) - 1, -1, -1):
        for branch in tree.branches:
            if branch.node == walk[index] and _sends(tree, branch) and view.carried(tree, branch):
                return branch, list(walk[index + 1 :])
    raise NoCapacity("the tree has no working root", stream=tree.stream)


def _forwarder_at(view: View, node: str) -> Branch:
    """The forwarder that serves a node: one there, or a new one."""
    function = _server_at(view, node, FORWARDER) or view.fresh_id(FORWARDER, node)
    return leaf(function, node, FORWARDER)


def _server_at(view: View, node: str, role: str) -> str | None:
    """The node's function of that role that takes another stream: the first that has CPU left,
    else a new one. Where no other can start, a full one is better than none."""
    here = sorted(
        (f for f in view.functions.values() if f.node == node and f.role == role and f.usable),
        key=lambda f: (f.cores_free < view.costs.stream_cores, f.id),
    )
    has_room = bool(here) and here[0].cores_free >= view.costs.stream_cores
    if not has_room and view.fits_function(node):
        return view.fresh_id(role, node)
    return here[0].id if here else None


def _may_share(view: View, tree: Tree, branch: Branch, new: Branch) -> bool:
    """Whether a new transcoder's node has an edge: one copy over the last link is enough."""
    is_local_edge = branch.node == new.node and branch.role == EDGE and view.carried(tree, branch)
    return new.role == TRANSCODER and is_local_edge


def _sends(tree: Tree, branch: Branch) -> bool:
    return branch.role == FORWARDER or branch == tree.root


def _idle_since(branch: Branch, watched: Collection[str], now_s: float) -> float | None:
    if branch.role != EDGE:
        return branch.idle_since_s
    if branch.function in watched:
        return None
    return now_s if branch.idle_since_s is None else branch.idle_since_s


def _is_stale(branch: Branch, now_s: float, linger_s: float) -> bool:
    return branch.idle_since_s is not None and now_s - branch.idle_since_s >= linger_s


def _reaches_root(branch: Branch, sound: list[Branch], names: set[str]) -> bool:
    by_name = {b.function: b for b in sound}
    while branch.parent:
        if branch.parent not in names:
            return False
        branch = by_name[branch.parent]
    return True
