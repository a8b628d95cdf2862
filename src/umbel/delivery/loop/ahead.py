"""What is made before an event starts, for the viewers who are expected.

In: predictions of events that start soon, and sessions there are. Out: trees with edges nobody
watches yet; functions that run before there is a tree; views without the room that is kept. From
`lead_s` before an event's start until `grace_s` after it. Neighbour: policy/expected.py places.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import structlog

from umbel.catalogue.demand.model import Starting
from umbel.catalogue.service import Catalogue
from umbel.delivery.demand import series, store
from umbel.delivery.demand.model import Prediction
from umbel.delivery.guidance import Watch
from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy import expected, rooms, service_levels
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.expected import Placed
from umbel.delivery.policy.rooms import Kept
from umbel.delivery.policy.service_levels import Claim
from umbel.delivery.sessions import counts as session_counts
from umbel.delivery.trees import grafting
from umbel.delivery.trees.view import EDGE, FORWARDER, NoCapacity, View
from umbel.kit.clock import Clock
from umbel.kit.db import Database

log = structlog.get_logger(__name__)

YIELD_S = 60.0
"""How long nothing is made in advance for an event at a node whose room a viewer needed who was
there."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An event that starts soon, its prediction, and on whose behalf its viewers will ask."""

    starting: Starting
    prediction: Prediction
    claim: Claim


