"""Where transcoders stand, and how both their trees hold them. Pure.

A transcoder is the root of its rendition's tree and a leaf of the source's. The policy says where
a viewer is served; the transcoder stands there, or at the nearest node that has room for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from umbel.delivery import renditions, trees
from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy.base import Assignment, Policy
from umbel.delivery.trees import Relaying
from umbel.delivery.view import EDGE, TRANSCODER, NoCapacity, View
from umbel.planner.admission import Reason


def assigned(view: View, stream: str, access_node: str, policy: Policy) -> Assignment:
    """What the policy assigns for a rendition that nobody makes yet, with its transcoder at the
    edge or as near as there is room. Raises NoCapacity, NoSuchNode."""
    source = view.trees[renditions.event_of(stream)]
    empty = view.trees.get(stream, Tree(event=stream))
    # The policy sees a tree that begins where the source does, and answers where the edge stands.
    begun = replace(empty, branches=(_transcoder(view, source.branches[0].node),))
    chosen = policy.assign(_with(view, begun), stream, access_node)
    for at in _nearest(view, chosen.node):
        if not view.fits_transcoder(at, stream):
            continue
        root = _transcoder(view, at)
        try:
            trees.graft(view, source, root, policy.relaying)
            new = replace(empty, branches=(root,))
            edge = trees.leaf(chosen.function, chosen.node)
            tree = trees.graft(_with(view, new), new, edge, policy.relaying)
        except NoCapacity:
            continue
        return Assignment(function=chosen.function, node=chosen.node, tree=tree)
    raise view.refusal(source.event, access_node, Reason.CPU)


def attached(view: View, source: Tree, relaying: Relaying) -> Tree:
    """The source's tree with exactly the transcoders of its renditions as leaves, as far as links
    have room for them."""
    wanted = {root.function: root for root in _roots(view, source.event)}
    kept = [
        b
        for b in source.branches
        if b.role != TRANSCODER or (b.function in wanted and wanted[b.function].node == b.node)
    ]
    tree = source if len(kept) == len(source.branches) else trees.fed(source, kept)
    for root in wanted.values():
        try:
            tree = trees.graft(view, tree, root, relaying)
        except NoCapacity:
            continue  # tried again at the next look
    return tree


def moved(view: View, tree: Tree, relaying: Relaying) -> Tree:
    """A rendition's tree around a transcoder that cannot run where it is: another one, as near as
    there is room. Where there is none, the tree stays."""
    root = tree.root
    if root is None or root.role != TRANSCODER or view.carried(tree, root):
        return tree
    for at in _nearest(view, root.node):
        if view.fits_transcoder(at, tree.event):
            return _rerooted(view, tree, _transcoder(view, at), relaying)
    return tree


def ended(tree: Tree) -> Tree:
    """A rendition's tree without its transcoder once nobody watches it; any other as it is."""
    root = tree.root
    if root is None or root.role != TRANSCODER or len(tree.branches) > 1:
        return tree
    return replace(tree, branches=())


def _rerooted(view: View, tree: Tree, root: Branch, relaying: Relaying) -> Tree:
    made = replace(tree, branches=(root,))
    for branch in tree.branches:
        if branch.role != EDGE:
            continue
        try:
            made = trees.graft(view, made, replace(branch, parent=""), relaying)
        except NoCapacity:
            continue  # its viewers ask anew
    return made


def _roots(view: View, event: str) -> Iterator[Branch]:
    for stream, tree in sorted(view.trees.items()):
        if stream != event and renditions.event_of(stream) == event and tree.root is not None:
            yield tree.root


def _nearest(view: View, node: str) -> Iterable[str]:
    return (node, *(way.target for way in view.routes.nearest(node)))


def _transcoder(view: View, node: str) -> Branch:
    return trees.leaf(view.fresh_id(TRANSCODER, node), node, TRANSCODER)


def _with(view: View, tree: Tree) -> View:
    return replace(view, trees={**view.trees, tree.event: tree})
