"""A drawn network made a tree by roles, after the Virtual Puppet Master (VPM, section 4).

In: nodes with roles and the links an operator drew, tree-shaped or not. Out: the tree that carries
streams, and the links left over as redundancy. compiler.py turns both into rules. Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from umbel.kit.errors import Unprocessable
from umbel.network.model import Pair, pair


class InvalidDrawing(Unprocessable):
    """The drawing does not result in a tree."""

    code = "umbel.invalid_drawing"


class Role(StrEnum):
    """What a node is in the tree. A node without a role passes packets on where it is needed."""

    ROOT = "root"
    RELAY = "relay"
    LEAF = "leaf"
    NONE = "none"


_NONE: Mapping[Pair, int] = {}
VALUES: Mapping[Role, int] = {Role.ROOT: 0, Role.RELAY: 1, Role.LEAF: 2, Role.NONE: 1}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What the operator drew: every node's role by its name, and undirected links."""

    roles: Mapping[str, Role]
    links: tuple[Pair, ...]

    @cached_property
    def pairs(self) -> frozenset[Pair]:
        """The links, by `pair`."""
        return frozenset(pair(*link) for link in self.links)


@dataclass(frozen=True, kw_only=True)
class SpanningTree:
    """`parents` gives each node's next towards the root, nearer nodes first; the root has none.
    `redundant` are the drawn links between its nodes that it does not use; `cut` are the nodes
    that led to no leaf. A relay that only redundant links make useful stays in the tree."""

    root: str
    parents: Mapping[str, str]
    redundant: tuple[Pair, ...] = ()
    cut: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The root and then every other node, none before its parent."""
        return (self.root, *self.parents)

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """How many links each node is from the root."""
        found = {self.root: 0}
        for child, parent in self.parents.items():
            found[child] = found[parent] + 1
        return found

    @property
    def links(self) -> tuple[Pair, ...]:
        """The tree's links as (parent, child)."""
        return tuple((parent, child) for child, parent in self.parents.items())

    def children(self, node: str) -> tuple[str, ...]:
        """The nodes directly below."""
        return tuple(child for child, parent in self.parents.items() if parent == node)

    def chain(self, node: str) -> tuple[str, ...]:
        """The nodes from the root down to `node`, both included. Raises KeyError."""
        names = [node]
        while names[-1] != self.root:
            names.append(self.parents[names[-1]])
        return tuple(reversed(names))


def weight(roles: Mapping[str, Role], link: Pair) -> int:
    """What a link costs: the sum of its ends' values."""
    return VALUES[roles[link[0]]] + VALUES[roles[link[1]]]


def span(
    drawing: Drawing,
    recovered: Mapping[Pair, int] = _NONE,
    dead: Collection[Pair] = frozenset(),
) -> SpanningTree:
    """The tree of least weight, by Kruskal; equal weights go as drawn. A cycle is not an error.
    `recovered` and `dead` are by `pair`. A recovered link, the lowest number first, is taken only
    where no other leads on or a leaf would be in the way of another; a dead one where nothing else
    leads on.

    Raises InvalidDrawing with every problem in `problems`: no root, several roots, a leaf that
    cannot be reached, a link that joins a node to itself, is drawn twice or ends at no known node.
    """
    problems = [*_roots_wrong(drawing.roles), *_links_wrong(drawing)]
    if problems:
        raise _bad(problems)
    root = next(name for name, role in drawing.roles.items() if role is Role.ROOT)
    links = _trimmed(drawing.roles, drawing.links)
    forest = _Forest(drawing.roles, recovered)
    forest.grow(links, dead)
    if _is_leaf_in_the_way(drawing.roles, _hang(root, forest.chosen)):
        forest = _Forest(drawing.roles, recovered)
        forest.grow_leaves_last(root, links, dead)
    parents = _hang(root, forest.chosen)
    lost = [
        f"leaf {name}: no links lead to it from the root {root}"
        for name, role in drawing.roles.items()
        if role is Role.LEAF and name not in parents
    ]
    if lost:
        raise _bad(lost)
    reached = parents.keys() | {root}
    return SpanningTree(
        root=root,
        parents=parents,
        redundant=tuple(link for link in forest.spare if link[0] in reached),
        cut=tuple(name for name in drawing.roles if name not in reached),
    )