@dataclass(kw_only=True)
class Ahead:
    """What this instance knows of events that start soon; every instance reads the same. Seconds.
    `horizon_s`: how long before its start a planner reads of an event."""

    catalogue: Catalogue
    database: Database
    collector: Collector
    policy: Policy
    clock: Clock
    lead_s: float
    grace_s: float
    horizon_s: float
    events: dict[str, Expected] = field(default_factory=dict)
    _kept: dict[str, Kept] = field(default_factory=dict)
    _nodes: dict[str, frozenset[str]] = field(default_factory=dict)
    _given: dict[tuple[str, str], float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _functions: dict[str, tuple[Branch, ...]] = field(default_factory=dict)

    async def refresh(self, trees: Mapping[str, Tree]) -> list[Branch]:
        """Read what is expected, and place it over these trees. Answers the functions that are to
        run before their event has a tree."""
        if not self.lead_s:
            return []
        now_s = self.clock.now_s()
        until_s = now_s + max(self.lead_s, self.horizon_s)
        starting = await self.catalogue.demand.starting(now_s - self.grace_s, until_s)
        if not starting:
            self.events = {}
        else:
            await self._read(starting, now_s - self.grace_s, until_s)
        self._place(trees)
        return [branch for branches in self._functions.values() for branch in branches]

    def grown(self, trees: Mapping[str, Tree], tree: Tree) -> tuple[Tree, frozenset[str]]:
        """The stream's tree with what its expected viewers need, and the edges that wait for
        them."""
        missing = self._missing(tree.stream)
        if tree.root is None or not missing:
            return tree, frozenset()
        claim = self.events[tree.stream].claim
        view = self.without(self.collector.view({**trees, tree.stream: tree}), tree.stream, claim)
        placed = self._placed(view, tree.stream, missing, claim)
        return placed.tree, frozenset(placed.viewers)

    def without(self, view: View, event_id: str, claim: Claim) -> View:
        """The view without the room that is kept for expected viewers of other events. What a
        service level keeps for its provider's viewers is not kept again for the same ones."""
        by_provider: dict[str, list[Kept]] = {}
        for other, room in self._kept.items():
            if other != event_id and other in self.events:
                provider_id = self.events[other].starting.event.provider_id
                by_provider.setdefault(provider_id, []).append(room)
        for provider_id, kept in by_provider.items():
            share = self._share(provider_id, view, claim)
            view = rooms.without(view, rooms.together(kept), share)
        return view

    def demand(self, watching: Mapping[Watch, float]) -> dict[Watch, float]:
        """The viewers who are expected and not among those `watching`, as a planner counts them:
        nothing serves them yet."""
        now_s, found = self.clock.now_s(), {}
        for event_id, one in self.events.items():
            until_s = one.prediction.starts_s + self.grace_s
            wanted = series.most_expected(one.prediction, now_s, until_s)
            there = session_counts.by_access_node(watching, event_id)
            for node, count in series.missing(wanted, there).items():
                found[event_id, node, ""] = float(count)
        return found

    def yielding_at(self, event_id: str) -> frozenset[str]:
        """The nodes where a viewer who is there needs the room of the event's expected ones."""
        now_s, one = self.clock.now_s(), self.events.get(event_id)
        stored = one.prediction.yields.items() if one is not None else ()
        # What was read before this instance gave way lacks it.
        given = ((node, until_s) for (id_, node), until_s in self._given.items() if id_ == event_id)
        return frozenset(node for node, until_s in (*stored, *given) if until_s > now_s)

    def waiting_at(self, node: str) -> frozenset[str]:
        """The events for whose expected viewers there is something at an edge of the node."""
        return frozenset(event_id for event_id, nodes in self._nodes.items() if node in nodes)

    def before_trees(self) -> frozenset[str]:
        """The functions that run in advance for events and that their trees do not have yet."""
        return frozenset(b.function for some in self._functions.values() for b in some)

    async def give_way(
        self, event_ids: Collection[str], nodes: Collection[str], trees: Mapping[str, Tree]
    ) -> None:
        """Viewers are there who need the room of the nodes: nothing is made in advance for these
        events there for a while."""
        until_s = self.clock.now_s() + YIELD_S
        await self.database.write(store.give_way, event_ids, nodes, until_s)
        self._given |= {(event_id, node): until_s for event_id in event_ids for node in nodes}
        log.info("room of expected viewers is given to others", events=event_ids, nodes=nodes)
        self._place(trees)

    # -- inside -----------------------------------------------------------------------------

    async def _read(self, starting: list[Starting], from_s: float, until_s: float) -> None:
        found = await self.database.read(store.predictions_between, from_s, until_s)
        levels = tuple(await self.catalogue.service_levels.commitments())
        self.events = {
            one.event.id: Expected(
                starting=one,
                prediction=prediction,
                claim=Claim(provider_id=one.event.provider_id, commitments=levels),
            )
            for one in starting
            if (prediction := found.get(one.event.id)) is not None
            and prediction.starts_s == one.event.starts_s
        }

    def _place(self, trees: Mapping[str, Tree]) -> None:
        """Place all that is expected, event by event, each over what is left by those before."""
        self._kept, self._counts, self._functions, self._nodes = {}, {}, {}, {}
        now_s = self.clock.now_s()
        self._given = {key: until_s for key, until_s in self._given.items() if until_s > now_s}
        wanted = {id_: missing for id_ in self.events if (missing := self._missing(id_))}
        if not wanted:
            return
        view = self.collector.view(trees)
        for event_id, missing in wanted.items():
            rooted = self._rooted(view, event_id)
            if rooted is None:
                continue
            placed = self._placed(rooted, event_id, missing, self.events[event_id].claim)
            self._kept[event_id] = rooms.kept(rooted, placed.view)
            self._counts[event_id] = sum(missing.values())
            self._nodes[event_id] = placed.nodes
            self._functions[event_id] = self._needed(placed.tree, trees.get(event_id))
            view = placed.view

    def _needed(self, placed: Tree, tree: Tree | None) -> tuple[Branch, ...]:
        """The functions that are to run although no tree has them. Those of an event with a tree
        are its tree's matter, but for those that run already: it is about to get them."""
        branches = (b for b in placed.branches if b.role in (EDGE, FORWARDER))
        if tree is None or tree.root is None:
            return tuple(branches)
        runs = self.collector.instances
        return tuple(b for b in branches if b.function in runs and tree.branch(b.function) is None)

    def _rooted(self, view: View, event_id: str) -> View | None:
        """The view with a tree of the event: its own, or the one that it will begin with."""
        tree = view.trees.get(event_id)
        if tree is not None and tree.root is not None:
            return view
        node = self.events[event_id].starting.access_node
        if node not in view.nodes:
            return None
        try:
            tree = grafting.new_tree(view, event_id, node)
        except NoCapacity:
            return None
        return replace(view, trees={**view.trees, event_id: tree})

    def _placed(
        self, view: View, event_id: str, missing: Mapping[str, int], claim: Claim
    ) -> Placed:
        def allowed(view: View, access_node: str) -> View:
            return service_levels.without_reserved(view, claim, access_node, 0)

        closed = self.yielding_at(event_id)
        return expected.place(view, self.policy, event_id, missing, allowed, closed)

    def _missing(self, event_id: str) -> dict[str, int]:
        """The viewers for whom something is to be there now, and who are not there yet."""
        one, now_s = self.events.get(event_id), self.clock.now_s()
        if one is None:
            return {}
        starts_s = one.prediction.starts_s
        until_s = starts_s + self.grace_s
        if not starts_s - self.lead_s <= now_s < until_s:
            return {}
        wanted = series.most_expected(one.prediction, now_s, until_s)
        watching = self.collector.promises.watching
        return series.missing(wanted, session_counts.by_access_node(watching, event_id))

    def _share(self, provider_id: str, view: View, claim: Claim) -> float:
        """The part of the room kept for the provider's events that its service level does not keep
        already."""
        if provider_id == claim.provider_id:
            return 1.0
        promised = sum(
            missing
            for commitment, missing in claim.before(view.watching, 0)
            if commitment.level.provider_id == provider_id
        )
        ids = (i for i in self._counts if self.events[i].starting.event.provider_id == provider_id)
        whole = sum(self._counts[i] for i in ids)
        return max(0, whole - promised) / whole if whole else 1.0
