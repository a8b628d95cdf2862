"""What still runs at a node that expected viewers gave up."""

from types import SimpleNamespace
from typing import cast

from umbel.compute.model import FunctionState, Instance
from umbel.delivery.loop.ahead import Ahead
from umbel.delivery.loop.functions import OWNER
from umbel.delivery.loop.preemption import Preemption, unused
from umbel.delivery.model import Branch, Tree
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees.view import ACQUIRER, EDGE, FORWARDER
from umbel.kit.signal import Signal

ROOT = Branch(function="acquirer-c1-1", role=ACQUIRER, node="c1")


def instance(id_: str, role: str) -> Instance:
    return Instance(
        id=id_,
        owner=OWNER,
        description=role,
        node="pe1",
        state=FunctionState.ACTIVE,
        address="127.0.1.1",
    )


def tree(stream: str, *edges: str) -> Tree:
    leaves = (Branch(function=e, role=EDGE, node="pe1", parent=ROOT.function) for e in edges)
    return Tree(stream=stream, branches=(ROOT, *leaves))


FUNCTIONS = {
    name: instance(name, role)
    for name, role in (("edge-1", EDGE), ("edge-2", EDGE), ("forwarder-1", FORWARDER))
}


def test_what_no_tree_has_is_unused() -> None:
    acquirer = {"acquirer-1": instance("acquirer-1", ACQUIRER)}
    assert unused({**FUNCTIONS, **acquirer}, {}, {"ev_given"}, ()) == set(FUNCTIONS)


def test_an_edge_is_unused_until_the_event_that_gives_way_lets_it_go() -> None:
    """Whatever other trees have it, in whatever order they are read."""
    given, live = tree("ev_given", "edge-1", "edge-2"), tree("ev_live", "edge-1")
    for trees in ((given, live), (live, given)):
        by_stream = {one.stream: one for one in trees}
        assert unused(FUNCTIONS, by_stream, {"ev_given"}, ()) == set(FUNCTIONS)
        by_stream["ev_given"] = tree("ev_given")
        assert unused(FUNCTIONS, by_stream, {"ev_given"}, ()) == {"edge-2", "forwarder-1"}


def test_an_edge_with_a_viewer_of_the_event_is_used() -> None:
    trees = {"ev_given": tree("ev_given", "edge-1", "edge-2")}
    found = unused(FUNCTIONS, trees, {"ev_given"}, {("ev_given", "edge-2"), ("ev_live", "edge-1")})
    assert found == {"edge-1", "forwarder-1"}


class Waiting:
    """What `Ahead` says of one event, whose edge another event's viewers use as well."""

    events = frozenset({"ev_given"})
    collector = SimpleNamespace(
        instances={"edge-1": FUNCTIONS["edge-1"]}, promises=SimpleNamespace(sessions={})
    )

    def waiting_at(self, node: str) -> frozenset[str]:
        return self.events

    def yielding_at(self, event_id: str) -> frozenset[str]:
        return frozenset({"pe1"})

    def before_trees(self) -> frozenset[str]:
        return frozenset()

    async def give_way(self, *_: object) -> None:
        pass


class Trees:
    """Trees that are read once more while the event's one changes: what was read is old."""

    def __init__(self, changed: Signal) -> None:
        self.reads, self._changed = 0, changed

    async def trees(self) -> dict[str, Tree]:
        self.reads += 1
        given = tree("ev_given", *(["edge-1"] if self.reads < 3 else []))
        if self.reads == 2:
            self._changed.notify()
        return {"ev_given": given, "ev_live": tree("ev_live", "edge-1")}


async def nothing(_: object) -> list[Branch]:
    return []


async def test_a_change_while_trees_are_read_is_not_missed() -> None:
    changed = Signal()
    store = Trees(changed)
    preemption = Preemption(
        ahead=cast(Ahead, Waiting()),
        store=cast(DeliveryStore, store),
        reserved=nothing,
        wake=lambda _: None,
        changed=changed,
        ready_s=0.5,
    )
    assert await preemption.make_way("ev_live", ["pe1"], every=False) is True
    assert store.reads == 3
