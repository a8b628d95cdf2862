"""The whole overlay as one value: what is drawn, what is alive, which streams are asked for. Pure.

In: what operators and delivery ask, and what is seen of tunnels' ends, with the time. Out: trees,
tunnels to make and programs for the switches. A driver brings both to the switches.

Only links of trees become tunnels, and those spare links that a tree needs as soon as any one of
its links is lost (spanning.protectors): a tunnel takes longer to make than a failover may last. A
dead link's tunnel stays: it tells when the link is back. Dead links come last in line for a tree,
then those that died and came back, so that a link which comes back is redundant and moves nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from umbel.network.model import Pair, pair
from umbel.network.overlay import compiler, moves, spanning, streams
from umbel.network.overlay.links import Ground, Life, Seen
from umbel.network.overlay.spanning import Drawing, Role, SpanningTree
from umbel.network.overlay.streams import BadCarriage, Carriage, Move, Path, Receiver, Slice, Stream
from umbel.network.switching import port_map
from umbel.network.switching.port_map import Door, Plugs
from umbel.network.switching.program import Program


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A stream as it is asked for. It enters at `root` by the door `sender`; `functions` are the
    ports of functions on the way, `hosts` the processes, by node. `slice` stands for the stream's.
    `refused` is what a switch said against it; it is not carried then."""

    stream: Stream
    root: str
    sender: Door = Door.INSIDE
    paths: tuple[Path, ...] = ()
    functions: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, Receiver] = field(default_factory=dict)
    move: Move | None = None
    refused: str = ""

    @property
    def leaves(self) -> frozenset[str]:
        """The nodes where it is to end."""
        ends = {path.leaf for path in self.paths}
        moving = self.move is not None and not self.move.refused
        return frozenset(ends | {self.move.target} if self.move and moving else ends)


