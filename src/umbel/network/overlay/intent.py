"""The whole overlay as one value: what is drawn, what is alive, which streams are asked for. Pure.

In: what operators and delivery ask, and which links are dead. Out: trees, tunnels to make and
programs for the switches. A driver brings both to the switches.

Only links of trees become tunnels, and those spare links that a tree needs as soon as any one of
its links is lost (spanning.protectors): a tunnel takes longer to make than a failover may last. A
dead link's tunnel stays: it tells when the link is back. A link which comes back is redundant and
moves nothing, unless another leaf is in the way without it (spanning.span).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from umbel.network.model import Pair, pair
from umbel.network.overlay import compiler, moves, spanning, streams
from umbel.network.overlay.links import LinkState
from umbel.network.overlay.refusals import Accepted, HeldRoute
from umbel.network.overlay.spanning import Drawing, Role, SpanningTree
from umbel.network.overlay.streams import (
    InvalidRoute,
    Move,
    Path,
    Receiver,
    RoutedStream,
    Slice,
    StreamIntent,
)
from umbel.network.switching.port_map import PortMap, Side
from umbel.network.switching.program import Program


@dataclass(frozen=True, kw_only=True)
class CompiledOverlay:
    """Programs by node, and what keeps streams, by name, from being carried as asked."""

    programs: Mapping[str, Program]
    problems: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Everything the overlay is to be, and what is known of it. `accepted` is what switches took
    of the streams last, `held` are the routes that stay because a switch refuses new ones."""

    link_state: LinkState
    intents: Mapping[str, StreamIntent] = field(default_factory=dict)
    slices: Mapping[str, Slice] = field(default_factory=dict)
    accepted: Mapping[str, Accepted] = field(default_factory=dict)
    held: Mapping[str, HeldRoute] = field(default_factory=dict)

    def draw(self, drawing: Drawing) -> "Overlay":
        """The operator drew another network."""
        return replace(self, link_state=self.link_state.draw(drawing))

    def carry(self, intent: StreamIntent) -> "Overlay":
        """A stream is wanted so, whatever was wanted of it before. A move goes on as long as the
        leaf that leaves is there; the processes that it passes stay, as `set_processes` sets
        them."""
        old = self.intents.get(intent.stream.name)
        if old:
            intent = replace(intent, processes=old.processes)
        if old and old.move and not intent.move and _goes_on(old.move, intent):
            intent = replace(intent, move=old.move)
        return self._with(intent)

    def forget(self, name: str) -> "Overlay":
        """A stream is not wanted any more. An unknown one is not an error."""
        kept = {key: intent for key, intent in self.intents.items() if key != name}
        return replace(self, intents=kept)

    def accept(self, installed: "Overlay") -> "Overlay":
        """The connected switches hold what `installed` wants, less what they refused."""
        accepted = {
            name: self.accepted[name] if intent.refused else installed._accepted(name)
            for name, intent in installed.intents.items()
            if not intent.refused or name in self.accepted
        }
        held = {name: route for name, route in self.held.items() if installed._is_held(name)}
        if (accepted, held) == (self.accepted, self.held):
            return self
        return replace(self, accepted=accepted, held=held)

    def refuse(self, name: str, why: str) -> "Overlay":
        """A switch does not take the stream's rules. A stream that was carried before it was
        changed is carried like that again, and one that links' failures moved stays on its old
        route. Without either: its clones are refused, if a leaf is moving, or else the whole stream
        is not carried until `retry`, or until it is asked for again."""
        intent = self.intents.get(name)
        if intent is None:
            return self
        before, move = self.accepted.get(name), intent.move
        if before is not None:
            changed = replace(intent, move=before.intent.move, rejected="") != before.intent
            if changed or before.slice != self.slices.get(name):
                after = replace(self, slices=_with_slice(self.slices, name, before.slice))
                return after._with(replace(before.intent, rejected=why))
            is_new_move = move is not None and not move.refused and move != before.intent.move
            tree = self.tree(name)
            if before.tree is not None and before.tree != tree and not is_new_move:
                route = HeldRoute(tree=before.tree, refused=tree, why=why)
                return replace(self, held={**self.held, name: route})
        if move and not move.refused:
            return self._with(replace(intent, move=replace(move, refused=why)))
        return self._with(replace(intent, refused=why))

    def retry(self) -> "Overlay":
        """Try again what switches refused of streams that they carried before."""
        again = {n: i for n, i in self.intents.items() if i.refused and n in self.accepted}
        tried = {name: replace(intent, refused="") for name, intent in again.items()}
        return replace(self, intents={**self.intents, **tried}, held={})

    @property
    def is_refused(self) -> bool:
        """Whether there is something for `retry` to try."""
        refused = (name for name, intent in self.intents.items() if intent.refused)
        return bool(self.held) or any(name in self.accepted for name in refused)

    def set_slice(self, name: str, kind: Slice | None) -> "Overlay":
        """A stream is held to a slice wherever a function gives it to the overlay, carried already
        or not; None: no longer. It is tried again then if it was refused."""
        after = replace(self, slices=_with_slice(self.slices, name, kind))
        intent = self.intents.get(name)
        return after._with(replace(intent, refused="", rejected="")) if intent else after

    def set_processes(
        self, name: str, processes: Mapping[str, Receiver], *, wanted: bool = True
    ) -> "Overlay":
        """A stream meets these functions on its way, by node; none any more unless it is `wanted`.
        It is tried again if it was refused. An unknown one is not an error."""
        intent = self.intents.get(name)
        if intent is None:
            return self
        move = intent.move
        if move and move.processed and not wanted:
            move = replace(move, processed=False)
        return self._with(
            replace(intent, processes=dict(processes), move=move, refused="", rejected="")
        )

    def add_path(self, intent: StreamIntent, path: Path) -> "Overlay":
        """A path more for a stream, which is made as `intent` says if there is none of the name.

        Raises InvalidRoute when its end or root is not drawn, or the stream cannot be routed that
        way.
        """
        root = self.intents.get(intent.stream.name, intent).root
        problems = [f"node {n} is not drawn" for n in (root, path.leaf) if not self.has(n)]
        if problem := streams.unresolved(path):
            problems.append(problem)
        return self.restore_path(intent, path, problems)

    def restore_path(
        self, intent: StreamIntent, path: Path, problems: Sequence[str] = ()
    ) -> "Overlay":
        """A path that was added before: it is carried as soon as what it needs is drawn. Raises
        InvalidRoute when the stream clashes with another, or there are other `problems`."""
        kept = replace(self.intents.get(intent.stream.name, intent), refused="", rejected="")
        paths = tuple(dict.fromkeys([*kept.paths, path]))
        after = self._with(replace(kept, paths=paths))
        found = [*problems, *streams.clashes([one.stream for one in after.intents.values()])]
        if found:
            raise InvalidRoute(f"There are {len(found)} problem(s)", problems=found)
        return after

    def remove_path(self, name: str, path: Path) -> "Overlay":
        """A path less, and with it a move of it; with its last one the stream goes. Missing ones
        are not an error."""
        intent = self.intents.get(name)
        if intent is None:
            return self
        kept = tuple(one for one in intent.paths if one != path)
        less = replace(intent, paths=kept, rejected="")
        if less.move and not _goes_on(less.move, less):
            less = replace(less, move=None)
        return self._with(less) if less.paths else self.forget(name)

    def prepare(self, name: str, leaving: Path, coming: Path) -> "Overlay":
        """Clones go to `coming`, which is to stand in for `leaving`. Raises InvalidMove."""
        return self._after_move(name, moves.hand_over(self._as_routed(name), leaving, coming))

    def commit(self, name: str) -> "Overlay":
        """The move is done: the old path is gone. Raises InvalidMove."""
        return self._after_move(name, moves.commit(self._as_routed(name)))

    def abort(self, name: str) -> "Overlay":
        """The leaf stays. Raises InvalidMove."""
        return self._after_move(name, moves.abort(self._as_routed(name)))

    def after(self, dead: Collection[Pair]) -> "Overlay":
        """These links are dead, and no others."""
        link_state = self.link_state.after(dead)
        return self if link_state is self.link_state else replace(self, link_state=link_state)

    def has(self, node: str) -> bool:
        """Whether a node is drawn."""
        return node in self.link_state.drawing.roles

    def behind(self, intent: StreamIntent, node: str) -> tuple[str, ...]:
        """The leaves that the stream, asked for like this, would reach over a node."""
        tree = self._with(intent).tree(intent.stream.name)
        ends = (leaf for leaf in sorted(intent.leaves) if leaf in tree.depths)
        return tuple(leaf for leaf in ends if node in tree.chain(leaf))

    def tree(self, name: str) -> SpanningTree:
        """The tree that a stream goes over. Raises KeyError, InvalidDrawing."""
        return self.held[name].tree if self._is_held(name) else self._wanted_tree(name)

    def drawn(self) -> SpanningTree | None:
        """The tree of the drawn root; None when none is drawn."""
        roots = [name for name, role in self.link_state.drawing.roles.items() if role is Role.ROOT]
        return self.link_state.tree(roots[0], ()) if roots else None

    def used(self, name: str) -> tuple[Pair, ...]:
        """The links a stream goes over, as (from, to), nearest the root first."""
        tree, intent = self.tree(name), self.intents[name]
        ways = [pairwise(tree.chain(leaf)) for leaf in intent.leaves if leaf in tree.depths]
        on = {link for way in ways for link in way}
        return tuple(link for link in tree.links if link in on) if not intent.refused else ()

    def carries(self, name: str) -> bool:
        """Whether there is a stream of the name, whose root is drawn."""
        return name in self.intents and self.has(self.intents[name].root)

    def obstacles(self, name: str, leaf: str, port_maps: Mapping[str, PortMap]) -> tuple[str, ...]:
        """What keeps a stream, whose root is drawn, from one of its leaves; empty: nothing."""
        tree = self.tree(name)
        barrier = self._barrier(tree, leaf, port_maps)
        return (barrier,) if barrier else tuple(self._lost(tree, leaf))

    def held_back(self, name: str) -> str:
        """Why a stream stays on its old route; empty: it does not."""
        return f"it stays on its old route: {self.held[name].why}" if self._is_held(name) else ""

    def depths(self) -> Mapping[int, Mapping[str, int]]:
        """For each stream's number, how far from its root nodes are."""
        return {
            intent.stream.number: self.tree(name).depths
            for name, intent in self.intents.items()
            if self.carries(name)
        }

    def tunnels(self, more: Iterable[Pair] = ()) -> Mapping[str, tuple[str, ...]]:
        """Toward which neighbours each node is to have a tunnel, also along the links `more`."""
        near: dict[str, set[str]] = {name: set() for name in self.link_state.drawing.roles}
        for a, b in (*self._joined, *more):
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
        return {name: tuple(sorted(others)) for name, others in near.items()}

    def ready(self, port_maps: Mapping[str, PortMap]) -> bool:
        """Whether all the links that streams go over have their tunnels."""
        used = (link for name in self.intents if self.carries(name) for link in self.used(name))
        return all(_plugged(port_maps, a, b) for a, b in used)

    def compile(self, port_maps: Mapping[str, PortMap]) -> CompiledOverlay:
        """What each plugged switch is to hold. A stream that cannot be carried whole is carried as
        far as it can be."""
        fit, problems = [], {}
        for name, intent in self.intents.items():
            routed, found = self._routed(intent, port_maps)
            if routed is not None:
                try:
                    streams.check([routed], port_maps)
                    fit.append(routed)
                except InvalidRoute as error:
                    found += [str(p) for p in _listed(error.details["problems"])]
            if found:
                problems[name] = tuple(found)
        return CompiledOverlay(programs=compiler.programs(fit, port_maps), problems=problems)

    def _with(self, intent: StreamIntent) -> "Overlay":
        return replace(self, intents={**self.intents, intent.stream.name: intent})

    def _wanted_tree(self, name: str) -> SpanningTree:
        intent = self.intents[name]
        return self.link_state.tree(intent.root, intent.leaves)

    def _is_held(self, name: str) -> bool:
        """Whether it stays on an old route: as long as its links ask for the refused one."""
        return (
            name in self.held
            and self.carries(name)
            and self.held[name].refused == self._wanted_tree(name)
        )

    def _accepted(self, name: str) -> Accepted:
        return Accepted(
            intent=replace(self.intents[name], rejected=""),
            slice=self.slices.get(name),
            tree=self.tree(name) if self.carries(name) else None,
        )

    def _as_routed(self, name: str) -> RoutedStream:
        intent = self.intents.get(name)
        if intent is None:
            raise moves.InvalidMove(f"No stream {name} is carried", stream=name)
        return RoutedStream(
            stream=intent.stream,
            tree=self.tree(name),
            paths=intent.paths,
            functions={**intent.functions, **dict.fromkeys(intent.processes, 0)},
            move=intent.move,
        )

    def _after_move(self, name: str, after: RoutedStream) -> "Overlay":
        intent = self.intents[name]
        return self._with(replace(intent, paths=after.paths, move=after.move, rejected=""))

    def _routed(
        self, intent: StreamIntent, port_maps: Mapping[str, PortMap]
    ) -> tuple[RoutedStream | None, list[str]]:
        """What can be carried of a stream now, and what is wrong."""
        if intent.refused:
            return None, [intent.refused]
        if not self.has(intent.root):
            return None, [f"root {intent.root} is not drawn"]
        tree = self.tree(intent.stream.name)
        if intent.root not in port_maps:
            return None, [f"node {intent.root} has no switch yet"]
        reached, problems = set(), [intent.rejected] if intent.rejected else []
        if held := self.held_back(intent.stream.name):
            problems.append(held)
        for leaf in sorted(intent.leaves):
            problem = self._barrier(tree, leaf, port_maps)
            problems += [problem] if problem else self._lost(tree, leaf)
            if not problem:
                reached.add(leaf)
                problems += streams.portless(intent, leaf, port_maps[leaf])
        sender = (
            {intent.root: port_maps[intent.root].local_port} if intent.sender is Side.INSIDE else {}
        )
        processes = streams.process_ports(intent, port_maps)
        name, moving = intent.stream.name, intent.move
        if moving and moving.refused:
            problems.append(f"no move to {moving.target}: {moving.refused}")
            moving = None
        stream = replace(intent.stream, slice=self.slices.get(name, intent.stream.slice))
        return RoutedStream(
            stream=stream,
            tree=tree,
            paths=tuple(path for path in intent.paths if path.leaf in reached),
            functions={**intent.functions, **processes, **sender},
            processes={
                node: receiver for node, receiver in intent.processes.items() if node in processes
            },
            move=moving if moving and moving.target in reached else None,
            reports=intent.reports,
        ), problems

    def _barrier(self, tree: SpanningTree, leaf: str, port_maps: Mapping[str, PortMap]) -> str:
        """Why no rules can lead to a leaf; empty: they can."""
        if leaf not in tree.depths:
            return f"leaf {leaf}: no links lead to it from the root {tree.root}"
        if leaf not in port_maps:
            return f"node {leaf} has no switch yet"
        bare = (way for way in pairwise(tree.chain(leaf)) if not _plugged(port_maps, *way))
        return next((f"no tunnel joins {a} and {b} yet" for a, b in bare), "")

    def _lost(self, tree: SpanningTree, leaf: str) -> list[str]:
        """The dead links on the only way to a leaf."""
        way = pairwise(tree.chain(leaf))
        return [f"link {a}-{b} is down" for a, b in way if pair(a, b) in self.link_state.dead]

    @cached_property
    def _joined(self) -> frozenset[Pair]:
        """The links that are to have tunnels."""
        wanted = {(w.root, w.leaves) for w in self.intents.values() if self.has(w.root)}
        trees = [self.link_state.tree(root, leaves) for root, leaves in wanted]
        trees += [route.tree for route in self.held.values()]
        if (drawn := self.drawn()) is not None:
            trees.append(drawn)
        links = set(self.link_state.dead)
        for tree in {id(tree): tree for tree in trees}.values():
            links |= {pair(*link) for link in (*tree.links, *spanning.protectors(tree))}
        return frozenset(links)


def _with_slice(slices: Mapping[str, Slice], name: str, kind: Slice | None) -> Mapping[str, Slice]:
    others = {key: one for key, one in slices.items() if key != name}
    return others if kind is None else {**others, name: kind}


def _goes_on(move: Move, intent: StreamIntent) -> bool:
    return Path(leaf=move.source, receiver=move.leaving) in intent.paths


def _plugged(port_maps: Mapping[str, PortMap], a: str, b: str) -> bool:
    return (
        a in port_maps
        and b in port_maps
        and b in port_maps[a].tunnel_ports
        and a in port_maps[b].tunnel_ports
    )


def _listed(problems: object) -> Iterable[object]:
    return problems if isinstance(problems, list) else [problems]