def rooted(drawing: Drawing, root: str, leaves: Collection[str]) -> Drawing:
    """The part of the drawing that can be reached from `root`, which is its root; `leaves` and a
    root drawn elsewhere are leaves. It can always be spanned. Raises InvalidDrawing when there is
    no such node."""
    if root not in drawing.roles:
        raise _bad([f"root {root}: no such node is drawn"])
    near = _reached(root, drawing.links)
    roles = {name: role for name, role in drawing.roles.items() if name in near}
    for name, role in roles.items():
        if role is Role.ROOT or name in leaves:
            roles[name] = Role.LEAF
    roles[root] = Role.ROOT
    return Drawing(roles=roles, links=tuple(link for link in drawing.links if link[0] in near))


def protectors(tree: SpanningTree) -> tuple[Pair, ...]:
    """The redundant links that the tree may need when any one of its links is lost: the one that
    mends it best, and the one that the node above the lost link has itself, if there is one."""
    depth = tree.depths
    mended = {name: name for name in tree.nodes}  # the next node up whose link is not mended yet
    covered: set[str] = set()
    needed: dict[Pair, None] = {}
    for link in tree.redundant:
        if _mends(tree, link, mended):
            needed[link] = None
        for above, below in (link, link[::-1]):
            lost = below
            while depth[lost] > depth[above] + 1:
                lost = tree.parents[lost]
            if tree.parents.get(lost) == above and lost not in covered:
                covered.add(lost)
                needed[link] = None
    return tuple(needed)


def _mends(tree: SpanningTree, link: Pair, mended: dict[str, str]) -> bool:
    """Whether the link is the first to bridge some link of the tree; those it bridges are noted."""

    def head(name: str) -> str:
        while mended[name] != name:
            mended[name] = mended[mended[name]]
            name = mended[name]
        return name

    depth = tree.depths
    a, b, is_first = head(link[0]), head(link[1]), False
    while a != b:
        a, b = (a, b) if depth[a] >= depth[b] else (b, a)
        mended[a] = tree.parents[a]
        a, is_first = head(a), True
    return is_first


def without(drawing: Drawing, a: str, b: str) -> Drawing:
    """The drawing after the link between `a` and `b` is lost; `span` it again to heal the tree."""
    kept = tuple(link for link in drawing.links if {*link} != {a, b})
    return Drawing(roles=drawing.roles, links=kept)


def _bad(problems: Sequence[str]) -> InvalidDrawing:
    return InvalidDrawing(f"The drawing has {len(problems)} problem(s)", problems=list(problems))


def _roots_wrong(roles: Mapping[str, Role]) -> Iterator[str]:
    roots = [name for name, role in roles.items() if role is Role.ROOT]
    if not roots:
        yield "no node is the root"
    elif len(roots) > 1:
        yield from (
            f"node {name}: a second root; {roots[0]} is already the root" for name in roots[1:]
        )


def _links_wrong(drawing: Drawing) -> Iterator[str]:
    times = Counter(frozenset(link) for link in drawing.links)
    for a, b in drawing.links:
        title = f"link {a}-{b}"
        for end in dict.fromkeys((a, b)):
            if end not in drawing.roles:
                yield f"{title}: unknown node {end}"
        if a == b:
            yield f"{title}: joins a node to itself"
        if times[frozenset((a, b))] > 1:
            times[frozenset((a, b))] = 0  # told once, however often it is drawn
            yield f"{title}: drawn more than once"


