"""Who is admitted, and where: service levels first, then the policy. Pure but for what it reads.

In: the wanted trees, and a viewer's stream, access node and claim. Out: an assignment, or why
there is none. Neighbours: `service` stores what was assigned; `policy` decides.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from umbel.delivery.loop.ahead import Ahead
from umbel.delivery.loop.collector import Collector
from umbel.delivery.model import Arrival, Session, Tree
from umbel.delivery.policy import service_levels, transcoders
from umbel.delivery.policy.base import Assignment, Policy
from umbel.delivery.policy.service_levels import Claim
from umbel.delivery.trees import renditions, replacement
from umbel.delivery.trees.view import NoCapacity, View
from umbel.kit.errors import Conflict
from umbel.kit.ids import new_id


class EventNotOpen(Conflict):
    """The event does not run: it has not begun, has ended or was cancelled."""

    code = "umbel.event_not_open"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Decides by the view of this moment; what is decided must be promised before any await."""

    collector: Collector
    policy: Policy
    ahead: Ahead

    def assignment(
        self,
        wanted: Mapping[str, Tree],
        stream: str,
        access_node: str,
        claim: Claim,
        avoided: frozenset[str] = frozenset(),
    ) -> Assignment:
        """Where the viewer is served, at an edge of none of the nodes that are `avoided`. Raises
        EventNotOpen, NoSuchNode, NoSuchQuality, NoCapacity."""
        source = wanted.get(renditions.event_of(stream))
        if source is None or source.root is None:
            raise EventNotOpen
        view, height = self.collector.view(wanted), self.collector.height(source)
        view = replace(view, avoided_nodes=avoided)
        view.node(access_node)
        shown = renditions.shown_height(stream, height)
        left = service_levels.without_reserved(view, claim, access_node, shown)
        try:
            found = self._placed(left, stream, access_node, claim, height)
        except NoCapacity:
            if left is view:
                raise
            self._by_policy(view, stream, access_node, height)
            raise service_levels.refusal(view, claim, stream, access_node) from None
        new = replacement.takes_over(view, found.tree, found.function)
        return found if new is None else replace(found, function=new.function, node=new.node)

    def _placed(
        self, view: View, stream: str, access_node: str, claim: Claim, height: int
    ) -> Assignment:
        """Where expected viewers of other events leave room; else anywhere: who is there comes
        before who is expected."""
        spared = self.ahead.without(view, renditions.event_of(stream), claim)
        if spared is not view:
            with suppress(NoCapacity):
                return self._by_policy(spared, stream, access_node, height)
        return self._by_policy(view, stream, access_node, height)

    def _by_policy(self, view: View, stream: str, access_node: str, height: int) -> Assignment:
        if view.trees.get(stream, Tree(stream=stream)).root is not None:
            return self.policy.assign(view, stream, access_node)
        renditions.check(stream, height)
        return transcoders.assigned(view, stream, access_node, self.policy)


def session_of(viewer: Arrival, assignment: Assignment, now_s: float, ttl_s: float) -> Session:
    """The session of the viewer who is served there."""
    return Session(
        id=new_id("se"),
        stream=viewer.stream,
        access_node=viewer.access_node,
        function=assignment.function,
        edge_node=assignment.node,
        opened_s=now_s,
        seen_s=now_s,
        expires_s=now_s + ttl_s,
        username=viewer.right.username,
        phrase_generation=viewer.right.phrase_generation,
    )
