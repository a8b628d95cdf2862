"""What trees that are being stored promise on the nodes."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from umbel.compute.service import Ledger
from umbel.delivery.loop.functions import OWNER, MediaFunctions, described
from umbel.delivery.loop.promises import Promises
from umbel.delivery.model import Branch, Tree
from umbel.delivery.sessions.model import SessionCount
from umbel.delivery.store import DeliveryStore
from umbel.delivery.trees.view import ACQUIRER, EDGE, Costs, Routes, View

ROOT = Branch(function="acquirer-c1-1", role=ACQUIRER, node="c1")


def tree(stream: str, *edges: str) -> Tree:
    leaves = (Branch(function=e, role=EDGE, node=e, parent=ROOT.function) for e in edges)
    return Tree(stream=stream, branches=(ROOT, *leaves))


def promises() -> Promises:
    async def counts() -> list[SessionCount]:
        return []

    costs = Costs()
    return Promises(
        ledger=Ledger(list),
        store=cast(DeliveryStore, SimpleNamespace(counts=counts)),
        functions=MediaFunctions(
            descriptions=described(Path("key.pem"), costs), secret_of=lambda _: ""
        ),
        costs=costs,
    )


def nodes(of: Promises, trees: Iterable[Tree] = ()) -> set[str]:
    """Where room is promised, by these stored trees and by those that are being stored."""
    view = View(routes=cast(Routes, None), nodes={}, trees={one.stream: one for one in trees})
    of.state(view, {}, {})
    return {node for node, used in of.ledger.by_owner()[OWNER].items() if used.cores > 0}


async def test_a_stored_tree_counts_until_all_have_read_it() -> None:
    some = promises()
    with some.placing(tree("ev_a", "pe1")):
        assert nodes(some) == {"c1", "pe1"}
    for _ in range(2):
        assert nodes(some) == {"c1", "pe1"}
        await some.refresh()
    assert nodes(some) == set()
    assert nodes(some, [tree("ev_a", "pe1")]) == {"c1", "pe1"}


def test_what_a_later_tree_of_the_stream_lacks_counts_no_more() -> None:
    some = promises()
    with some.placing(tree("ev_a", "pe1", "pe2")):
        pass
    with some.placing(tree("ev_b", "pe2", "pe3")):
        pass
    with some.placing(tree("ev_a")):
        assert nodes(some) == {"c1", "pe1", "pe2", "pe3"}  # it is not stored yet
    assert nodes(some) == {"c1", "pe2", "pe3"}


def test_a_tree_that_is_stored_already_replaces_none() -> None:
    some = promises()
    with some.placing(tree("ev_a", "pe1")):
        pass
    with some.placing(tree("ev_a"), is_new=False):
        pass
    assert nodes(some) == {"c1", "pe1"}


def test_a_tree_that_cannot_be_stored_leaves_what_was_stored_before() -> None:
    some = promises()
    with some.placing(tree("ev_a", "pe1")):
        pass
    with pytest.raises(LookupError), some.placing(tree("ev_a", "pe2")):
        raise LookupError
    assert nodes(some) == {"c1", "pe1"}