def _neighbours(links: Sequence[Pair]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for a, b in links:
        found[a].append(b)
        found[b].append(a)
    return found


def _trimmed(roles: Mapping[str, Role], links: tuple[Pair, ...]) -> list[Pair]:
    """The links less every branch that ends in a relay or a node without a role."""
    neighbours = {name: set(others) for name, others in _neighbours(links).items()}
    ends = [name for name, others in neighbours.items() if len(others) == 1]
    gone: set[str] = set()
    while ends:
        name = ends.pop()
        if roles[name] in (Role.ROOT, Role.LEAF) or name in gone:
            continue
        gone.add(name)
        for other in neighbours[name]:
            neighbours[other].discard(name)
            if len(neighbours[other]) == 1:
                ends.append(other)
    return [link for link in links if gone.isdisjoint(link)]


class _Forest:
    """Kruskal's forest, which grows link by link."""

    def __init__(self, roles: Mapping[str, Role], recovered: Mapping[Pair, int]) -> None:
        self._roles, self._recovered = roles, recovered
        self._above: dict[str, str] = {name: name for name in roles}
        self.chosen: list[Pair] = []
        self.spare: list[Pair] = []

    def grow(self, links: Sequence[Pair], dead: Collection[Pair]) -> None:
        """By weight; recovered links after all others, dead ones last."""
        self._join([link for link in links if pair(*link) not in dead])
        self._join([link for link in links if pair(*link) in dead])

    def grow_leaves_last(self, root: str, links: Sequence[Pair], dead: Collection[Pair]) -> None:
        """Without leaves first, then each leaf at its end of one link, to what the root has if it
        can; then where a leaf is in the way of others; dead links last."""
        live = [link for link in links if pair(*link) not in dead]
        ends = {link: [name for name in link if self._roles[name] is Role.LEAF] for link in live}
        self._join([link for link in live if not ends[link]])
        single = self._sorted(link for link in live if len(ends[link]) == 1)
        hung: set[str] = set()
        left: list[Pair] = []
        for at_root in (True, False):
            for link in single:
                (leaf,) = ends[link]
                other = link[0] if link[1] == leaf else link[1]
                if leaf in hung or (at_root and self._head(other) != self._head(root)):
                    left.append(link)
                else:
                    hung.add(leaf)
                    self._take(link)
            single, left = left, []
        self._join([*single, *(link for link in live if len(ends[link]) == 2)])
        self._join([link for link in links if pair(*link) in dead])

    def _join(self, links: Iterable[Pair]) -> None:
        for link in self._sorted(links):
            self._take(link)

    def _take(self, link: Pair) -> None:
        a, b = self._head(link[0]), self._head(link[1])
        (self.spare if a == b else self.chosen).append(link)
        self._above[a] = b

    def _sorted(self, links: Iterable[Pair]) -> list[Pair]:
        def cost(link: Pair) -> tuple[int, int]:
            return self._recovered.get(pair(*link), 0), weight(self._roles, link)

        return sorted(links, key=cost)

    def _head(self, name: str) -> str:
        above = self._above
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name


def _is_leaf_in_the_way(roles: Mapping[str, Role], parents: Mapping[str, str]) -> bool:
    """Whether the way to some leaf leads through another. `parents` is nearest the root first."""
    below: set[str] = set()  # leaves, and what hangs below them
    for name, parent in parents.items():
        if roles[name] is Role.LEAF and parent in below:
            return True
        if roles[name] is Role.LEAF or parent in below:
            below.add(name)
    return False


def _reached(root: str, links: Sequence[Pair]) -> set[str]:
    """The nodes that any links lead to, the root too."""
    neighbours = _neighbours(links)
    found, coming = {root}, [root]
    for node in coming:
        new = [other for other in neighbours.get(node, ()) if other not in found]
        found.update(new)
        coming += new
    return found


def _hang(root: str, links: Sequence[Pair]) -> dict[str, str]:
    """Each node's parent, nearest the root first, for the nodes that can be reached from it."""
    neighbours = _neighbours(links)
    parents: dict[str, str] = {}
    near = [root]
    for node in near:
        for other in neighbours.get(node, ()):
            if other != parents.get(node):
                parents[other] = node
                near.append(other)
    return parents
