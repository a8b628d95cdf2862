"""From any observed state the steps lead to the wanted tree, and then there are none."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from support.views import edge, forwarder, planted
from umbel.delivery.model import Tree
from umbel.delivery.trees.reconcile import Access, Carried, Carry, Drop, Observed, is_settled, steps

ACCESS = Access(keys=frozenset({"k1"}), revoked=1)
WANT = planted(
    forwarder("c1"),
    forwarder("c2", "forwarder-c1-1"),
    edge("pe2", "forwarder-c1-1"),
    edge("pe4", "forwarder-c2-1"),
)
ALL = frozenset(b.function for b in WANT.branches)


def port(function: str) -> int:
    return 5000 + sorted(ALL).index(function)


def target(function: str) -> tuple[str, int]:
    return ("127.0.0.1", port(function))


def perform(have: Observed, todo: list[Carry | Drop], access: Access) -> Observed:
    """What the functions would do."""
    carried = dict(have.carried)
    for step in todo:
        match step:
            case Drop(function=function):
                del carried[function]
            case Carry(function=function, role=role, targets=targets):
                listens = 0 if role == "acquirer" else port(function)
                carried[function] = Carried(
                    role=role,
                    address="127.0.0.1",
                    port=listens,
                    targets=targets,
                    keys=access.keys,
                    revoked=access.revoked,
                )
    return replace(have, carried=carried)


def converge(want: Tree, have: Observed) -> Observed:
    for _ in range(len(ALL) + 2):
        todo = steps(want, have, ACCESS)
        if not todo:
            return have
        have = perform(have, todo, ACCESS)
    raise AssertionError(f"still to do: {steps(want, have, ACCESS)}")


def test_from_nothing() -> None:
    have = converge(WANT, Observed(active=ALL))
    assert have.carried["acquirer-pe1-1"].targets == {target("forwarder-c1-1")}
    assert have.carried["forwarder-c1-1"].targets == {
        target("forwarder-c2-1"),
        target("edge-pe2-1"),
    }
    assert all(is_settled(WANT, have, function) for function in ALL)


def test_a_lost_forwarder_is_bridged_by_its_feeder_and_taken_back() -> None:
    have = converge(WANT, Observed(active=ALL))
    lost = replace(
        have,
        active=ALL - {"forwarder-c1-1"},
        carried={k: v for k, v in have.carried.items() if k != "forwarder-c1-1"},
    )
    assert not is_settled(WANT, lost, "edge-pe2-1")
    bridged = converge(WANT, lost)
    assert bridged.carried["acquirer-pe1-1"].targets == {
        target("forwarder-c2-1"),
        target("edge-pe2-1"),
    }
    assert is_settled(WANT, bridged, "edge-pe2-1")
    assert is_settled(WANT, bridged, "edge-pe4-1")
    back = converge(WANT, replace(bridged, active=ALL))
    assert back == have


def test_a_lost_edge_is_sent_nothing() -> None:
    have = converge(WANT, Observed(active=ALL))
    gone = {k: v for k, v in have.carried.items() if k != "edge-pe2-1"}
    have = converge(WANT, replace(have, active=ALL - {"edge-pe2-1"}, carried=gone))
    assert have.carried["forwarder-c1-1"].targets == {target("forwarder-c2-1")}
    assert not is_settled(WANT, have, "edge-pe2-1")


def test_new_keys_go_to_the_acquirer_alone() -> None:
    have = converge(WANT, Observed(active=ALL))
    changed = replace(ACCESS, keys=frozenset({"k2"}))
    assert [s.function for s in steps(WANT, have, changed)] == ["acquirer-pe1-1"]


def test_revoked_sessions_go_to_every_edge_and_to_no_one_else() -> None:
    have = converge(WANT, Observed(active=ALL))
    todo = steps(WANT, have, replace(ACCESS, revoked=2))
    assert [step.function for step in todo] == ["edge-pe2-1", "edge-pe4-1"]
    assert steps(WANT, perform(have, todo, replace(ACCESS, revoked=2)), ACCESS) != []


def test_the_end_drops_everything() -> None:
    have = converge(WANT, Observed(active=ALL))
    assert converge(Tree(stream=WANT.stream), have).carried == {}


def test_nothing_is_dropped_before_the_rest_is_carried() -> None:
    have = converge(WANT, Observed(active=ALL))
    smaller = planted(edge("pe2"))
    assert all(isinstance(step, Carry) for step in steps(smaller, have, ACCESS))


@given(
    active=st.sets(st.sampled_from(sorted(ALL))),
    carrying=st.sets(st.sampled_from(sorted(ALL))),
    wrong=st.sets(st.tuples(st.just("127.0.0.1"), st.integers(1, 9)), max_size=3),
)
def test_any_state_converges_and_what_answers_is_fed(
    active: set[str], carrying: set[str], wrong: set[tuple[str, int]]
) -> None:
    roles = {b.function: b.role for b in WANT.branches}
    carried = {
        f: Carried(role=roles[f], address="127.0.0.1", port=port(f), targets=frozenset(wrong))
        for f in carrying & active
    }
    have = converge(WANT, Observed(active=frozenset(active), carried=carried))
    assert set(have.carried) == active
    if "acquirer-pe1-1" in active:
        assert all(is_settled(WANT, have, f) for f in active if roles[f] == "edge")