@dataclass(frozen=True, kw_only=True)
class Woven:
    """Programs by node, and what keeps streams, by name, from being carried as asked."""

    programs: Mapping[str, Program]
    problems: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Everything the overlay is to be, and what is known of it."""

    ground: Ground
    wishes: Mapping[str, Wish] = field(default_factory=dict)
    slices: Mapping[str, Slice] = field(default_factory=dict)
    life: Life = field(default_factory=Life)

    def draw(self, drawing: Drawing) -> "Overlay":
        """The operator drew another network."""
        return replace(self, ground=self.ground.draw(drawing))

    def carry(self, wish: Wish) -> "Overlay":
        """A stream is wanted so, whatever was wanted of it before. A move goes on as long as the
        leaf that leaves is there."""
        old = self.wishes.get(wish.stream.name)
        if old and old.move and not wish.move and _goes_on(old.move, wish):
            wish = replace(wish, move=old.move)
        return self._with(wish)

    def forget(self, name: str) -> "Overlay":
        """A stream is not wanted any more. An unknown one is no error."""
        kept = {key: wish for key, wish in self.wishes.items() if key != name}
        return replace(self, wishes=kept)

    def refuse(self, name: str, why: str) -> "Overlay":
        """A switch does not take the stream's rules: its clones are, if a leaf is moving, or else
        the whole stream is carried no more until it is asked for anew."""
        wish = self.wishes.get(name)
        if wish is None:
            return self
        if wish.move and not wish.move.refused:
            return self._with(replace(wish, move=replace(wish.move, refused=why)))
        return self._with(replace(wish, refused=why))

    def slice(self, name: str, kind: Slice | None) -> "Overlay":
        """A stream is held to a slice wherever a function gives it to the overlay, carried already
        or not; None: no more. It is tried anew then if it was refused."""
        slices = {key: one for key, one in self.slices.items() if key != name}
        if kind is not None:
            slices[name] = kind
        after = replace(self, slices=slices)
        wish = self.wishes.get(name)
        return after._with(replace(wish, refused="")) if wish else after

    def meet(self, name: str, hosts: Mapping[str, Receiver]) -> "Overlay":
        """A stream meets these functions on its way, by node. It is tried anew if it was refused.
        An unknown one is no error."""
        wish = self.wishes.get(name)
        return self._with(replace(wish, hosts=dict(hosts), refused="")) if wish else self

    def path_add(self, wish: Wish, path: Path) -> "Overlay":
        """A path more for a stream, which is made as `wish` says if there is none of the name.

        Raises BadCarriage when its end or root is not drawn, or it cannot be carried so.
        """
        root = self.wishes.get(wish.stream.name, wish).root
        problems = [f"node {n} is not drawn" for n in (root, path.leaf) if not self.has(n)]
        if path.receiver and path.receiver.door is Door.OUTSIDE and not path.receiver.ethernet:
            problems.append(f"receiver {path.receiver.address} has no Ethernet address")
        return self.path_keep(wish, path, problems)

    def path_keep(self, wish: Wish, path: Path, problems: Sequence[str] = ()) -> "Overlay":
        """A path that was added before: it is carried as soon as what it needs is drawn. Raises
        BadCarriage when the stream clashes with another, or there are other `problems`."""
        kept = replace(self.wishes.get(wish.stream.name, wish), refused="")
        paths = tuple(dict.fromkeys([*kept.paths, path]))
        after = self._with(replace(kept, paths=paths))
        found = [*problems, *streams.clashes([one.stream for one in after.wishes.values()])]
        if found:
            raise BadCarriage(f"There are {len(found)} problem(s)", problems=found)
        return after

    def path_remove(self, name: str, path: Path) -> "Overlay":
        """A path less, and with it a move of it; with its last one the stream goes. Missing ones
        are no error."""
        wish = self.wishes.get(name)
        if wish is None:
            return self
        less = replace(wish, paths=tuple(kept for kept in wish.paths if kept != path))
        if less.move and not _goes_on(less.move, less):
            less = replace(less, move=None)
        return self._with(less) if less.paths else self.forget(name)

    def prepare(self, name: str, leaving: Path, coming: Path) -> "Overlay":
        """Clones go to `coming`, which is to stand in for `leaving`. Raises BadMove."""
        return self._moved(name, moves.hand_over(self._bare(name), leaving, coming))

    def commit(self, name: str) -> "Overlay":
        """The move is done: the old path is gone. Raises BadMove."""
        return self._moved(name, moves.commit(self._bare(name)))

    def abort(self, name: str) -> "Overlay":
        """The leaf stays. Raises BadMove."""
        return self._moved(name, moves.abort(self._bare(name)))

    def seen(self, event: Seen, now_s: float) -> "Overlay":
        """What a switch says of a tunnel's end. A loss counts at once."""
        return replace(self, life=self.life.seen(event, now_s)).at(now_s)

    def at(self, now_s: float) -> "Overlay":
        """The same overlay later: links whose hold-down or grace is over count."""
        ground = self.ground.after(self.life.dead(now_s))
        return self if ground is self.ground else replace(self, ground=ground)

    def next_at_s(self, now_s: float) -> float | None:
        """When `at` may answer something new."""
        return self.life.next_at_s(now_s)

    def has(self, node: str) -> bool:
        """Whether a node is drawn."""
        return node in self.ground.drawing.roles

    def tree(self, name: str) -> SpanningTree:
        """The tree that a stream goes over. Raises KeyError, BadDrawing."""
        wish = self.wishes[name]
        return self.ground.tree(wish.root, wish.leaves)

    def drawn(self) -> SpanningTree | None:
        """The tree of the drawn root; None when none is drawn."""
        roots = [name for name, role in self.ground.drawing.roles.items() if role is Role.ROOT]
        return self.ground.tree(roots[0], ()) if roots else None

    def used(self, name: str) -> tuple[Pair, ...]:
        """The links a stream goes over, as (from, to), nearest the root first."""
        tree, wish = self.tree(name), self.wishes[name]
        ways = [pairwise(tree.chain(leaf)) for leaf in wish.leaves if leaf in tree.depths]
        on = {link for way in ways for link in way}
        return tuple(link for link in tree.links if link in on) if not wish.refused else ()

    def carries(self, name: str) -> bool:
        """Whether there is a stream of the name, whose root is drawn."""
        return name in self.wishes and self.has(self.wishes[name].root)

    def obstacles(self, name: str, leaf: str, plugs: Mapping[str, Plugs]) -> tuple[str, ...]:
        """What keeps a stream, whose root is drawn, from one of its leaves; empty: nothing."""
        tree = self.tree(name)
        barrier = self._barrier(tree, leaf, plugs)
        return (barrier,) if barrier else tuple(self._lost(tree, leaf))

    def depths(self) -> Mapping[int, Mapping[str, int]]:
        """For each stream's number, how far from its root nodes are."""
        return {
            wish.stream.number: self.tree(name).depths
            for name, wish in self.wishes.items()
            if self.carries(name)
        }

    def tunnels(
        self, more: Iterable[Pair] = (), *, whole: bool = False
    ) -> Mapping[str, tuple[str, ...]]:
        """Toward which neighbours each node is to have a tunnel, also along the links `more`;
        `whole`: toward all that are drawn."""
        near: dict[str, set[str]] = {name: set() for name in self.ground.drawing.roles}
        for a, b in (*(self.ground.links if whole else self._joined), *more):
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
        return {name: tuple(sorted(others)) for name, others in near.items()}

    def ready(self, plugs: Mapping[str, Plugs]) -> bool:
        """Whether all the links that streams go over have their tunnels."""
        used = (link for name in self.wishes if self.carries(name) for link in self.used(name))
        return all(_plugged(plugs, a, b) for a, b in used)

    def weave(self, plugs: Mapping[str, Plugs]) -> Woven:
        """What each plugged switch is to hold. A stream that cannot be carried whole is carried as
        far as it can be."""
        switches = {node: switch(held) for node, held in plugs.items()}
        fit, problems = [], {}
        for name, wish in self.wishes.items():
            carried, found = self._carriage(wish, plugs)
            if carried is not None:
                try:
                    streams.check([carried], switches)
                    fit.append(carried)
                except BadCarriage as error:
                    found += [str(p) for p in _listed(error.details["problems"])]
            if found:
                problems[name] = tuple(found)
        return Woven(programs=compiler.programs(fit, switches), problems=problems)

    def _with(self, wish: Wish) -> "Overlay":
        return replace(self, wishes={**self.wishes, wish.stream.name: wish})

    def _bare(self, name: str) -> Carriage:
        wish = self.wishes.get(name)
        if wish is None:
            raise moves.BadMove(f"No stream {name} is carried", stream=name)
        return Carriage(stream=wish.stream, tree=self.tree(name), paths=wish.paths, move=wish.move)

    def _moved(self, name: str, after: Carriage) -> "Overlay":
        wish = self.wishes[name]
        return self._with(replace(wish, paths=after.paths, move=after.move))

    def _carriage(
        self, wish: Wish, plugs: Mapping[str, Plugs]
    ) -> tuple[Carriage | None, list[str]]:
        """What can be carried of a stream now, and what is wrong."""
        if wish.refused:
            return None, [wish.refused]
        if not self.has(wish.root):
            return None, [f"root {wish.root} is not drawn"]
        tree = self.ground.tree(wish.root, wish.leaves)
        if wish.root not in plugs:
            return None, [f"node {wish.root} has no switch yet"]
        reached, problems = set(), []
        for leaf in sorted(wish.leaves):
            problem = self._barrier(tree, leaf, plugs)
            problems += [problem] if problem else self._lost(tree, leaf)
            if not problem:
                reached.add(leaf)
        sender = {wish.root: plugs[wish.root].inside} if wish.sender is Door.INSIDE else {}
        hosts = {node: plugs[node].inside for node in wish.hosts if node in plugs}
        name, moving = wish.stream.name, wish.move
        if moving and moving.refused:
            problems.append(f"no move to {moving.target}: {moving.refused}")
            moving = None
        stream = replace(wish.stream, slice=self.slices.get(name, wish.stream.slice))
        return Carriage(
            stream=stream,
            tree=tree,
            paths=tuple(path for path in wish.paths if path.leaf in reached),
            functions={**wish.functions, **hosts, **sender},
            hosts={node: host for node, host in wish.hosts.items() if node in hosts},
            move=moving if moving and moving.target in reached else None,
        ), problems

    def _barrier(self, tree: SpanningTree, leaf: str, plugs: Mapping[str, Plugs]) -> str:
        """Why no rules can lead to a leaf; empty: they can."""
        if leaf not in tree.depths:
            return f"leaf {leaf}: no links lead to it from the root {tree.root}"
        if leaf not in plugs:
            return f"node {leaf} has no switch yet"
        bare = (way for way in pairwise(tree.chain(leaf)) if not _plugged(plugs, *way))
        return next((f"no tunnel joins {a} and {b} yet" for a, b in bare), "")

    def _lost(self, tree: SpanningTree, leaf: str) -> list[str]:
        """The dead links on the only way to a leaf."""
        way = pairwise(tree.chain(leaf))
        return [f"link {a}-{b} is down" for a, b in way if pair(a, b) in self.ground.dead]

    @cached_property
    def _joined(self) -> frozenset[Pair]:
        """The links that are to have tunnels."""
        wanted = {(w.root, w.leaves) for w in self.wishes.values() if self.has(w.root)}
        trees = [self.ground.tree(root, leaves) for root, leaves in wanted]
        if (drawn := self.drawn()) is not None:
            trees.append(drawn)
        links = set(self.ground.dead)
        for tree in {id(tree): tree for tree in trees}.values():
            links |= {pair(*link) for link in (*tree.links, *spanning.protectors(tree))}
        return frozenset(links)


def switch(plugs: Plugs) -> port_map.Switch:
    """A switch as compiler.py sees it."""
    return port_map.Switch(
        toward=plugs.toward, outside=plugs.outside, inside=plugs.inside, mac=plugs.inside_mac
    )


def _goes_on(move: Move, wish: Wish) -> bool:
    return Path(leaf=move.source, receiver=move.leaving) in wish.paths


def _plugged(plugs: Mapping[str, Plugs], a: str, b: str) -> bool:
    return a in plugs and b in plugs and b in plugs[a].toward and a in plugs[b].toward


def _listed(problems: object) -> Iterable[object]:
    return problems if isinstance(problems, list) else [problems]
