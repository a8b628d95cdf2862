"""From any observed state the steps lead to the wanted tree, and then there are none."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from support.views import edge, forwarder, planted
from umbel.delivery.model import Branch, Tree
from umbel.delivery.trees.reconcile import (
    Access,
    Carried,
    Carry,
    Drop,
    Observed,
    carry,
    is_settled,
    steps,
)

ACCESS = Access(keys=frozenset({"k1"}), revoked=1, srtp_key_id="a")
WANT = planted(
    forwarder("c1"),
    forwarder("c2", "forwarder-c1-1"),
    edge("pe2", "forwarder-c1-1"),
    edge("pe4", "forwarder-c2-1"),
)
HOSTS = {b.function: f"10.0.0.{n}" for n, b in enumerate(WANT.branches, 1)}
ALL = frozenset(b.function for b in WANT.branches)


def port(function: str) -> int:
    return 5000 + sorted(ALL).index(function)


def target(function: str) -> tuple[str, int]:
    return (HOSTS[function], port(function))


def perform(have: Observed, todo: list[Carry | Drop], access: Access) -> Observed:
    """What the functions would do."""
    carried = dict(have.carried)
    for step in todo:
        match step:
            case Drop(function=function):
                del carried[function]
            case Carry(function=function, role=role, targets=targets):
                check_admitted(have, step)
                listens = 0 if role == "acquirer" else port(function)
                carried[function] = Carried(
                    role=role,
                    address=HOSTS[function],
                    port=listens,
                    sources=step.sources,
                    targets=targets,
                    keys=access.keys,
                    revoked=access.revoked,
                    srtp_key_id="" if role == "forwarder" else access.srtp_key_id,
                )
    return replace(have, carried=carried)


def check_admitted(have: Observed, step: Carry) -> None:
    """Nobody is sent packets that it does not take."""
    for child in step.children:
        sources = have.carried[child].sources
        assert not sources or HOSTS[step.function] in sources


def converge(want: Tree, have: Observed) -> Observed:
    for _ in range(len(ALL) + 2):
        todo = steps(want, have, ACCESS)
        if not todo:
            return have
        have = perform(have, todo, ACCESS)
    raise AssertionError(f"still to do: {steps(want, have, ACCESS)}")


def test_from_nothing() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    assert have.carried["acquirer-pe1-1"].targets == {target("forwarder-c1-1")}
    assert have.carried["forwarder-c1-1"].targets == {
        target("forwarder-c2-1"),
        target("edge-pe2-1"),
    }
    assert all(is_settled(WANT, have, function) for function in ALL)


def test_a_lost_forwarder_is_bridged_by_its_feeder_and_taken_back() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
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
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    gone = {k: v for k, v in have.carried.items() if k != "edge-pe2-1"}
    have = converge(WANT, replace(have, active=ALL - {"edge-pe2-1"}, carried=gone))
    assert have.carried["forwarder-c1-1"].targets == {target("forwarder-c2-1")}
    assert not is_settled(WANT, have, "edge-pe2-1")


def test_each_function_takes_packets_from_those_above_it_alone() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    above = {
        "acquirer-pe1-1": set(),
        "forwarder-c1-1": {"acquirer-pe1-1"},
        "forwarder-c2-1": {"acquirer-pe1-1", "forwarder-c1-1"},
        "edge-pe2-1": {"acquirer-pe1-1", "forwarder-c1-1"},
        "edge-pe4-1": {"acquirer-pe1-1", "forwarder-c1-1", "forwarder-c2-1"},
    }
    for function, feeders in above.items():
        assert have.carried[function].sources == {HOSTS[feeder] for feeder in feeders}


def test_who_gets_another_feeder_takes_packets_of_both_until_the_old_one_stops() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    moved = planted(
        forwarder("c1"),
        forwarder("c2"),
        edge("pe2", "forwarder-c2-1"),
        edge("pe4", "forwarder-c2-1"),
    )
    old, new = (HOSTS[f] for f in ("forwarder-c1-1", "forwarder-c2-1"))
    first = steps(moved, have, ACCESS)
    have = perform(have, first, ACCESS)
    assert {old, new} <= have.carried["edge-pe2-1"].sources
    have = converge(moved, have)
    assert have.carried["forwarder-c2-1"].targets >= {target("edge-pe2-1")}
    assert have.carried["edge-pe2-1"].sources == {HOSTS["acquirer-pe1-1"], new}


def test_a_stream_with_an_address_of_its_own_comes_from_that_address() -> None:
    want = planted(edge("pe2"))
    both = frozenset(b.function for b in want.branches)
    have = converge(want, Observed(active=both, addresses=HOSTS))
    edge_now = replace(have.carried["edge-pe2-1"], address="10.203.0.1", port=9)
    have = replace(have, carried={**have.carried, "edge-pe2-1": edge_now})
    first = steps(want, have, ACCESS)
    assert [(s.function, "10.203.0.1" in s.sources) for s in first if isinstance(s, Carry)] == [
        ("acquirer-pe1-1", False),
        ("edge-pe2-1", True),
    ]
    assert all(not s.targets for s in first if isinstance(s, Carry))


def test_new_keys_go_to_the_acquirer_alone() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    changed = replace(ACCESS, keys=frozenset({"k2"}))
    assert [s.function for s in steps(WANT, have, changed)] == ["acquirer-pe1-1"]


def test_revoked_sessions_go_to_every_edge_and_to_no_one_else() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    todo = steps(WANT, have, replace(ACCESS, revoked=2))
    assert [step.function for step in todo] == ["edge-pe2-1", "edge-pe4-1"]
    assert steps(WANT, perform(have, todo, replace(ACCESS, revoked=2)), ACCESS) != []


def test_the_end_drops_everything() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    assert converge(Tree(stream=WANT.stream), have).carried == {}


def test_nothing_is_dropped_before_the_rest_is_carried() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    smaller = planted(edge("pe2"))
    assert all(isinstance(step, Carry) for step in steps(smaller, have, ACCESS))


@given(
    active=st.sets(st.sampled_from(sorted(ALL))),
    carrying=st.sets(st.sampled_from(sorted(ALL))),
    wrong=st.sets(st.tuples(st.just("127.0.0.1"), st.integers(1, 9)), max_size=3),
    sources=st.sets(st.sampled_from([*sorted(HOSTS.values()), "10.9.9.9"])),
)
def test_any_state_converges_and_what_answers_is_fed(
    active: set[str], carrying: set[str], wrong: set[tuple[str, int]], sources: set[str]
) -> None:
    roles = {b.function: b.role for b in WANT.branches}
    carried = {
        f: Carried(
            role=roles[f],
            address=HOSTS[f],
            port=port(f),
            targets=frozenset(wrong),
            sources=frozenset(sources),
        )
        for f in carrying & active
    }
    have = converge(WANT, Observed(active=frozenset(active), addresses=HOSTS, carried=carried))
    assert set(have.carried) == active
    if "acquirer-pe1-1" in active:
        assert all(is_settled(WANT, have, f) for f in active if roles[f] == "edge")


def test_who_reads_or_makes_a_stream_gets_its_new_srtp_key() -> None:
    have = converge(WANT, Observed(active=ALL, addresses=HOSTS))
    told = {step.function for step in steps(WANT, have, replace(ACCESS, srtp_key_id="b"))}
    assert told == {b.function for b in WANT.branches if b.role != "forwarder"}


def test_a_silent_function_stays_fed_and_nothing_is_asked_of_it() -> None:
    have = Observed(active=ALL, addresses=HOSTS)
    while todo := steps(WANT, have, ACCESS):
        have = perform(have, todo, ACCESS)
    quiet = WANT.branches[-1].function
    later = replace(ACCESS, revoked=2)
    silent = replace(have, silent=frozenset({quiet}))
    assert steps(WANT, silent, ACCESS) == []
    assert quiet not in {step.function for step in steps(WANT, silent, later)}
    assert not is_settled(WANT, silent, quiet)
    without = replace(WANT, branches=WANT.branches[:-1])
    assert Drop(function=quiet) not in steps(without, perform(silent, [], ACCESS), ACCESS)


def test_only_edges_and_what_feeds_them_alone_begin_with_pictures_of_before() -> None:
    def bursts(*branches: Branch) -> tuple[frozenset[tuple[str, int]], ...]:
        want = planted(*branches)
        names = [branch.function for branch in want.branches]
        ports = {name: 5000 + at for at, name in enumerate(names)}
        carried = {
            branch.function: Carried(
                role=branch.role,
                address="10.0.0.1",
                port=ports[branch.function],
                targets=frozenset(
                    ("10.0.0.1", ports[child.function]) for child in want.children(branch.function)
                ),
            )
            for branch in want.branches
        }
        have = Observed(active=frozenset(names), carried=carried)
        done = [carry(want, branch, have) for branch in want.branches]
        return tuple(step.bursts for step in done if step is not None and step.targets)

    near = edge("pe2", "forwarder-c1-1")
    recorder = Branch(function="rec-1", role="recorder", node="c1", parent="forwarder-c1-1")
    transcoder = Branch(function="trc-1", role="transcoder", node="pe1", parent="acquirer-pe1-1")
    relay = forwarder("c1")
    assert bursts(relay, near) == (frozenset({("10.0.0.1", 5001)}), frozenset({("10.0.0.1", 5002)}))
    assert bursts(relay, near, recorder) == (frozenset(), frozenset({("10.0.0.1", 5002)}))
    assert bursts(edge("pe2"), transcoder) == (frozenset({("10.0.0.1", 5001)}),)


def test_where_the_network_copies_nobody_begins_so_unless_all_may() -> None:
    recorder = Branch(function="rec-1", role="recorder", node="c1", parent="acquirer-pe1-1")
    for branches, expected in (
        ((edge("pe2"), edge("pe4")), {("10.203.0.1", 5004)}),
        ((edge("pe2"), recorder), set()),
    ):
        want = planted(*branches)
        carried = {
            b.function: Carried(role=b.role, address="10.203.0.1", port=5004) for b in branches
        }
        have = Observed(active=frozenset(b.function for b in want.branches), carried=carried)
        step = carry(want, want.branches[0], have)
        assert step is not None
        assert step.bursts == expected
