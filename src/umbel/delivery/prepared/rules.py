"""Which functions run in advance, of what is wanted and what there is. Pure.

In: counts by node, functions that run, those that trees use. Out: the idle functions that are to
stay or start. One that a tree takes is used, so another one starts in its place.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from umbel.compute.model import FunctionState, Instance
from umbel.delivery.model import Branch, Tree
from umbel.delivery.prepared.model import Prepared
from umbel.delivery.trees.view import EDGE, FORWARDER, View


def to_run(
    wanted: Iterable[Prepared], view: View, instances: Mapping[str, Instance]
) -> list[Branch]:
    """The idle functions that are to run: those that do, as far as they are wanted, and as many
    others as fit. A node that takes nothing new has none."""
    found: list[Branch] = []
    for one in wanted:
        if (node := view.nodes.get(one.node)) is None or node.is_closed:
            continue
        room = view.functions_that_fit(one.node)
        for role, count in ((EDGE, one.edges), (FORWARDER, one.forwarders)):
            here = _idle_at(one.node, role, view.trees, instances)
            fresh = islice(view.fresh_ids(role, one.node), min(room, max(0, count - len(here))))
            started = list(fresh)
            room -= len(started)
            chosen = (*here[:count], *started)
            found += [Branch(function=id_, role=role, node=one.node) for id_ in chosen]
    return found


def ready(
    one: Prepared, trees: Mapping[str, Tree], instances: Mapping[str, Instance]
) -> tuple[str, ...]:
    """The idle functions of the node that serve at once."""
    found = (i for role in (EDGE, FORWARDER) for i in _idle_at(one.node, role, trees, instances))
    return tuple(id_ for id_ in found if instances[id_].state is FunctionState.ACTIVE)


def _idle_at(
    node: str, role: str, trees: Mapping[str, Tree], instances: Mapping[str, Instance]
) -> list[str]:
    """The functions of that role at the node that no tree uses; those that serve at once first."""
    used = {branch.function for tree in trees.values() for branch in tree.branches}
    here = [
        one
        for id_, one in instances.items()
        if id_ not in used and (one.node, one.description) == (node, role)
    ]
    here.sort(key=lambda one: (one.state is not FunctionState.ACTIVE, one.id))
    return [one.id for one in here]
