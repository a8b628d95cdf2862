"""Where transcoders stand, and how both their trees hold them. Pure.

A transcoder is the root of its rendition's tree and a leaf of the source's. The policy says where
a viewer is served; the transcoder stands there, or at the nearest node that has room for it.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from umbel.delivery.model import RECORDER, Branch, Tree
from umbel.delivery.policy import rooms
from umbel.delivery.policy.base import Assignment, Policy
from umbel.delivery.trees import grafting, renditions
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import EDGE, TRANSCODER, NoCapacity, View
from umbel.planner.admission import Reason


def assigned(view: View, stream: str, access_node: str, policy: Policy) -> Assignment:
    """What the policy assigns for a rendition that no transcoder makes yet, with its transcoder at
    the edge or as near as there is room. Raises NoCapacity, NoSuchNode."""
    source = view.trees[renditions.event_of(stream)]
    empty = view.trees.get(stream, Tree(stream=stream))
    # The policy sees a tree that begins where the source does, and answers where the edge stands.
    first = _transcoder(view, source.branches[0].node)
    begun = replace(empty, branches=(first, *empty.branches))
    chosen = policy.assign(_with(view, begun), stream, access_node)
    edge = grafting.leaf(chosen.function, chosen.node)
    alone = replace(chosen, tree=replace(begun, branches=(*begun.branches, edge)))
    left, _ = rooms.taken(_with(view, begun), stream, alone, 1)
    for at in _nearest(view, chosen.node):
        if not left.fits_transcoder(at, stream):
            continue
        root = _transcoder(view, at)
        try:
            grafting.graft(view, source, root, policy.relaying)
            new = replace(empty, branches=(root, *empty.branches))
            tree = grafting.graft(_with(view, new), new, edge, policy.relaying)
        except NoCapacity:
            continue
        return Assignment(function=chosen.function, node=chosen.node, tree=tree)
    raise view.refusal(source.stream, access_node, Reason.CPU)


def begun(view: View, tree: Tree, relaying: Relaying) -> View:
    """The view with a rendition's tree of a transcoder alone: where the source's root stands, or as
    near as there is room for it. Raises NoCapacity."""
    source = view.trees[renditions.event_of(tree.stream)]
    for node in _nearest(view, source.branches[0].node):
        if not view.fits_transcoder(node, tree.stream):
            continue
        root = _transcoder(view, node)
        with suppress(NoCapacity):
            fed = grafting.graft(view, source, root, relaying)
            new = replace(tree, branches=(root, *tree.branches))
            return rooms.with_tree(rooms.with_tree(view, new), fed)
    raise NoCapacity(
        "No node has room to transcode this stream: add CPU, memory or a node, or end others.",
        stream=tree.stream,
    )


def attached(view: View, source: Tree, relaying: Relaying) -> Tree:
    """The source's tree with exactly the transcoders of its renditions as leaves, as far as links
    have room for them."""
    wanted = {root.function: root for root in _made_of(view, source.stream)}
    kept = [
        b for b in source.branches if b.role != TRANSCODER or not b.parent or b.function in wanted
    ]
    tree = (
        source
        if len(kept) == len(source.branches)
        else grafting.without_idle_forwarders(source, kept)
    )
    return grafting.grafted(view, tree, wanted.values(), relaying)


def moved(view: View, tree: Tree, policy: Policy, sending: Collection[str]) -> Tree:
    """A rendition's tree around a transcoder that cannot stay: another one takes over, where the
    viewers' edges stand or the policy would serve them, or as near as there is room. From a node
    that is to rest it takes over once it is among those `sending`; from a broken one at once."""
    root = tree.root
    if root is None or root.role != TRANSCODER:
        return tree
    is_lost = not view.carried(tree, root)
    if not is_lost and not view.node(root.node).is_closed:
        return _without_heir(tree, root)
    heir = next((b for b in tree.branches if _is_heir(b, root) and _stands(view, tree, b)), None)
    tree = tree if heir is not None else _without_heir(tree, root)
    heir = heir or _next(view, tree, root, policy)
    if heir is None:
        return tree
    if is_lost or heir.function in sending:
        leaves = [b for b in tree.branches if b.role in {EDGE, RECORDER} and b.parent]
        over = (b for b in tree.branches if b.role == RECORDER and not b.parent)
        begun = replace(tree, branches=(heir, *over))
        return grafting.grafted(view, begun, leaves, policy.relaying)
    return tree if tree.branch(heir.function) else replace(tree, branches=(*tree.branches, heir))


def ended(tree: Tree) -> Tree:
    """A rendition's tree without its transcoder once nobody watches or records it; any other as it
    is."""
    root, leaves = tree.root, [b for b in tree.branches if b.parent]
    if root is None or root.role != TRANSCODER:
        return tree
    if any(b.role in {EDGE, RECORDER} for b in leaves):
        return tree
    return replace(tree, branches=tuple(b for b in tree.branches if b.role == RECORDER))


def _is_heir(branch: Branch, root: Branch) -> bool:
    return not branch.parent and branch.role == TRANSCODER and branch != root


def _without_heir(tree: Tree, root: Branch) -> Tree:
    return replace(tree, branches=tuple(b for b in tree.branches if not _is_heir(b, root)))


def _stands(view: View, tree: Tree, branch: Branch) -> bool:
    return view.carried(tree, branch) and not view.node(branch.node).is_closed


def _next(view: View, tree: Tree, root: Branch, policy: Policy) -> Branch | None:
    """A transcoder in the root's stead."""
    places = [b.node for b in tree.branches if b.role == EDGE]
    with suppress(NoCapacity):
        places.append(policy.assign(_with(view, tree), tree.stream, root.node).node)
    for node in (*places, *_nearest(view, root.node)):
        if view.fits_transcoder(node, tree.stream):
            return _transcoder(view, node)
    return None


def _made_of(view: View, source: str) -> Iterator[Branch]:
    """The transcoders of the event's renditions."""
    for stream, tree in sorted(view.trees.items()):
        if stream != source and renditions.event_of(stream) == source:
            yield from (b for b in tree.branches if not b.parent and b.role == TRANSCODER)


def _nearest(view: View, node: str) -> Iterable[str]:
    return (node, *(way.target for way in view.routes.nearest(node)))


def _transcoder(view: View, node: str) -> Branch:
    return grafting.leaf(view.fresh_id(TRANSCODER, node), node, TRANSCODER)


def _with(view: View, tree: Tree) -> View:
    return replace(view, trees={**view.trees, tree.stream: tree})
